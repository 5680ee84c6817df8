// SPDX-License-Identifier: MIT OR Apache-2.0
// CancelSource: a caller's request that the operations it was given to end early.
//
// Cancelling is a request: the operation still completes, with Errc::cancelled or with its result. Option structs
// carry a plain pointer, so they own nothing.
//
// Lifetime   the source outlives every operation it was given to, or unlinks them when it is destroyed.
#pragma once

namespace cambium {

class CancelSource;

namespace rt {

// Something that waits and can be told to stop.
class CancelLink {
 public:
  CancelLink() noexcept = default;
  CancelLink(const CancelLink&) = delete;
  CancelLink& operator=(const CancelLink&) = delete;

 protected:
  virtual ~CancelLink() { unlink(); }
  virtual void on_cancel() noexcept = 0;
  inline void unlink() noexcept;

 private:
  friend class cambium::CancelSource;
  CancelSource* source_ = nullptr;
  CancelLink* previous_ = nullptr;
  CancelLink* next_ = nullptr;
};

}  // namespace rt

class CancelSource {
 public:
  CancelSource() noexcept = default;
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;
  ~CancelSource() {
    while (head_ != nullptr) remove(*head_);
  }

  bool requested() const noexcept { return requested_; }

  // Idempotent. Waiters are woken through the run queue, not inline.
  void request() noexcept {
    requested_ = true;
    while (head_ != nullptr) {
      rt::CancelLink& link = *head_;
      remove(link);
      link.on_cancel();
    }
  }

  void add(rt::CancelLink& link) noexcept {
    link.source_ = this;
    link.previous_ = nullptr;
    link.next_ = head_;
    if (head_ != nullptr) head_->previous_ = &link;
    head_ = &link;
  }
  void remove(rt::CancelLink& link) noexcept {
    (link.previous_ != nullptr ? link.previous_->next_ : head_) = link.next_;
    if (link.next_ != nullptr) link.next_->previous_ = link.previous_;
    link.source_ = nullptr;
    link.previous_ = link.next_ = nullptr;
  }

 private:
  rt::CancelLink* head_ = nullptr;
  bool requested_ = false;
};

namespace rt {

inline void CancelLink::unlink() noexcept {
  if (source_ != nullptr) source_->remove(*this);
}

}  // namespace rt
}  // namespace cambium
