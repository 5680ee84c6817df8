// SPDX-License-Identifier: MIT OR Apache-2.0
// WaitQueue: coroutines that wait for something, in order; the base of every synchronisation primitive here.
//
// One core, no atomics. A waiter is woken through the run queue of its core, never inline, so waking is safe anywhere.
// A wait may carry a CancelSource and a deadline; both take the waiter out of the queue and tell it why.
//
// Invariants
//   1. A node is in at most one queue; it lives in the awaiting frame and unlinks itself when that frame is destroyed.
//   2. Waiters are woken in the order in which they came.
//
// Units      deadlines in nanoseconds of the core's clock (virtual under simulation); 0 = none.
// Errors     Errc::ok, cancelled or timeout as the outcome of a wait.
// Suspends   always: test the condition first.
#pragma once

#include <coroutine>
#include <cstdint>

#include <cambium/rt/cancel.h>
#include <cambium/rt/core.h>
#include <cambium/rt/result.h>

namespace cambium::rt {

class WaitQueue;

class WaitNode : public CancelLink {
 public:
  WaitNode() noexcept = default;
  WaitNode(const WaitNode&) = delete;
  WaitNode& operator=(const WaitNode&) = delete;
  ~WaitNode() override { unlink(); }

  Errc outcome() const noexcept { return outcome_; }

 protected:
  void on_cancel() noexcept override { wake(Errc::cancelled); }

 private:
  friend class WaitQueue;
  inline void unlink() noexcept;
  inline void wake(Errc outcome) noexcept;

  WaitQueue* queue_ = nullptr;
  WaitNode* previous_ = nullptr;
  WaitNode* next_ = nullptr;
  std::uint64_t amount_ = 0;
  Errc outcome_ = Errc::ok;
  Resumption resumption_;
};

class WaitQueue {
 public:
  WaitQueue() noexcept = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  bool empty() const noexcept { return head_ == nullptr; }
  std::uint64_t front_amount() const noexcept { return head_->amount_; }  // Requires: !empty()
  inline bool wake_one() noexcept;                                        // false when nobody waits
  inline void wake_all() noexcept;

  class Awaiter {
   public:
    Awaiter(WaitQueue& queue, CancelSource* cancel, std::int64_t deadline_ns) noexcept
        : queue_(queue), cancel_(cancel), deadline_ns_(deadline_ns) {}
    bool await_ready() const noexcept { return false; }
    inline bool await_suspend(std::coroutine_handle<> caller);
    Errc await_resume() noexcept {
      timer_.disarm();
      node_.resumption_.resumed();
      return node_.outcome();
    }
    // What this waiter asks for, where waiters are served by amount (Semaphore).
    void ask(std::uint64_t amount) noexcept { node_.amount_ = amount; }
    // True between wake_one() and the resumption. A frame destroyed in between has to pass on what it was given.
    bool granted() const noexcept { return node_.resumption_.queued() && node_.outcome_ == Errc::ok; }
    void leave() noexcept { node_.unlink(); }

   private:
    WaitQueue& queue_;
    CancelSource* cancel_;
    std::int64_t deadline_ns_;
    WaitNode node_;
    Timer timer_;
  };
  Awaiter wait(CancelSource* cancel = nullptr, std::int64_t deadline_ns = 0) noexcept {
    return Awaiter(*this, cancel, deadline_ns);
  }

 private:
  friend class WaitNode;
  inline void push(WaitNode& node) noexcept;

  WaitNode* head_ = nullptr;
  WaitNode* tail_ = nullptr;
};

inline void WaitNode::unlink() noexcept {
  CancelLink::unlink();
  if (queue_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : queue_->head_) = next_;
  (next_ != nullptr ? next_->previous_ : queue_->tail_) = previous_;
  queue_ = nullptr;
  previous_ = next_ = nullptr;
}

inline void WaitNode::wake(Errc outcome) noexcept {
  if (queue_ == nullptr) return;  // woken already, on its way through the run queue
  unlink();
  outcome_ = outcome;
  resumption_.schedule();
}

inline void WaitQueue::push(WaitNode& node) noexcept {
  node.queue_ = this;
  node.previous_ = tail_;
  (tail_ != nullptr ? tail_->next_ : head_) = &node;
  tail_ = &node;
}

inline bool WaitQueue::wake_one() noexcept {
  if (head_ == nullptr) return false;
  head_->wake(Errc::ok);
  return true;
}

inline void WaitQueue::wake_all() noexcept {
  while (wake_one()) {
  }
}

inline bool WaitQueue::Awaiter::await_suspend(std::coroutine_handle<> caller) {
  if (cancel_ != nullptr && cancel_->requested()) {
    node_.outcome_ = Errc::cancelled;
    return false;
  }
  Core& core = Core::current();
  node_.resumption_.suspend(core, caller);
  queue_.push(node_);
  if (cancel_ != nullptr) cancel_->add(node_);
  if (deadline_ns_ != 0) {
    timer_.arm(
        core, deadline_ns_, [](void* node) noexcept { static_cast<WaitNode*>(node)->wake(Errc::timeout); }, &node_);
  }
  return true;
}

}  // namespace cambium::rt
