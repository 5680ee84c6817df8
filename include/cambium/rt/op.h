// SPDX-License-Identifier: MIT OR Apache-2.0
// Op<T>: what every operation of the engine returns.
//
// The call starts the work and has consumed its inputs when it returns; co_await only collects. When the answer is
// at hand the Op is ready: no coroutine frame, no allocation, no suspension. Otherwise the Op is the handle of an
// eagerly started coroutine (any function that returns Op and says co_return), whose frame owns what is in flight.
//
// Invariants
//   1. An Op is collected at most once.
//   2. Dropping an Op never cancels its work: the frame finishes on its own and frees itself.
//
// Errors     awaiting yields Result<T>; check() of check.h unwraps it.
// Lifetime   an Op is plain data of the awaiting code; it may be awaited from any coroutine type.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include <cambium/rt/frame_pool.h>
#include <cambium/rt/result.h>

namespace cambium {

template <class T>
class Op;

namespace rt {

template <class T>
class OpPromise : public PooledFrame {
 public:
  Op<T> get_return_object() noexcept;
  std::suspend_never initial_suspend() const noexcept { return {}; }
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<OpPromise> self) const noexcept {
      return self.promise().finish(self);
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }
  template <class U>
  void return_value(U&& value) {
    result_.emplace(std::forward<U>(value));
  }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

  std::coroutine_handle<> finish(std::coroutine_handle<> self) noexcept {
    done_ = true;
    if (abandoned_) {
      self.destroy();
      return std::noop_coroutine();
    }
    return continuation_ ? continuation_ : std::noop_coroutine();
  }
  void fail(const Error& error) { result_.emplace(error); }
  bool done() const noexcept { return done_; }
  void continue_with(std::coroutine_handle<> continuation) noexcept { continuation_ = continuation; }
  void abandon() noexcept { abandoned_ = true; }
  Result<T>& result() noexcept { return *result_; }

 private:
  std::optional<Result<T>> result_;
  std::coroutine_handle<> continuation_;
  bool done_ = false;
  bool abandoned_ = false;
};

}  // namespace rt

template <class T>
class [[nodiscard]] Op {
 public:
  using promise_type = rt::OpPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Op(Result<T> ready) noexcept : ready_(std::move(ready)) {}  // NOLINT: implicit by design
  // Ready, with a value made in its place: hot paths save the moves.
  template <class... Args>
  explicit Op(std::in_place_t, Args&&... args) noexcept : ready_(std::in_place, std::forward<Args>(args)...) {}
  Op(Error error) noexcept : ready_(std::move(error)) {}  // NOLINT: implicit by design
  explicit Op(Handle handle) noexcept : ready_(Errc::closed), handle_(handle) {}
  Op(Op&& other) noexcept : ready_(std::move(other.ready_)), handle_(std::exchange(other.handle_, {})) {}
  Op& operator=(Op&& other) noexcept {
    if (this != &other) {
      drop();
      ready_ = std::move(other.ready_);
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Op() { drop(); }

  bool await_ready() const noexcept { return !handle_ || handle_.promise().done(); }
  void await_suspend(std::coroutine_handle<> caller) noexcept { handle_.promise().continue_with(caller); }
  Result<T> await_resume() noexcept { return std::move(result()); }

  bool ready() const noexcept { return await_ready(); }
  Result<T>& result() noexcept { return handle_ ? handle_.promise().result() : ready_; }  // Requires: ready()

 private:
  void drop() noexcept {
    if (!handle_) return;
    if (handle_.promise().done()) {
      handle_.destroy();
    } else {
      handle_.promise().abandon();
    }
  }

  Result<T> ready_;
  Handle handle_;
};

namespace rt {

template <class T>
Op<T> OpPromise<T>::get_return_object() noexcept {
  return Op<T>(std::coroutine_handle<OpPromise<T>>::from_promise(*this));
}

}  // namespace rt
}  // namespace cambium
