// SPDX-License-Identifier: MIT OR Apache-2.0
// PositionMarks: from which position a replay sees every record above a sequence. Pure, of bounded size.
//
// One mark per group in which a record begins. When there are too many, every second one goes: the answer is then
// an earlier position than need be, never a later one.
//
// Invariants
//   1. Positions and sequences of the marks strictly grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cambium/ids.h>

#include "base/assert.h"

namespace cambium {

class PositionMarks {
 public:
  static constexpr std::size_t kMarksMax = 1024;

  // Records above `first` - 1 begin at `position` or later.
  PositionMarks(std::uint64_t position, Sequence first) {
    marks_.reserve(kMarksMax);
    marks_.push_back({position, first});
  }

  // The first record that begins at or after `position` has sequence `first`.
  void add(std::uint64_t position, Sequence first) noexcept {
    Mark& last = marks_.back();
    CAMBIUM_ASSERT(position >= last.position && first >= last.first);
    if (first == last.first) {  // nothing began in between: the later position serves as well
      last.position = position;
      return;
    }
    if (position == last.position) return;
    if (marks_.size() == kMarksMax) thin();
    marks_.push_back({position, first});
  }

  // Where every record with a sequence above `sequence` begins at or after.
  std::uint64_t position_of(Sequence sequence) const noexcept {
    std::size_t low = 0;
    std::size_t high = marks_.size();  // the answer is in [low, high)
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (raw(marks_[middle].first) - 1 <= raw(sequence) ? low : high) = middle;
    }
    return marks_[low].position;
  }

  // Nobody will ask for what lies before.
  void drop_before(std::uint64_t position) noexcept {
    std::size_t dropped = 0;
    while (dropped + 1 < marks_.size() && marks_[dropped + 1].position <= position) ++dropped;
    marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(dropped));
    if (marks_.front().position < position) marks_.front().position = position;
  }

  std::size_t count() const noexcept { return marks_.size(); }

 private:
  struct Mark {
    std::uint64_t position;
    Sequence first;
  };
  void thin() noexcept {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < marks_.size(); i += 2) marks_[kept++] = marks_[i];
    marks_.resize(kept);
  }

  std::vector<Mark> marks_;
};

}  // namespace cambium
