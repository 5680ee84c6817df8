// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/timer_heap.h"

#include "base/assert.h"

namespace cambium::rt {

void TimerHeap::push(Timer& timer) {
  timer.order_ = armed_++;
  timers_.push_back(&timer);
  timer.heap_index_ = timers_.size() - 1;
  sift_up(timer.heap_index_);
}

void TimerHeap::remove(Timer& timer) noexcept {
  const std::size_t index = timer.heap_index_;
  CAMBIUM_ASSERT(index < timers_.size() && timers_[index] == &timer);
  Timer& last = *timers_.back();
  timers_.pop_back();
  if (&last == &timer) return;
  place(index, last);
  sift_up(index);
  sift_down(last.heap_index_);
}

std::size_t TimerHeap::fire(std::int64_t now_ns) noexcept {
  const std::uint64_t newcomers = armed_;
  std::size_t fired = 0;
  while (!timers_.empty()) {
    Timer& timer = *timers_.front();
    if (timer.deadline_ns_ > now_ns || timer.order_ >= newcomers) break;
    const Timer::Callback callback = timer.callback_;
    void* const argument = timer.argument_;
    timer.disarm();  // before the callback, which may arm it again or free it
    callback(argument);
    ++fired;
  }
  return fired;
}

void TimerHeap::sift_up(std::size_t index) noexcept {
  Timer& timer = *timers_[index];
  while (index != 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!before(timer, *timers_[parent])) break;
    place(index, *timers_[parent]);
    index = parent;
  }
  place(index, timer);
}

void TimerHeap::sift_down(std::size_t index) noexcept {
  Timer& timer = *timers_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && before(*timers_[child + 1], *timers_[child])) ++child;
    if (!before(*timers_[child], timer)) break;
    place(index, *timers_[child]);
    index = child;
  }
  place(index, timer);
}

}  // namespace cambium::rt
