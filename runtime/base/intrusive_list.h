// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A doubly linked list whose links live inside its elements: no allocation, O(1) removal from the middle.
//
// Waiters, timers and running operations are kept in such lists. An element that can be in two lists has
// two bases, each derived from IntrusiveNode, and the list names the one it uses:
//
//   struct InQueue : IntrusiveNode {};
//   struct InGroup : IntrusiveNode {};
//   struct Job : InQueue, InGroup { ... };
//   IntrusiveList<Job, InQueue> queue;
//
// Invariants
//   1. A node is in at most one list; linking a linked one is asserted against.
//   2. A node is unlinked, and a list is empty, when destroyed (asserted): nobody keeps a dangling link.
//
// Lifetime   the list owns nothing. Neither nodes nor lists copy or move.
#pragma once

#include <cstddef>
#include <iterator>
#include <type_traits>

#include "base/assert.h"

namespace cambium::rt {

class IntrusiveNode {
 public:
  IntrusiveNode() noexcept = default;
  IntrusiveNode(const IntrusiveNode&) = delete;
  IntrusiveNode& operator=(const IntrusiveNode&) = delete;
  ~IntrusiveNode() { CAMBIUM_ASSERT(!linked()); }

  [[nodiscard]] bool linked() const noexcept { return next_ != nullptr; }

  /// Leaves its list. Requires: linked().
  void unlink() noexcept {
    CAMBIUM_ASSERT(linked());
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = nullptr;
    previous_ = nullptr;
  }

 private:
  template <class T, class Node>
  friend class IntrusiveList;

  IntrusiveNode* next_ = nullptr;
  IntrusiveNode* previous_ = nullptr;
};

template <class T, class Node = IntrusiveNode>
class IntrusiveList {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&;

    Iterator() noexcept = default;
    explicit Iterator(IntrusiveNode* at) noexcept : at_(at) {}
    T& operator*() const noexcept { return element(at_); }
    T* operator->() const noexcept { return &element(at_); }
    Iterator& operator++() noexcept {
      at_ = at_->next_;
      return *this;
    }
    Iterator operator++(int) noexcept {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const noexcept = default;

   private:
    friend class IntrusiveList;
    IntrusiveNode* at_ = nullptr;
  };

  IntrusiveList() noexcept { ends_.next_ = ends_.previous_ = &ends_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    CAMBIUM_ASSERT(empty());
    ends_.next_ = ends_.previous_ = nullptr;  // so that the base's own assertion is at rest
  }

  [[nodiscard]] bool empty() const noexcept { return ends_.next_ == &ends_; }

  /// Require: !empty().
  [[nodiscard]] T& front() const noexcept {
    CAMBIUM_ASSERT(!empty());
    return element(ends_.next_);
  }
  [[nodiscard]] T& back() const noexcept {
    CAMBIUM_ASSERT(!empty());
    return element(ends_.previous_);
  }
  T& pop_front() noexcept {
    T& first = front();
    node_of(first).unlink();
    return first;
  }
  T& pop_back() noexcept {
    T& last = back();
    node_of(last).unlink();
    return last;
  }

  /// Require: the element is in no list through this node.
  void push_back(T& item) noexcept { link_before(&ends_, &node_of(item)); }
  void push_front(T& item) noexcept { link_before(ends_.next_, &node_of(item)); }
  void insert_before(T& position, T& item) noexcept { link_before(&node_of(position), &node_of(item)); }

  /// Requires: the element is in this list (only that it is in some list can be asserted).
  void remove(T& item) noexcept { node_of(item).unlink(); }

  /// Moves all elements of `other`, in order, to the end of this list. O(1).
  void take_all(IntrusiveList& other) noexcept {
    if (other.empty() || &other == this) return;
    IntrusiveNode* const first = other.ends_.next_;
    IntrusiveNode* const last = other.ends_.previous_;
    other.ends_.next_ = other.ends_.previous_ = &other.ends_;
    first->previous_ = ends_.previous_;
    ends_.previous_->next_ = first;
    last->next_ = &ends_;
    ends_.previous_ = last;
  }

  /// The element under an iterator may be removed once the iterator has moved on.
  [[nodiscard]] Iterator begin() const noexcept { return Iterator(ends_.next_); }
  [[nodiscard]] Iterator end() const noexcept { return Iterator(&ends_); }

 private:
  // The casts stand in functions because T is still incomplete where the list is a member of T's owner.
  static T& element(IntrusiveNode* node) noexcept {
    static_assert(std::is_base_of_v<IntrusiveNode, Node> && std::is_base_of_v<Node, T>);
    return static_cast<T&>(static_cast<Node&>(*node));
  }
  static IntrusiveNode& node_of(T& item) noexcept { return static_cast<Node&>(item); }

  static void link_before(IntrusiveNode* position, IntrusiveNode* node) noexcept {
    CAMBIUM_ASSERT_MSG(!node->linked(), "an element is in one list at a time");
    node->previous_ = position->previous_;
    node->next_ = position;
    position->previous_->next_ = node;
    position->previous_ = node;
  }

  mutable IntrusiveNode ends_;  // its next is the first element, its previous the last
};

}  // namespace cambium::rt
