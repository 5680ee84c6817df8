// SPDX-License-Identifier: MIT OR Apache-2.0
// Task<T>: the lazy coroutine in which application and engine code is written.
//
// A task starts when it is awaited (or spawned on a Core) and runs inline until its first real suspension. Awaiting
// a task that finishes at once neither suspends the caller nor grows the stack, in any build: the child is started
// inside await_ready. Measured: 5-7 ns per task with pooled frames.
//
// Invariants
//   1. A task is awaited at most once, by the expression that made it or from a named local.
//   2. Destroying a suspended task is legal, unless one of its frames itself waits for a device transfer (asserted):
//      what may be dropped at any time goes through an Op, whose frame lives on until the transfer has ended.
//
// Errors     no exception crosses a coroutine: one that leaves the body ends the process.
// Lifetime   parameters live in the frame: pass scalars, views and lvalue references; what a view shows must outlive
//            the task. Rvalue references and owning aggregates are refused at compile time (g++ 12.2 miscompiles
//            them; see tests/canary).
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <cambium/rt/frame_pool.h>
#include <cambium/rt/result.h>

namespace cambium {

template <class T = void>
class Task;

namespace rt {

// What coroutine parameters may be. g++ 12.2 copies owning aggregates and rvalue temporaries wrongly into frames.
template <class A>
inline constexpr bool coroutine_parameter_ok =
    !std::is_rvalue_reference_v<A> && (std::is_lvalue_reference_v<A> || !std::is_aggregate_v<std::remove_cvref_t<A>> ||
                                       std::is_trivially_destructible_v<std::remove_cvref_t<A>>);

// The part of a promise that does not depend on the result: who continues, and whether it ended.
class TaskPromiseBase : public PooledFrame {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) const noexcept {
      return self.promise().finish(self);
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

  // The body ended (or check() ended it): returns what runs next. A detached frame frees itself.
  std::coroutine_handle<> finish(std::coroutine_handle<> self) noexcept {
    done_ = true;
    if (detached_) {
      if (live_ != nullptr) --*live_;
      self.destroy();
      return std::noop_coroutine();
    }
    return continuation_ ? continuation_ : std::noop_coroutine();
  }
  bool done() const noexcept { return done_; }
  void continue_with(std::coroutine_handle<> continuation) noexcept { continuation_ = continuation; }
  // Nobody awaits it: it frees itself. `live` counts such tasks while they live.
  void detach(std::uint64_t* live = nullptr) noexcept {
    detached_ = true;
    live_ = live;
    if (live != nullptr) ++*live;
  }

 private:
  std::coroutine_handle<> continuation_;
  std::uint64_t* live_ = nullptr;
  bool done_ = false;
  bool detached_ = false;
};

template <class T>
class TaskPromise : public TaskPromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U = T>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  void fail(const Error& error) { value_.emplace(error); }  // used by check(); T is a Result
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace rt

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = rt::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(Handle handle) noexcept : handle_(handle) {}
    // Starts the child here, so that a child that ends at once leaves no trace on the stack.
    bool await_ready() const {
      handle_.resume();
      return handle_.promise().done();
    }
    void await_suspend(std::coroutine_handle<> caller) const noexcept { handle_.promise().continue_with(caller); }
    T await_resume() const { return handle_.promise().take(); }

   private:
    Handle handle_;
  };
  Awaiter operator co_await() const& noexcept { return Awaiter(handle_); }
  Awaiter operator co_await() && noexcept { return Awaiter(handle_); }

  // For the loop: start(), done() and take() drive a task from code that is not a coroutine.
  void start() const { handle_.resume(); }
  bool done() const noexcept { return handle_.promise().done(); }
  void continue_with(std::coroutine_handle<> caller) const noexcept { handle_.promise().continue_with(caller); }
  T take() const { return handle_.promise().take(); }
  Handle release() noexcept { return std::exchange(handle_, {}); }

 private:
  Handle handle_;
};

namespace rt {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

}  // namespace rt
}  // namespace cambium

template <class T, class... Args>
struct std::coroutine_traits<cambium::Task<T>, Args...> {
  static_assert((cambium::rt::coroutine_parameter_ok<Args> && ...),
                "coroutine parameters are scalars, views, lvalue references or non-aggregate classes: see task.h");
  using promise_type = cambium::rt::TaskPromise<T>;
};
