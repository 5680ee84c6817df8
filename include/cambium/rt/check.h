// SPDX-License-Identifier: MIT OR Apache-2.0
// check(): `T value = co_await check(op);` yields the value, or ends the enclosing coroutine with the error.
//
// Works on Op<T>, Task<Result<T>> and Result<T>, inside any coroutine that returns Task<Result<U>> or Op<U>. No
// exception is thrown: on an error the awaiting frame stays suspended at the check, its promise takes the error, and
// its owner destroys it, locals and all, when it collects the result.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <cambium/rt/frame_pool.h>
#include <cambium/rt/op.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

namespace cambium {
namespace rt {

// A frame of its own that stands between an operation in flight and the coroutine that checks it: the only way to
// look at the result before deciding whether to resume that coroutine.
struct CheckRelay {
  struct promise_type : PooledFrame {
    CheckRelay get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    struct FinalAwaiter {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        const std::coroutine_handle<> next = self.promise().next_;
        self.destroy();
        return next;
      }
      void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void return_value(std::coroutine_handle<> next) noexcept { next_ = next; }
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    std::coroutine_handle<> next_;
  };
  std::coroutine_handle<promise_type> handle;
};

// Inner: an awaiter whose await_resume() returns Result<T>, and which owns what it awaits.
template <class Inner, class T>
class [[nodiscard]] CheckAwaiter {
 public:
  explicit CheckAwaiter(Inner inner) noexcept : inner_(std::move(inner)) {}
  CheckAwaiter(const CheckAwaiter&) = delete;
  CheckAwaiter& operator=(const CheckAwaiter&) = delete;
  ~CheckAwaiter() {
    if (relay_) relay_.destroy();  // the awaiting frame is destroyed while the operation is in flight
  }

  bool await_ready() {
    if (!inner_.await_ready()) return false;
    result_.emplace(inner_.await_resume());
    return result_->has_value();
  }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) {
    if (result_) return end(self);
    relay_ = relay(this, self).handle;
    inner_.await_suspend(relay_);
    return std::noop_coroutine();
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(*result_).value();
  }

 private:
  template <class P>
  static CheckRelay relay(CheckAwaiter* awaiter, std::coroutine_handle<P> self) {
    awaiter->relay_ = nullptr;  // it is running: it frees itself
    awaiter->result_.emplace(awaiter->inner_.await_resume());
    if (awaiter->result_->has_value()) co_return self;
    co_return awaiter->end(self);
  }
  template <class P>
  std::coroutine_handle<> end(std::coroutine_handle<P> self) {
    self.promise().fail(result_->error());
    return self.promise().finish(self);
  }

  Inner inner_;
  std::optional<Result<T>> result_;
  std::coroutine_handle<> relay_;
};

template <class T>
class CheckedTask {
 public:
  explicit CheckedTask(Task<Result<T>> task) noexcept : task_(std::move(task)) {}
  bool await_ready() const {
    task_.start();
    return task_.done();
  }
  void await_suspend(std::coroutine_handle<> caller) const noexcept { task_.continue_with(caller); }
  Result<T> await_resume() const { return task_.take(); }

 private:
  Task<Result<T>> task_;
};

template <class T>
class CheckedResult {
 public:
  explicit CheckedResult(Result<T> result) noexcept : result_(std::move(result)) {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  Result<T> await_resume() noexcept { return std::move(result_); }

 private:
  Result<T> result_;
};

}  // namespace rt

template <class T>
auto check(Op<T> op) {
  return rt::CheckAwaiter<Op<T>, T>(std::move(op));
}
template <class T>
auto check(Task<Result<T>> task) {
  return rt::CheckAwaiter<rt::CheckedTask<T>, T>(rt::CheckedTask<T>(std::move(task)));
}
template <class T>
auto check(Result<T> result) {
  return rt::CheckAwaiter<rt::CheckedResult<T>, T>(rt::CheckedResult<T>(std::move(result)));
}

}  // namespace cambium
