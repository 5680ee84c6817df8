// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A bounded queue from one thread to one other: how cores hand each other messages.
//
// Each side keeps its own index and a copy of the other's, read again only when the copy says full or empty: a
// message then costs one cache line transfer, not three.
//
// Invariants
//   1. One thread pushes, one thread pops; they need no further synchronisation.
//   2. What was written before a push is visible after the pop of that element.
//
// Units      kCapacity elements, a power of two.
// Errors     a full queue refuses: what then, is the caller's to say.
// Lifetime   elements left inside are dropped without a destructor.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <type_traits>

namespace cambium::rt {

template <class T, std::size_t kCapacity>
class SpscQueue {
  static_assert(std::has_single_bit(kCapacity));
  static_assert(std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T>);

 public:
  SpscQueue() noexcept = default;
  SpscQueue(const SpscQueue&) = delete;
  SpscQueue& operator=(const SpscQueue&) = delete;

  [[nodiscard]] static constexpr std::size_t capacity() noexcept { return kCapacity; }

  /// The pushing thread only. False when the queue is full.
  [[nodiscard]] bool try_push(T item) noexcept {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ == kCapacity) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ == kCapacity) return false;
    }
    items_[tail & (kCapacity - 1)] = item;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// The popping thread only. False when the queue is empty.
  [[nodiscard]] bool try_pop(T& item) noexcept {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return false;
    }
    item = items_[head & (kCapacity - 1)];
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  /// Exact for the popping thread; for others a guess that may be out of date.
  [[nodiscard]] bool empty() const noexcept {
    return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_acquire);
  }

 private:
  static constexpr std::size_t kCacheLineBytes = 64;

  alignas(kCacheLineBytes) std::atomic<std::size_t> tail_{0};  // the pushing thread's line
  std::size_t head_seen_ = 0;
  alignas(kCacheLineBytes) std::atomic<std::size_t> head_{0};  // the popping thread's line
  std::size_t tail_seen_ = 0;
  alignas(kCacheLineBytes) T items_[kCapacity] = {};
};

}  // namespace cambium::rt
