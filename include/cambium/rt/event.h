// SPDX-License-Identifier: MIT OR Apache-2.0
// Event: a flag that coroutines wait for. Stays set until reset(); set() wakes everybody.
//
// Suspends   wait(), when the event is not set.
#pragma once

#include <coroutine>
#include <cstdint>

#include <cambium/rt/wait_queue.h>

namespace cambium {

class Event {
 public:
  bool is_set() const noexcept { return set_; }
  void set() noexcept {
    set_ = true;
    waiters_.wake_all();
  }
  void reset() noexcept { set_ = false; }

  // co_await event.wait() yields Errc::ok, cancelled or timeout.
  class Awaiter : private rt::WaitQueue::Awaiter {
   public:
    Awaiter(Event& event, CancelSource* cancel, std::int64_t deadline_ns) noexcept
        : rt::WaitQueue::Awaiter(event.waiters_, cancel, deadline_ns), event_(event) {}
    bool await_ready() const noexcept { return event_.set_; }
    using rt::WaitQueue::Awaiter::await_resume;
    using rt::WaitQueue::Awaiter::await_suspend;

   private:
    Event& event_;
  };
  Awaiter wait(CancelSource* cancel = nullptr, std::int64_t deadline_ns = 0) noexcept {
    return Awaiter(*this, cancel, deadline_ns);
  }

 private:
  rt::WaitQueue waiters_;
  bool set_ = false;
};

}  // namespace cambium
