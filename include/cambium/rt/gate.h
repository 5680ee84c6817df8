// SPDX-License-Identifier: MIT OR Apache-2.0
// Gate: counts what is under way, so that an object can refuse newcomers and wait for the last one before it goes.
//
// Invariants
//   1. After close() no entry succeeds; the count only falls.
//   2. The gate is idle when it is destroyed (asserted).
//
// Suspends   close(), until everything that entered has left.
#pragma once

#include <cstdint>
#include <utility>

#include <cambium/rt/contract.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

namespace cambium {

class Gate {
 public:
  Gate() noexcept = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() {
    if (count_ != 0) rt::contract_failed("a gate is destroyed while something is inside");
  }

  bool closed() const noexcept { return closed_; }
  std::uint64_t count() const noexcept { return count_; }

  bool try_enter() noexcept {
    if (closed_) return false;
    ++count_;
    return true;
  }
  void leave() noexcept {
    if (--count_ == 0) idle_.wake_all();
  }
  Task<void> close() {
    closed_ = true;
    while (count_ != 0) co_await idle_.wait();
  }

 private:
  std::uint64_t count_ = 0;
  bool closed_ = false;
  rt::WaitQueue idle_;
};

// Leaves the gate at scope exit. Empty when the gate was closed.
class GatePass {
 public:
  explicit GatePass(Gate& gate) noexcept : gate_(gate.try_enter() ? &gate : nullptr) {}
  GatePass(GatePass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
  GatePass& operator=(GatePass&&) = delete;
  ~GatePass() {
    if (gate_ != nullptr) gate_->leave();
  }
  explicit operator bool() const noexcept { return gate_ != nullptr; }

 private:
  Gate* gate_;
};

}  // namespace cambium
