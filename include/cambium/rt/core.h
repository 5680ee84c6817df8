// SPDX-License-Identifier: MIT OR Apache-2.0
// Core: one thread's loop: run queue, timers, I/O, and messages from other cores.
//
// A turn reaps completions, fires timers, takes messages, runs foreground work before background work in bounded
// bursts, submits the I/O that this produced in one system call, and waits when nothing is left to run: it spins for
// at most ~50 us, yielding, then blocks. Use it as run(), as poll(), or through fd() inside another event loop.
//
// Invariants
//   1. Everything on a core runs on the thread that created it; only post() and wake() may be called from elsewhere.
//   2. A coroutine is resumed by the loop or by the completion it waits for, never from inside a waker.
//
// Units      nanoseconds of a monotonic clock (virtual under simulation).
// Errors     create() says why a backend was refused; backend `automatic` falls back to threads and logs the reason.
// Lifetime   a Core outlives everything spawned on it; its destructor asserts that no I/O, timer or runnable coroutine
//            is left. What is dropped while it works (a partition without close(), an Op) goes on working on the
//            loop: whoever runs the loop turns it until idle(), by drain(), before the core goes. run(app) does so.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <cambium/rt/export.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

namespace cambium {

enum class Priority : std::uint8_t { foreground, background };

enum class Backend : std::uint8_t {
  automatic,  // uring, or threads where io_uring is refused
  uring,
  threads,
  simulated,  // made by SimDisk, never by create()
};
CAMBIUM_EXPORT std::string_view to_string(Backend backend) noexcept;

struct CoreOptions {
  Backend backend = Backend::automatic;
  unsigned queue_depth = 256;  // submission queue entries; more I/O than this waits inside the backend
  unsigned spin_us = 50;       // how long a turn may spin for due I/O before it blocks
  unsigned stall_us = 500;     // a task that holds the loop longer than this is counted as a stall
};

struct CoreStats {
  std::uint64_t turns = 0;
  std::uint64_t tasks_run = 0;
  std::uint64_t stalls = 0;  // tasks seen to hold the loop longer than stall_us (see core_state.h)
  std::uint64_t stall_ns_max = 0;
  std::uint64_t reads = 0;        // read requests given to the backend
  std::uint64_t reads_fixed = 0;  // of these, through a registered buffer (READ_FIXED)
  std::uint64_t writes = 0;
  std::uint64_t writes_fixed = 0;
  std::uint64_t syncs = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t system_calls = 0;  // io_uring_enter, or 0 for other backends
  std::uint64_t messages = 0;      // received from other cores and threads
};

namespace rt {

class IoBackend;
class Timer;

// A message to a core: an intrusive record, owned by the sender until run() is called on the receiving core.
class Message {
 public:
  virtual void run() noexcept = 0;

 protected:
  virtual ~Message() = default;

 private:
  friend class MessageQueue;
  Message* next_ = nullptr;
};

}  // namespace rt

class CAMBIUM_EXPORT Core {
 public:
  static Result<std::unique_ptr<Core>> create(CoreOptions options = {});
  // A core over a backend made elsewhere (the simulator).
  static std::unique_ptr<Core> over(std::unique_ptr<rt::IoBackend> backend, CoreOptions options = {});
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  // Makes a core the current one for a scope: work may be started from outside its loop (another loop's callback).
  class CAMBIUM_EXPORT Scope {
   public:
    explicit Scope(Core& core) noexcept;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    Core* outer_;
  };

  // The core whose loop this thread is running. Requires: inside a turn or a Scope (asserted). Nests: a core may
  // be driven from within another core's turn.
  static Core& current() noexcept;
  static Core* current_or_null() noexcept;

  // Drives the loop until the task has ended, and returns its result.
  template <class T>
  T run(Task<T> task) {
    start(task);
    while (!task.done()) turn(true);
    rest();
    return task.take();
  }
  // Starts a task that nobody awaits; it frees itself. A Status it returns is dropped.
  template <class T>
  void spawn(Task<T> task, Priority priority = Priority::foreground) {
    auto handle = task.release();
    handle.promise().detach(&spawned_);
    schedule(handle, priority);
  }

  // Turns until idle(), and blocks in between: what was spawned or dropped has ended, or waits for what no turn brings.
  // A task that sleeps again and again keeps it here.
  void drain();
  bool poll() { return turn(false); }  // one turn without blocking; false when there was nothing to do
  int fd() const noexcept;             // readable when poll() has something to do
  std::int64_t next_timer_ns() const;  // when poll() is due at the latest; -1 = no timer

  // Thread-safe: the message runs on this core's loop. It may be what makes the core end: that waits for this call.
  void post(rt::Message& message) noexcept;

  void schedule(std::coroutine_handle<> handle, Priority priority) noexcept;
  void unschedule(std::coroutine_handle<> handle) noexcept;    // of a frame that is destroyed while it is runnable
  std::uint64_t spawned() const noexcept { return spawned_; }  // tasks of spawn() that have not ended
  bool idle() const noexcept;  // nothing is runnable, in flight or timed: no turn can make progress
  Priority current_priority() const noexcept { return current_priority_; }
  std::int64_t now_ns() const noexcept;

  class SleepAwaiter;
  class YieldAwaiter;
  inline SleepAwaiter sleep_ns(std::int64_t duration_ns) noexcept;
  inline YieldAwaiter yield() noexcept;  // to everything that is runnable now, in the same priority
  // True when the running task has held the loop for longer than `budget_ns`: then yield(). The first call of a task
  // may count from the call instead of the task's start: the loop reads the clock per task only where somebody asks.
  bool over_budget(std::int64_t budget_ns = 300'000) const noexcept;

  void set_spin_us(unsigned spin_us) noexcept;  // CoreOptions::spin_us, from the next turn on
  CoreStats stats() const noexcept;
  Backend backend_kind() const noexcept;
  std::string_view backend_note() const noexcept;  // which ring features were refused, and why; empty when none
  rt::IoBackend& backend() noexcept { return *backend_; }

 private:
  friend class rt::Timer;
  friend class Cluster;
  struct State;
  struct Loop;
  Core(std::unique_ptr<rt::IoBackend> backend, CoreOptions options);
  template <class T>
  void start(Task<T>& task) {
    enter([](void* t) { static_cast<Task<T>*>(t)->start(); }, &task);
  }
  void enter(void (*function)(void*), void* argument);  // runs it with this core as current()
  bool turn(bool may_block);
  void rest() noexcept;  // the loop is left: from here on messages make fd() readable

  std::unique_ptr<rt::IoBackend> backend_;
  std::unique_ptr<State> state_;
  Priority current_priority_ = Priority::foreground;
  std::uint64_t spawned_ = 0;
};

namespace rt {

// A suspended coroutine and the way back to it: its core, its priority, and whether it is in the run queue. Part of
// an awaiter; when the frame is destroyed before it could be resumed, the run queue forgets it.
class Resumption {
 public:
  Resumption() noexcept = default;
  Resumption(const Resumption&) = delete;
  Resumption& operator=(const Resumption&) = delete;
  ~Resumption() {
    if (queued_) core_->unschedule(handle_);
  }

  void suspend(Core& core, std::coroutine_handle<> handle) noexcept {
    core_ = &core;
    handle_ = handle;
    priority_ = core.current_priority();
  }
  void schedule() noexcept {
    queued_ = true;
    core_->schedule(handle_, priority_);
  }
  void resumed() noexcept { queued_ = false; }
  bool queued() const noexcept { return queued_; }

 private:
  Core* core_ = nullptr;
  std::coroutine_handle<> handle_;
  Priority priority_ = Priority::foreground;
  bool queued_ = false;
};

// A one-shot timer in its owner's frame or object; disarms itself when destroyed.
class CAMBIUM_EXPORT Timer {
 public:
  using Callback = void (*)(void*) noexcept;
  Timer() noexcept = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }

  void arm(Core& core, std::int64_t deadline_ns, Callback callback, void* argument);
  void disarm() noexcept;
  bool armed() const noexcept { return core_ != nullptr; }

 private:
  friend class ::cambium::Core;
  friend class TimerHeap;
  Core* core_ = nullptr;
  std::int64_t deadline_ns_ = 0;
  std::uint64_t order_ = 0;  // ties fire in the order of arming
  std::size_t heap_index_ = 0;
  Callback callback_ = nullptr;
  void* argument_ = nullptr;
};

}  // namespace rt

class Core::SleepAwaiter {
 public:
  SleepAwaiter(Core& core, std::int64_t duration_ns) noexcept : core_(core), duration_ns_(duration_ns) {}
  bool await_ready() const noexcept { return duration_ns_ <= 0; }
  void await_suspend(std::coroutine_handle<> caller) {
    resumption_.suspend(core_, caller);
    timer_.arm(
        core_, core_.now_ns() + duration_ns_,
        [](void* resumption) noexcept { static_cast<rt::Resumption*>(resumption)->schedule(); }, &resumption_);
  }
  void await_resume() noexcept { resumption_.resumed(); }

 private:
  Core& core_;
  std::int64_t duration_ns_;
  rt::Resumption resumption_;
  rt::Timer timer_;
};

class Core::YieldAwaiter {
 public:
  explicit YieldAwaiter(Core& core) noexcept : core_(core) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> caller) noexcept {
    resumption_.suspend(core_, caller);
    resumption_.schedule();
  }
  void await_resume() noexcept { resumption_.resumed(); }

 private:
  Core& core_;
  rt::Resumption resumption_;
};

inline Core::SleepAwaiter Core::sleep_ns(std::int64_t duration_ns) noexcept { return SleepAwaiter(*this, duration_ns); }
inline Core::YieldAwaiter Core::yield() noexcept { return YieldAwaiter(*this); }

// Makes a core, runs `app(core)` on it and returns a process exit code: 0, or 1 after printing the error.
CAMBIUM_EXPORT int run(Task<Status> (*app)(Core&), CoreOptions options = {});

}  // namespace cambium
