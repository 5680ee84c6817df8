// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A log-linear histogram of latencies or sizes: fixed memory, O(1) record, exact merge.
//
// Each power of two is cut into 128 equal buckets, so a bucket is at most 1/128 of its values wide.
// After G. Tene's HdrHistogram (hdrhistogram.org), with fixed range and precision.
//
// Invariants
//   1. A reported percentile is never below the true one, and above it by less than 1 %.
//   2. min, max, count and mean are exact; merging two histograms equals recording both streams.
//
// Units      the caller's, usually nanoseconds. Values above 2^40 (18 minutes) count as 2^40.
// Errors     none; no allocation. One object is 34 KiB: a member or a heap object, not a local of a coroutine.
// Lifetime   a value type; one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/wide.h"

namespace cambium::rt {

class Histogram {
 public:
  static constexpr std::uint64_t kValueMax = std::uint64_t{1} << 40;

  void record(std::uint64_t value, std::uint64_t times = 1) noexcept;

  /// The value that `percent` per cent of the recorded ones do not exceed: 0 gives min(), 100 max().
  /// 0 when nothing is recorded. Requires: 0 <= percent <= 100.
  [[nodiscard]] std::uint64_t percentile(double percent) const noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  [[nodiscard]] double mean() const noexcept;

  void merge(const Histogram& other) noexcept;
  void clear() noexcept;

 private:
  static constexpr unsigned kSubBits = 7;
  // shift 0..33 (2^40 itself is the first bucket of its row), 128 buckets each, after the first row.
  static constexpr std::size_t kBucketCount = (std::size_t{33} << kSubBits) + (std::size_t{1} << kSubBits) + 1;

  static std::size_t bucket_of(std::uint64_t value) noexcept;
  static std::uint64_t bucket_last(std::size_t bucket) noexcept;

  std::array<std::uint64_t, kBucketCount> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
  uint128 sum_ = 0;
};

}  // namespace cambium::rt
