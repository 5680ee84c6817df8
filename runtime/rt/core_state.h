// SPDX-License-Identifier: MIT OR Apache-2.0
// Core::State: what the loop of a core keeps between turns.
//
// Stalls are found without a clock call per task (23 ns): a burst is timed as a whole. A burst of one task that took
// too long is a stall; a longer burst that took too long turns on timing per task for the next kTimedTasks tasks, as
// does every call of over_budget(). So a stall that happens once, in company, goes uncounted; one that recurs does not.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string>

#include <cambium/rt/core.h>

#include "base/ring_queue.h"
#include "rt/message_queue.h"
#include "rt/timer_heap.h"

namespace cambium {

struct Core::State {
  static constexpr std::size_t kForegroundBurst = 256;
  static constexpr std::size_t kBackgroundBurst = 16;
  static constexpr unsigned kTimedTasks = 1024;
  static constexpr unsigned kMessageSpins = 4;  // fruitless spins after the last message before none is tried

  using RunQueue = rt::RingQueue<std::coroutine_handle<>>;

  explicit State(const CoreOptions& o) : options(o) {}

  bool runnable() const noexcept { return !foreground.empty() || !background.empty(); }
  bool messages_waiting() const noexcept { return !inbox.empty() || (source != nullptr && !source->empty()); }

  CoreOptions options;
  RunQueue foreground;
  RunQueue background;
  rt::TimerHeap timers;

  alignas(64) rt::MessageQueue inbox;  // written by other threads: away from what the loop writes
  rt::SleepFlag sleep;
  std::atomic<unsigned> posting = 0;  // threads inside post()
  alignas(64) rt::MessageSource* source = nullptr;
  unsigned message_spins = 0;

  CoreStats stats;
  bool turning = false;
  unsigned timed_tasks = 0;        // this many more tasks are timed one by one
  std::int64_t task_start_ns = 0;  // of the running task, or 0 when it is not known
  std::string fallback_note;       // why another backend than the one wished for
  std::string note;                // as backend_note() last returned it
};

}  // namespace cambium
