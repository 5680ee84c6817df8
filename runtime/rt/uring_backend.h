// SPDX-License-Identifier: MIT OR Apache-2.0
// UringBackend: I/O through one io_uring.
//
// Requests are prepared as they come and handed over together, in reap() or wait(). A request's address is its
// user data. Never more is in the kernel than the completion queue holds: the surplus waits here, in order.
//
// Invariants
//   1. in_kernel_ <= completions_max_: the completion queue cannot overflow through our own requests.
//   2. Completions are copied out of the ring first and run afterwards: running one may submit.
//
// Units      nanoseconds of CLOCK_MONOTONIC, bytes.
// Errors     ring features that the kernel refuses fall back one by one; note() lists them.
// Lifetime   the thread that makes it submits (SINGLE_ISSUER); only wake() may be called from others.
#pragma once

#include <liburing.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/rt/core.h>
#include <cambium/rt/io.h>
#include <cambium/rt/result.h>

#include "rt/io_backend.h"
#include "rt/io_counters.h"
#include "rt/request_list.h"

namespace cambium::rt {

inline constexpr int kOpFtruncate = 55;  // IORING_OP_FTRUNCATE, Linux 6.9; liburing 2.3 does not know its name

class UringBackend final : public IoBackend {
 public:
  static Result<std::unique_ptr<UringBackend>> create(const CoreOptions& options);
  UringBackend(const UringBackend&) = delete;
  UringBackend& operator=(const UringBackend&) = delete;
  ~UringBackend() override;

  void submit(IoRequest& request) noexcept override;
  void cancel(IoRequest& request) noexcept override;
  std::size_t reap() noexcept override;
  bool ready() const noexcept override;
  void wait(std::int64_t deadline_ns) noexcept override;
  void wake() noexcept override;
  std::int64_t now_ns() const noexcept override;
  int fd() const noexcept override { return ring_.ring_fd; }
  std::size_t in_flight() const noexcept override { return in_flight_; }

  Result<OpenedFile> open_file(const FileSpec& spec) override;
  void close_file(std::int32_t file) noexcept override;
  std::int32_t register_buffer(char* data, std::size_t bytes) noexcept override;
  void unregister_buffer(std::int32_t index) noexcept override;

  Backend kind() const noexcept override { return Backend::uring; }
  std::string_view note() const noexcept override { return note_; }
  void add_stats(CoreStats& stats) const noexcept override { counters_.add_to(stats); }

  // Wakes this ring with a message from `sender`'s, on sender's thread: it travels with sender's next submission.
  void wake_from(UringBackend& sender) noexcept;
  // Waits until the messages that this ring sent have arrived. Requires: nothing in flight.
  void settle() noexcept;

 private:
  // What a completion is about: the low bits of its user data. Requests and backends are aligned to 8 or more.
  enum Tag : std::uint64_t {
    kRequest = 0,
    kIgnored = 1,
    kEventRead = 2,
    kRingMessage = 3,
    kRingMessageSent = 4,
    kTagMask = 7
  };
  // Requests are handed over while a turn goes on, an eighth of what is in flight at a time: measured at depth 32
  // 84 k reads/s instead of 73 k with one submission per turn, at no more CPU; at depth 128 less than a sixteenth at a
  // time costs a fifth more of it.
  static constexpr std::size_t kSubmitBatchMax = 16;
  struct File {
    int fd = -1;  // -1: this handle is free
    bool registered = false;
  };

  UringBackend() noexcept = default;
  Status set_up(const CoreOptions& options);
  Status create_ring(unsigned entries);
  void register_features();
  void add_note(std::string_view feature, std::string_view reason);

  io_uring_sqe* next_sqe() noexcept;
  void feed() noexcept;
  bool prepare(IoRequest& request) noexcept;
  void prepare_transfer(IoRequest& request, io_uring_sqe& sqe) noexcept;
  bool resized_at_once(IoRequest& request) noexcept;
  void prepare_resize(IoRequest& request, io_uring_sqe& sqe) noexcept;
  void arm_event_read() noexcept;
  void finish(IoRequest& request, std::int32_t result) noexcept;
  void enter(unsigned wait_for, std::int64_t deadline_ns) noexcept;
  void hand_over() noexcept;
  static void warm(const IoRequest& request) noexcept;
  static void check_entered(int outcome) noexcept;
  void collect() noexcept;
  void dispatch(const io_uring_cqe& completion) noexcept;

  io_uring ring_{};
  bool ring_made_ = false;
  bool taskrun_flag_ = false;  // the kernel shows when completions wait to be fetched
  bool has_ftruncate_ = false;
  bool files_registered_ = false;
  bool buffers_registered_ = false;
  int event_fd_ = -1;
  bool event_read_armed_ = false;
  std::uint64_t event_count_ = 0;          // where the armed read puts the eventfd's value
  std::atomic<bool> wake_pending_{false};  // a wake() is under way: more of them need no system call

  std::size_t in_flight_ = 0;  // requests given to us and not yet completed
  std::size_t in_kernel_ = 0;  // submissions, of any kind, whose completion is outstanding
  std::size_t completions_max_ = 0;
  RequestList surplus_;
  RequestList finished_;  // result known, complete() not yet called

  std::vector<File> files_;
  std::vector<std::uint16_t> free_buffers_;  // slots
  IoCounters counters_;
  std::string note_;
};

// The flags of `wanted` that `try_setup` accepts, each refused one dropped alone. try_setup returns 0 or -errno for a
// trial ring with these flags. Apart, so that it can be tested with a kernel that does not exist.
unsigned accepted_ring_flags(unsigned wanted, int (*try_setup)(unsigned flags, void* context), void* context);

// "DEFER_TASKRUN" and so on, for notes.
std::string_view ring_flag_name(unsigned flag) noexcept;

}  // namespace cambium::rt
