// SPDX-License-Identifier: MIT OR Apache-2.0
// SimBackend: the IoBackend over a SimDisk: seeded, in virtual time, and it plays the kernel at its least helpful.
//
// Requests wait in a backlog until the device has room (queue depth), then for the latency they drew. Each reap()
// completes some of those that are due, in random order; wait() jumps to the next moment at which something is due.
//
// Invariants
//   1. The fault that strikes a request, and what a sync covers, are settled at submit(); everything else when it
//      completes.
//   2. Virtual time advances by one tick per reap() and in wait(), so tasks that only yield still see I/O complete.
//   3. No decision depends on an address, a clock or another thread. Only wake() may come from one.
//
// Errors     waiting when nothing is in flight, nobody called wake() and there is no deadline is asserted: the program
//            would sleep for ever.
// Lifetime   nothing is in flight when it is destroyed (asserted).
#pragma once

#include <atomic>
#include <deque>
#include <optional>
#include <vector>

#include <cambium/rt/sim.h>

#include "base/random.h"
#include "rt/io_backend.h"
#include "rt/io_counters.h"
#include "rt/sim_disk.h"

namespace cambium::rt {

class SimBackend final : public IoBackend {
 public:
  SimBackend(SimDiskState& disk, const SimOptions& options);
  SimBackend(const SimBackend&) = delete;
  SimBackend& operator=(const SimBackend&) = delete;
  ~SimBackend() override;

  void submit(IoRequest& request) noexcept override;
  void cancel(IoRequest& request) noexcept override;
  std::size_t reap() noexcept override;
  bool ready() const noexcept override { return count_due() != 0; }
  void wait(std::int64_t deadline_ns) noexcept override;
  void wake() noexcept override { woken_.store(true, std::memory_order_release); }
  std::int64_t now_ns() const noexcept override { return now_ns_; }
  int fd() const noexcept override { return -1; }
  std::size_t in_flight() const noexcept override { return device_.size() + backlog_.size(); }

  Result<OpenedFile> open_file(const FileSpec& spec) override;
  void close_file(std::int32_t file) noexcept override;
  std::int32_t register_buffer(char* data, std::size_t bytes) noexcept override;
  void unregister_buffer(std::int32_t index) noexcept override;

  Backend kind() const noexcept override { return Backend::simulated; }
  std::string_view note() const noexcept override;
  void add_stats(CoreStats& stats) const noexcept override { counters_.add_to(stats); }

 private:
  struct Handle {
    SimFile* file = nullptr;  // null: closed
    bool read_only = false;
    bool direct = false;
  };
  struct Buffer {
    char* data = nullptr;  // null: unregistered
    std::size_t bytes = 0;
  };
  struct Slot {
    IoRequest* request = nullptr;
    std::optional<SimFault> fault;
    std::uint64_t barrier = 0;  // a sync covers what has a smaller sequence
    std::int64_t due_ns = 0;
    bool cancelled = false;
  };

  bool due(const Slot& slot) const noexcept { return slot.due_ns <= now_ns_ || disk_.power_cut; }
  std::size_t count_due() const noexcept;
  std::size_t choose_due(std::size_t count) noexcept;
  void fill_device() noexcept;
  void complete(std::size_t index) noexcept;

  std::int32_t perform(const Slot& slot) noexcept;
  std::int32_t refuse(const IoRequest& request) const noexcept;
  std::int32_t fail(const Slot& slot, SimFile& file) noexcept;
  std::uint32_t transfer_bytes(const Slot& slot) noexcept;
  std::int32_t read(SimFile& file, const Slot& slot, std::uint64_t offset) noexcept;
  std::int32_t write(SimFile& file, const Slot& slot, std::uint64_t offset) noexcept;
  std::int32_t resize(SimFile& file, const IoRequest& request) noexcept;

  SimFile* file_of(const IoRequest& request) const noexcept;
  bool poisons(const IoRequest& request) const noexcept;
  void scribble(char* data, std::size_t bytes) noexcept;
  void scribble_some() noexcept;

  SimDiskState& disk_;
  SimOptions options_;
  Random random_;
  std::int64_t now_ns_ = 0;
  std::atomic<bool> woken_{false};
  std::vector<Slot> device_;  // in the order of submission
  std::deque<Slot> backlog_;
  std::vector<Handle> handles_;
  std::vector<Buffer> buffers_;
  IoCounters counters_;
};

}  // namespace cambium::rt
