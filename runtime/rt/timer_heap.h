// SPDX-License-Identifier: MIT OR Apache-2.0
// TimerHeap: the armed timers of a core, soonest first; ties in the order of arming.
//
// Units      nanoseconds of the core's clock.
// Lifetime   holds pointers to the timers of others; each knows its place, so disarming is O(log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cambium/rt/core.h>

namespace cambium::rt {

class TimerHeap {
 public:
  bool empty() const noexcept { return timers_.empty(); }
  std::size_t size() const noexcept { return timers_.size(); }
  std::int64_t deadline_ns() const noexcept { return timers_.front()->deadline_ns_; }  // Requires: !empty()

  void push(Timer& timer);
  void remove(Timer& timer) noexcept;

  // Fires what is due, but not what the callbacks arm: a timer that re-arms itself in the past must not hold the
  // loop. Returns how many fired.
  std::size_t fire(std::int64_t now_ns) noexcept;

 private:
  static bool before(const Timer& a, const Timer& b) noexcept {
    return a.deadline_ns_ != b.deadline_ns_ ? a.deadline_ns_ < b.deadline_ns_ : a.order_ < b.order_;
  }
  void place(std::size_t index, Timer& timer) noexcept {
    timers_[index] = &timer;
    timer.heap_index_ = index;
  }
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;

  std::vector<Timer*> timers_;
  std::uint64_t armed_ = 0;
};

}  // namespace cambium::rt
