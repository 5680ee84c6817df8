// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A first-in-first-out queue of small values in a circular array: the run queue of a loop.
//
// Faster than std::deque where it matters: a push and a pop are one masked index each, and a queue that
// has reached its working size allocates no more.
//
// Invariants
//   1. The capacity is 0 or a power of two, and never shrinks.
//   2. head_ and tail_ count up for ever; their difference is the size, their low bits the position.
//
// Errors     growing may throw std::bad_alloc, the queue is then unchanged; reserve() moves that risk to
//            a moment of your choice.
// Lifetime   move only, one thread at a time. A moved-from queue is empty and usable.
#pragma once

#include <bit>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace cambium::rt {

template <class T>
class RingQueue {
  static_assert(std::is_trivially_copyable_v<T>, "elements are copied on growth and dropped without a destructor");

 public:
  RingQueue() noexcept = default;
  RingQueue(RingQueue&& other) noexcept
      : items_(std::move(other.items_)),
        capacity_(std::exchange(other.capacity_, 0)),
        head_(std::exchange(other.head_, 0)),
        tail_(std::exchange(other.tail_, 0)) {}
  RingQueue& operator=(RingQueue&& other) noexcept {
    RingQueue taken(std::move(other));
    std::swap(items_, taken.items_);
    std::swap(capacity_, taken.capacity_);
    std::swap(head_, taken.head_);
    std::swap(tail_, taken.tail_);
    return *this;
  }

  [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
  [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  void push_back(T item) {
    if (size() == capacity_) [[unlikely]]
      grow(size() + 1);
    items_[tail_++ & (capacity_ - 1)] = item;
  }

  /// Require: !empty().
  [[nodiscard]] T& front() noexcept {
    CAMBIUM_ASSERT(!empty());
    return items_[head_ & (capacity_ - 1)];
  }
  T pop_front() noexcept {
    CAMBIUM_ASSERT(!empty());
    return items_[head_++ & (capacity_ - 1)];
  }

  /// Makes room for `count` elements in all.
  void reserve(std::size_t count) {
    if (count > capacity_) grow(count);
  }

  /// Drops the elements, keeps the memory.
  void clear() noexcept { head_ = tail_; }

 private:
  static constexpr std::size_t kCapacityMin = 16;

  [[gnu::noinline]] void grow(std::size_t count) {
    const std::size_t capacity = std::bit_ceil(count < kCapacityMin ? kCapacityMin : count);
    auto items = std::make_unique_for_overwrite<T[]>(capacity);
    const std::size_t kept = size();
    for (std::size_t i = 0; i < kept; ++i) items[i] = items_[(head_ + i) & (capacity_ - 1)];
    items_ = std::move(items);
    capacity_ = capacity;
    head_ = 0;
    tail_ = kept;
  }

  std::unique_ptr<T[]> items_;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace cambium::rt
