// SPDX-License-Identifier: MIT OR Apache-2.0
// RequestList: a first-in-first-out list of I/O requests, linked through IoRequest::next.
//
// Lifetime   owns nothing; a request is in at most one list.
#pragma once

#include <cstddef>
#include <utility>

#include <cambium/rt/io.h>

namespace cambium::rt {

class RequestList {
 public:
  bool empty() const noexcept { return first_ == nullptr; }

  void push_back(IoRequest& request) noexcept {
    request.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &request;
    last_ = &request;
  }
  void push_front(IoRequest& request) noexcept {
    request.next = first_;
    first_ = &request;
    if (last_ == nullptr) last_ = &request;
  }
  const IoRequest* front() const noexcept { return first_; }  // null when empty
  IoRequest* pop_front() noexcept {                           // null when empty
    IoRequest* const request = first_;
    if (request == nullptr) return nullptr;
    first_ = request->next;
    if (first_ == nullptr) last_ = nullptr;
    request->next = nullptr;
    return request;
  }

  // False when it is not in here. O(n): only cancelling asks.
  bool remove(const IoRequest& request) noexcept {
    IoRequest* previous = nullptr;
    for (IoRequest* r = first_; r != nullptr; previous = r, r = r->next) {
      if (r != &request) continue;
      (previous != nullptr ? previous->next : first_) = r->next;
      if (last_ == r) last_ = previous;
      r->next = nullptr;
      return true;
    }
    return false;
  }

  // Everything at once; the list is empty afterwards.
  RequestList take() noexcept {
    RequestList taken;
    std::swap(taken, *this);
    return taken;
  }

 private:
  IoRequest* first_ = nullptr;
  IoRequest* last_ = nullptr;
};

}  // namespace cambium::rt
