// SPDX-License-Identifier: MIT OR Apache-2.0
// MessageQueue: the inbox of a core: any thread pushes, the core takes everything at once.
//
// Invariants
//   1. Messages of one sender come out in the order in which they went in.
//
// Lifetime   holds records of others; a record may be gone once its run() has been called.
#pragma once

#include <atomic>

#include <cambium/rt/core.h>

namespace cambium::rt {

class MessageQueue {
 public:
  bool empty() const noexcept { return head_.load(std::memory_order_acquire) == nullptr; }

  void push(Message& message) noexcept {
    Message* head = head_.load(std::memory_order_relaxed);
    do {
      message.next_ = head;
    } while (!head_.compare_exchange_weak(head, &message, std::memory_order_release, std::memory_order_relaxed));
  }

  // Runs what is there now; what is pushed meanwhile waits for the next call. Returns how many ran.
  std::size_t run_all() noexcept {
    if (empty()) return 0;
    Message* stack = head_.exchange(nullptr, std::memory_order_acquire);
    Message* first = nullptr;
    while (stack != nullptr) {  // the newest is on top
      Message* const next = stack->next_;
      stack->next_ = first;
      first = stack;
      stack = next;
    }
    std::size_t count = 0;
    while (first != nullptr) {
      Message* const next = first->next_;  // read before run(), which may free the record
      first->run();
      first = next;
      ++count;
    }
    return count;
  }

 private:
  std::atomic<Message*> head_{nullptr};
};

// Who has to wake whom. The sleeper announces itself and then looks into its queues once more; a sender queues its
// message and then looks for a sleeper. Each side stores, passes a full fence, and loads what the other one stored:
// at least one of the two sees the other's store, so a message is never left lying beside a sleeping core, and a core
// that is awake costs its senders no system call.
class SleepFlag {
 public:
  void announce() noexcept {
    asleep_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void retract() noexcept { asleep_.store(false, std::memory_order_relaxed); }

  // For a sender, after it queued: true for exactly one sender per nap: that one calls wake().
  bool claim() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return asleep_.load(std::memory_order_relaxed) && asleep_.exchange(false, std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> asleep_{true};  // a core that nobody drives yet
};

// Further queues that a core empties in its turns: those of a cluster.
class MessageSource {
 public:
  virtual bool empty() const noexcept = 0;
  virtual std::size_t run_all() noexcept = 0;

 protected:
  ~MessageSource() = default;
};

}  // namespace cambium::rt
