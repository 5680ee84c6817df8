// SPDX-License-Identifier: MIT OR Apache-2.0
// Semaphore: a count of permits, handed out strictly in the order of asking. Mutex is a semaphore of one.
//
// Invariants
//   1. While somebody waits, a newcomer waits behind them, even if there are permits for it.
//   2. Permits given to a waiter whose frame is destroyed before it runs go to the next one.
//
// Suspends   acquire(), when there are too few permits or somebody is ahead.
#pragma once

#include <coroutine>
#include <cstdint>

#include <cambium/rt/result.h>
#include <cambium/rt/wait_queue.h>

namespace cambium {

class Semaphore {
 public:
  explicit Semaphore(std::uint64_t permits) noexcept : permits_(permits) {}

  std::uint64_t available() const noexcept { return permits_; }

  bool try_acquire(std::uint64_t count = 1) noexcept {
    if (!waiters_.empty() || permits_ < count) return false;
    permits_ -= count;
    return true;
  }

  // co_await semaphore.acquire() yields Errc::ok with the permits, or cancelled / timeout without them.
  class [[nodiscard]] Awaiter : private rt::WaitQueue::Awaiter {
   public:
    Awaiter(Semaphore& semaphore, std::uint64_t count, CancelSource* cancel, std::int64_t deadline_ns) noexcept
        : rt::WaitQueue::Awaiter(semaphore.waiters_, cancel, deadline_ns), semaphore_(semaphore), count_(count) {
      ask(count);
    }
    ~Awaiter() {
      // The frame goes while it waits, or between the grant and its resumption.
      if (granted()) {
        semaphore_.release(count_);
      } else if (waits_) {
        leave();
        semaphore_.grant();
      }
    }
    bool await_ready() const noexcept { return semaphore_.try_acquire(count_); }
    bool await_suspend(std::coroutine_handle<> caller) {
      waits_ = true;
      return rt::WaitQueue::Awaiter::await_suspend(caller);
    }
    Errc await_resume() noexcept {
      const Errc outcome = rt::WaitQueue::Awaiter::await_resume();
      if (waits_ && outcome != Errc::ok) semaphore_.grant();  // those behind may fit now
      waits_ = false;
      return outcome;
    }

   private:
    Semaphore& semaphore_;
    std::uint64_t count_;
    bool waits_ = false;
  };
  Awaiter acquire(std::uint64_t count = 1, CancelSource* cancel = nullptr, std::int64_t deadline_ns = 0) noexcept {
    return Awaiter(*this, count, cancel, deadline_ns);
  }

  void release(std::uint64_t count = 1) noexcept {
    permits_ += count;
    grant();
  }

 private:
  // The permits change hands here, not when the waiter runs: nobody can slip in between.
  void grant() noexcept {
    while (!waiters_.empty() && permits_ >= waiters_.front_amount()) {
      permits_ -= waiters_.front_amount();
      waiters_.wake_one();
    }
  }

  std::uint64_t permits_;
  rt::WaitQueue waiters_;
};

class Mutex {
 public:
  bool try_lock() noexcept { return semaphore_.try_acquire(); }
  Semaphore::Awaiter lock(CancelSource* cancel = nullptr, std::int64_t deadline_ns = 0) noexcept {
    return semaphore_.acquire(1, cancel, deadline_ns);
  }
  void unlock() noexcept { semaphore_.release(); }
  bool locked() const noexcept { return semaphore_.available() == 0; }

 private:
  Semaphore semaphore_{1};
};

// Unlocks at scope exit: `co_await mutex.lock(); MutexGuard guard(mutex);`
class MutexGuard {
 public:
  explicit MutexGuard(Mutex& mutex) noexcept : mutex_(mutex) {}
  MutexGuard(const MutexGuard&) = delete;
  MutexGuard& operator=(const MutexGuard&) = delete;
  ~MutexGuard() { mutex_.unlock(); }

 private:
  Mutex& mutex_;
};

}  // namespace cambium
