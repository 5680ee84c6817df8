// SPDX-License-Identifier: MIT OR Apache-2.0
//
// How much work a step of background sorting may do, and how much it did.
//
// The loop is single-threaded: sorting a full buffer in one go would hold it for 100 ms. So sorters and
// mergers are stepped, and give the loop back when their budget is spent.
//
// Units      one entry handled in one pass: 2-10 ns in a sequential pass, up to ~50 ns where its key is read.
//            kStepEntries keeps a step near 150 us, below the 300 us a step may take.
// Invariants a step may overshoot its budget by a constant (kStepOvershoot), never by the size of the input.
#pragma once

#include <cstddef>

namespace cambium {

inline constexpr std::size_t kStepEntries = 4096;
inline constexpr std::size_t kStepOvershoot = 1024;

class StepBudget {
 public:
  explicit StepBudget(std::size_t entries) noexcept : limit_(entries) {}

  void use(std::size_t entries) noexcept { used_ += entries; }
  [[nodiscard]] bool spent() const noexcept { return used_ >= limit_; }
  [[nodiscard]] std::size_t left() const noexcept { return spent() ? 0 : limit_ - used_; }
  [[nodiscard]] std::size_t used() const noexcept { return used_; }

 private:
  std::size_t limit_;
  std::size_t used_ = 0;
};

}  // namespace cambium
