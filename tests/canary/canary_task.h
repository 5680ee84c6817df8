// SPDX-License-Identifier: MIT OR Apache-2.0
// The least coroutine type that shows a compiler's faults: lazy, awaited once, with a value.
//
// Not <cambium/rt/task.h>: that one refuses the bad patterns at compile time, and a canary must not depend on what it
// guards. A child can be held at hold_here(), so that its parameters outlive the expression that made them.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <utility>

namespace canary {

template <class T>
class Task {
 public:
  struct promise_type {
    T value{};
    std::coroutine_handle<> waiter;

    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept { return Final{}; }
    void return_value(T v) { value = std::move(v); }
    [[noreturn]] void unhandled_exception() noexcept { std::abort(); }
  };
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
    handle_.promise().waiter = waiter;
    return handle_;
  }
  T await_resume() { return std::move(handle_.promise().value); }

  void start() { handle_.resume(); }
  bool done() const { return handle_.done(); }
  const T& value() const { return handle_.promise().value; }

 private:
  struct Final {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(Handle self) const noexcept {
      const std::coroutine_handle<> waiter = self.promise().waiter;
      return waiter ? waiter : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  Handle handle_;
};

inline std::coroutine_handle<> held;  // the coroutine that waits at hold_here()

struct Hold {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) const noexcept { held = self; }
  void await_resume() const noexcept {}
};
inline Hold hold_here() { return {}; }

// Runs a coroutine to its end. False: it never ended (a miscompiled jump) or gave another value.
template <class T>
bool gives(Task<T> task, const T& expected) {
  task.start();
  while (held) {
    const std::coroutine_handle<> next = std::exchange(held, {});
    next.resume();
  }
  return task.done() && task.value() == expected;
}

struct Pattern {
  const char* what;
  bool (*right)();
};

}  // namespace canary
