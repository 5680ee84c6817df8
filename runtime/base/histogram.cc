// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"

namespace cambium::rt {

// Values of up to 8 bits have a bucket each. A longer value keeps its first 8 bits: it is shifted right
// until they are left, and each shift has a row of 128 buckets (the first of the 8 bits is always set).
std::size_t Histogram::bucket_of(std::uint64_t value) noexcept {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  const unsigned shift = width > kSubBits + 1 ? width - (kSubBits + 1) : 0;
  return (std::size_t{shift} << kSubBits) + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::bucket_last(std::size_t bucket) noexcept {
  constexpr std::size_t kRow = std::size_t{1} << kSubBits;
  if (bucket < 2 * kRow) return bucket;
  const std::size_t shift = (bucket >> kSubBits) - 1;
  const std::uint64_t first_bits = bucket - (shift << kSubBits);
  return ((first_bits + 1) << shift) - 1;
}

void Histogram::record(std::uint64_t value, std::uint64_t times) noexcept {
  if (times == 0) return;
  value = std::min(value, kValueMax);
  buckets_[bucket_of(value)] += times;
  count_ += times;
  sum_ += static_cast<uint128>(value) * times;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

std::uint64_t Histogram::percentile(double percent) const noexcept {
  CAMBIUM_ASSERT(percent >= 0 && percent <= 100);
  if (count_ == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::ceil(percent / 100 * static_cast<double>(count_)));
  // The first and the last rank are known exactly; a rank rounded past the count ends here too.
  if (wanted <= 1) return min_;
  if (wanted >= count_) return max_;
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) return std::clamp(bucket_last(bucket), min_, max_);
  }
  CAMBIUM_UNREACHABLE();  // seen has reached count_, and wanted is less
}

double Histogram::mean() const noexcept {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

void Histogram::merge(const Histogram& other) noexcept {
  for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) buckets_[bucket] += other.buckets_[bucket];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

void Histogram::clear() noexcept { *this = Histogram{}; }

}  // namespace cambium::rt
