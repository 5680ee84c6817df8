// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadsBackend: I/O through blocking system calls on four threads, where io_uring is refused.
//
// Requests queue up behind one mutex; a worker runs one at a time and hands it back. The threads start with the first
// file, so a core without I/O has none.
//
// Invariants
//   1. signalled_ is true from the first completion or wake() until reap() has emptied the eventfd.
//   2. A request that a worker has taken cannot be cancelled: it completes with its result.
//
// Units      nanoseconds of CLOCK_MONOTONIC, bytes.
// Lifetime   the destructor joins the threads; nothing is in flight then (asserted).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include <cambium/rt/core.h>
#include <cambium/rt/io.h>
#include <cambium/rt/result.h>

#include "rt/io_backend.h"
#include "rt/io_counters.h"
#include "rt/request_list.h"

namespace cambium::rt {

class ThreadsBackend final : public IoBackend {
 public:
  static Result<std::unique_ptr<ThreadsBackend>> create(const CoreOptions& options);
  ThreadsBackend(const ThreadsBackend&) = delete;
  ThreadsBackend& operator=(const ThreadsBackend&) = delete;
  ~ThreadsBackend() override;

  void submit(IoRequest& request) noexcept override;
  void cancel(IoRequest& request) noexcept override;
  std::size_t reap() noexcept override;
  bool ready() const noexcept override { return signalled_.load(std::memory_order_relaxed); }
  void wait(std::int64_t deadline_ns) noexcept override;
  void wake() noexcept override;
  std::int64_t now_ns() const noexcept override;
  int fd() const noexcept override { return event_fd_; }
  std::size_t in_flight() const noexcept override { return in_flight_; }

  Result<OpenedFile> open_file(const FileSpec& spec) override;
  void close_file(std::int32_t file) noexcept override;
  std::int32_t register_buffer(char*, std::size_t) noexcept override { return -1; }  // there is nothing to gain
  void unregister_buffer(std::int32_t) noexcept override {}

  Backend kind() const noexcept override { return Backend::threads; }
  std::string_view note() const noexcept override { return {}; }
  void add_stats(CoreStats& stats) const noexcept override { counters_.add_to(stats); }

 private:
  static constexpr std::size_t kThreads = 4;

  ThreadsBackend() noexcept = default;
  Status start_threads();
  void work() noexcept;
  void signal() noexcept;
  int descriptor(std::int32_t file) const noexcept;

  // Of the owning thread.
  std::size_t in_flight_ = 0;
  std::vector<int> files_;  // -1: free. A request carries the descriptor's number in `result` until it is done.
  std::vector<std::thread> threads_;
  IoCounters counters_;
  int event_fd_ = -1;

  std::atomic<bool> signalled_{false};
  std::mutex mutex_;  // guards the lines below
  std::condition_variable work_there_;
  RequestList queued_;
  RequestList finished_;
  bool stopping_ = false;
};

}  // namespace cambium::rt
