// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/core.h>

#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "rt/core_state.h"
#include "rt/io_backend.h"

namespace cambium {
namespace {

constinit thread_local Core* current_core = nullptr;

// Nests: a simulated core may be driven from inside a turn of another one.
class CurrentCore {
 public:
  explicit CurrentCore(Core* core) noexcept : outer_(std::exchange(current_core, core)) {}
  CurrentCore(const CurrentCore&) = delete;
  CurrentCore& operator=(const CurrentCore&) = delete;
  ~CurrentCore() { current_core = outer_; }

 private:
  Core* outer_;
};

void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

std::string_view to_string(Backend backend) noexcept {
  switch (backend) {
    case Backend::automatic:
      return "automatic";
    case Backend::uring:
      return "uring";
    case Backend::threads:
      return "threads";
    case Backend::simulated:
      return "simulated";
  }
  return "unknown";
}

Core::Core(std::unique_ptr<rt::IoBackend> backend, CoreOptions options)
    : backend_(std::move(backend)), state_(std::make_unique<State>(options)) {}

#define CAMBIUM_DRAIN_FIRST ": close() what is open on it, then drain() it, before it goes"
Core::~Core() {
  // What was posted may be what made this core end, before post() has.
  while (state_->posting.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  CAMBIUM_ASSERT_MSG(!state_->turning, "a core is destroyed inside its own turn");
  CAMBIUM_ASSERT_MSG(backend_->in_flight() == 0, "a core is destroyed while I/O is in flight" CAMBIUM_DRAIN_FIRST);
  CAMBIUM_ASSERT_MSG(state_->timers.empty(), "a core is destroyed while a timer is armed" CAMBIUM_DRAIN_FIRST);
  CAMBIUM_ASSERT_MSG(!state_->runnable(), "a core is destroyed while coroutines wait to run" CAMBIUM_DRAIN_FIRST);
  if (spawned_ != 0) {
    rt::log(rt::LogLevel::warn, rt::str("a core ends while ", spawned_, " spawned tasks wait for something: ",
                                        "they are left behind, with what they hold"));
  }
}
#undef CAMBIUM_DRAIN_FIRST

std::unique_ptr<Core> Core::over(std::unique_ptr<rt::IoBackend> backend, CoreOptions options) {
  return std::unique_ptr<Core>(new Core(std::move(backend), options));
}

Core::Scope::Scope(Core& core) noexcept : outer_(std::exchange(current_core, &core)) {}
Core::Scope::~Scope() { current_core = outer_; }

Core& Core::current() noexcept {
  CAMBIUM_ASSERT_MSG(current_core != nullptr, "called outside the turn of a core");
  return *current_core;
}

Core* Core::current_or_null() noexcept { return current_core; }

int Core::fd() const noexcept { return backend_->fd(); }
std::int64_t Core::now_ns() const noexcept { return backend_->now_ns(); }
Backend Core::backend_kind() const noexcept { return backend_->kind(); }

std::int64_t Core::next_timer_ns() const { return state_->timers.empty() ? -1 : state_->timers.deadline_ns(); }

std::string_view Core::backend_note() const noexcept {
  state_->note = state_->fallback_note;
  if (const std::string_view note = backend_->note(); !note.empty()) {
    if (!state_->note.empty()) state_->note += "; ";
    state_->note += note;
  }
  return state_->note;
}

void Core::set_spin_us(unsigned spin_us) noexcept { state_->options.spin_us = spin_us; }

CoreStats Core::stats() const noexcept {
  CoreStats stats = state_->stats;
  backend_->add_stats(stats);
  return stats;
}

bool Core::idle() const noexcept {
  return !state_->runnable() && backend_->in_flight() == 0 && state_->timers.empty() && !state_->messages_waiting();
}

void Core::post(rt::Message& message) noexcept {
  state_->posting.fetch_add(1, std::memory_order_relaxed);
  state_->inbox.push(message);
  if (state_->sleep.claim()) backend_->wake();
  state_->posting.fetch_sub(1, std::memory_order_release);
}

void Core::schedule(std::coroutine_handle<> handle, Priority priority) noexcept {
  (priority == Priority::foreground ? state_->foreground : state_->background).push_back(handle);
}

void Core::unschedule(std::coroutine_handle<> handle) noexcept {
  for (State::RunQueue* queue : {&state_->foreground, &state_->background}) {
    // Once round: the order of the others stays.
    for (std::size_t left = queue->size(); left != 0; --left) {
      const std::coroutine_handle<> other = queue->pop_front();
      if (other != handle) queue->push_back(other);
    }
  }
}

void Core::enter(void (*function)(void*), void* argument) {
  const CurrentCore scope(this);
  const Priority outer = std::exchange(current_priority_, Priority::foreground);
  function(argument);
  current_priority_ = outer;
}

bool Core::over_budget(std::int64_t budget_ns) const noexcept {
  State& s = *state_;
  s.timed_tasks = State::kTimedTasks;
  const std::int64_t now = backend_->now_ns();
  if (s.task_start_ns == 0) {  // not timed until now: count from here
    s.task_start_ns = now;
    return false;
  }
  return now - s.task_start_ns > budget_ns;
}

// ---------------------------------------------------------------------------------------------- the turn

// The steps of a turn.
struct Core::Loop {
  Core& core;
  State& s;
  rt::IoBackend& backend;

  bool take_in() {
    std::size_t found = backend.reap();
    if (!s.timers.empty()) found += s.timers.fire(backend.now_ns());
    found += take_messages();
    return found != 0;
  }

  std::size_t take_messages() {
    std::size_t taken = s.inbox.run_all();
    if (s.source != nullptr) taken += s.source->run_all();
    if (taken != 0) {
      s.stats.messages += taken;
      s.message_spins = State::kMessageSpins;
    }
    return taken;
  }

  void count_stall(std::int64_t took_ns) {
    const auto took = static_cast<std::uint64_t>(took_ns);
    ++s.stats.stalls;
    if (took > s.stats.stall_ns_max) s.stats.stall_ns_max = took;
  }

  // Runs at most `limit` tasks of the queue, those they add included.
  std::size_t run_burst(State::RunQueue& queue, Priority priority, std::size_t limit) {
    if (queue.empty()) return 0;
    core.current_priority_ = priority;
    const std::int64_t stall_ns = static_cast<std::int64_t>(s.options.stall_us) * 1000;
    const std::int64_t start = backend.now_ns();
    std::int64_t last = start;
    std::size_t ran = 0;
    std::size_t untimed = 0;
    for (; ran != limit && !queue.empty(); ++ran) {
      const bool timed = s.timed_tasks != 0;
      s.task_start_ns = ran == 0 ? start : 0;
      if (timed) {
        --s.timed_tasks;
        if (untimed != 0) last = backend.now_ns();
        untimed = 0;
        s.task_start_ns = last;
      }
      queue.pop_front().resume();
      if (timed) {
        const std::int64_t now = backend.now_ns();
        if (now - last > stall_ns) count_stall(now - last);
        last = now;
      } else {
        ++untimed;
      }
    }
    if (untimed != 0) {
      const std::int64_t took = backend.now_ns() - last;
      if (took > stall_ns) {
        if (untimed == 1) {
          count_stall(took);
        } else {
          s.timed_tasks = State::kTimedTasks;
        }
      }
    }
    core.current_priority_ = Priority::foreground;
    s.task_start_ns = 0;
    s.stats.tasks_run += ran;
    return ran;
  }

  bool run_bursts() {
    const std::size_t urgent = run_burst(s.foreground, Priority::foreground, State::kForegroundBurst);
    // At least one background task per turn, however busy the foreground is: it may hold what the foreground needs.
    const std::size_t patient = run_burst(s.background, Priority::background, State::kBackgroundBurst);
    if (patient != 0) let_kernel_work();
    return urgent + patient != 0;
  }

  // A loop that always has background work never waits, and the kernel worker that completes durable writes on this
  // processor would get it at the next tick of the scheduler: 5 ms for a sync that takes 0.1. A yield costs 0.5 us.
  void let_kernel_work() {
    if (backend.in_flight() != 0 && backend.kind() != Backend::simulated) ::sched_yield();
  }

  // Bounded, and yielding: the kernel worker that completes synchronous writes may need this processor.
  bool spin(std::int64_t deadline_ns) {
    if (s.options.spin_us == 0) return false;
    if (backend.in_flight() == 0) {
      if (s.message_spins == 0) return false;
      --s.message_spins;
    }
    const std::int64_t end = backend.now_ns() + static_cast<std::int64_t>(s.options.spin_us) * 1000;
    for (;;) {
      for (int i = 0; i < 8; ++i) {
        if (backend.ready() || s.messages_waiting()) return true;
        pause_briefly();
      }
      const std::int64_t now = backend.now_ns();
      if (deadline_ns != -1 && now >= deadline_ns) return true;
      if (now >= end) return false;
      ::sched_yield();
    }
  }

  void wait() {
    const std::int64_t deadline_ns = s.timers.empty() ? -1 : s.timers.deadline_ns();
    if (backend.kind() == Backend::simulated) {
      CAMBIUM_ASSERT_MSG(deadline_ns != -1 || backend.in_flight() != 0 || s.messages_waiting(),
                         "deadlock in the simulation: run() waits, but nothing is runnable, timed or in flight");
    } else if (spin(deadline_ns)) {
      return;
    }
    s.sleep.announce();
    if (!s.messages_waiting()) backend.wait(deadline_ns);
    s.sleep.retract();
  }
};

bool Core::turn(bool may_block) {
  CAMBIUM_ASSERT_MSG(!state_->turning, "run() or poll() is called from inside this core's own turn");
  state_->turning = true;
  const CurrentCore scope(this);
  Loop loop{*this, *state_, *backend_};
  ++state_->stats.turns;
  state_->sleep.retract();
  bool worked = loop.take_in();
  if (may_block && !worked && !state_->runnable()) {
    loop.wait();
    worked = loop.take_in();
  }
  worked |= loop.run_bursts();
  if (!may_block) {
    worked |= backend_->reap() != 0;  // hands over what the burst produced: the caller may not come back soon
    rest();
  }
  state_->turning = false;
  return worked;
}

void Core::drain() {
  while (!idle()) turn(true);
  rest();
}

void Core::rest() noexcept {
  state_->sleep.announce();
  if (state_->runnable() || state_->messages_waiting()) backend_->wake();
}

// ---------------------------------------------------------------------------------------------- timers

namespace rt {

void Timer::arm(Core& core, std::int64_t deadline_ns, Callback callback, void* argument) {
  disarm();
  deadline_ns_ = deadline_ns;
  callback_ = callback;
  argument_ = argument;
  core.state_->timers.push(*this);
  core_ = &core;
}

void Timer::disarm() noexcept {
  if (core_ == nullptr) return;
  core_->state_->timers.remove(*this);
  core_ = nullptr;
}

}  // namespace rt

// ---------------------------------------------------------------------------------------------- run(app)

namespace {

int report(const Error& error) {
  const std::string message(error.message());
  std::fprintf(stderr, "error: %s\n", message.c_str());
  if (!error.hint().empty()) {
    const std::string hint(error.hint());
    std::fprintf(stderr, "hint: %s\n", hint.c_str());
  }
  return 1;
}

}  // namespace

int run(Task<Status> (*app)(Core&), CoreOptions options) {
  Result<std::unique_ptr<Core>> created = Core::create(options);
  if (!created) return report(created.error());
  Core& core = **created;
  const Status status = core.run(app(core));
  // What was spawned, or dropped while it worked, ends before the core does; what waits for ever is left behind.
  core.drain();
  return status ? 0 : report(status.error());
}

}  // namespace cambium
