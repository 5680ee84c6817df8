// SPDX-License-Identifier: MIT OR Apache-2.0
// Lays straight lines along a rising step function, none further from it than epsilon: one pass, constant memory.
//
// The shrinking cone of A. Galakatos et al., "FITing-Tree: A Data-aware Index Structure" (SIGMOD 2019): of all slopes
// from a segment's first point, keep those that pass every point since within epsilon; when none is left, the point
// begins the next segment. Optimal lines (P. Ferragina, G. Vinciguerra, "The PGM-index", VLDB 2020) need about half as
// many segments, at the price of two convex hulls; here segments are few, and epsilon can grow instead.
//
// Invariants
//   1. |predict(segment, x) - y| <= epsilon for every point of the segment. Exact: integers only.
//   2. Predictions do not fall as x rises, so what lies between two points is held by them.
//
// Units      x: any 64-bit number; y: leaves; slope: leaves per unit of x, as a fraction of 2^64.
#pragma once

#include <cstdint>
#include <optional>

#include "base/assert.h"
#include "base/wide.h"

namespace cambium {

struct Segment {
  std::uint64_t start = 0;  // x of its first point
  std::uint64_t slope = 0;
  std::uint32_t ordinal = 0;  // y of its first point
};

// How far above the segment's ordinal its line stands, `distance` right of its start.
inline std::uint64_t segment_rise(std::uint64_t slope, std::uint64_t distance) noexcept {
  return static_cast<std::uint64_t>((static_cast<rt::uint128>(slope) * distance) >> 64);
}

class SegmentFitter {
 public:
  explicit SegmentFitter(std::uint32_t epsilon) noexcept : epsilon_(epsilon) {}

  // Takes the next point; if it does not fit the segment so far, returns that segment and begins another.
  // Requires: x and y not below those of the point before; the same y for the same x.
  std::optional<Segment> add(std::uint64_t x, std::uint32_t y) noexcept {
    if (empty_) {
      begin(x, y);
      return std::nullopt;
    }
    CAMBIUM_ASSERT(x >= start_ && y >= ordinal_);
    if (x == start_ || narrow(x - start_, y - ordinal_)) return std::nullopt;
    const Segment finished = segment();
    begin(x, y);
    return finished;
  }

  // The segment so far. Requires: a point was added.
  Segment segment() const noexcept {
    CAMBIUM_ASSERT(!empty_);
    return {start_, slope_min_ + (slope_max_ - slope_min_) / 2, ordinal_};
  }

 private:
  void begin(std::uint64_t x, std::uint32_t y) noexcept {
    empty_ = false;
    start_ = x;
    ordinal_ = y;
    slope_min_ = 0;
    slope_max_ = ~std::uint64_t{0};  // just under one leaf per unit: bounds that differ by less share their head
  }

  // Leaves only slopes m with |floor(m * dx / 2^64) - dy| <= epsilon; if none, leaves everything as it was. Divides
  // only where a limit moves.
  bool narrow(std::uint64_t dx, std::uint64_t dy) noexcept {
    constexpr rt::uint128 kSlopeEnd = static_cast<rt::uint128>(1) << 64;
    rt::uint128 low = slope_min_;
    rt::uint128 high = slope_max_;
    if (dy > epsilon_ && segment_rise(slope_min_, dx) < dy - epsilon_) {
      low = ((static_cast<rt::uint128>(dy - epsilon_) << 64) + dx - 1) / dx;
      if (low >= kSlopeEnd) return false;
    }
    if (segment_rise(slope_max_, dx) > dy + epsilon_) {
      high = ((static_cast<rt::uint128>(dy + epsilon_ + 1) << 64) - 1) / dx;
    }
    if (low > high) return false;
    slope_min_ = static_cast<std::uint64_t>(low);
    slope_max_ = static_cast<std::uint64_t>(high);
    return true;
  }

  std::uint32_t epsilon_;
  bool empty_ = true;
  std::uint64_t start_ = 0;
  std::uint32_t ordinal_ = 0;
  std::uint64_t slope_min_ = 0;
  std::uint64_t slope_max_ = 0;
};

}  // namespace cambium
