// SPDX-License-Identifier: MIT OR Apache-2.0
// SegmentSet: the segments of a log: those in use, by ordinal, and those free for the ordinals to come. Pure.
//
// Invariants
//   1. The ordinals in use are consecutive.
//   2. A segment is in use or free, never both; together at most format::kWalSegmentsMax.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "format/wal_segment.h"

namespace cambium {

class SegmentSet {
 public:
  // `live`: first pages of the ordinals from `first_ordinal` on. `free`: of the others.
  SegmentSet(std::uint64_t first_ordinal, std::vector<std::uint32_t> live, std::vector<std::uint32_t> free)
      : first_ordinal_(first_ordinal), live_(std::move(live)), free_(std::move(free)) {
    CAMBIUM_ASSERT(live_.size() + free_.size() <= format::kWalSegmentsMax);
    live_.reserve(format::kWalSegmentsMax);  // so that the writer allocates nothing
    free_.reserve(format::kWalSegmentsMax);
  }

  std::size_t count() const noexcept { return live_.size() + free_.size(); }
  std::size_t free_count() const noexcept { return free_.size(); }
  std::uint64_t first_ordinal() const noexcept { return first_ordinal_; }
  std::uint64_t next_ordinal() const noexcept { return first_ordinal_ + live_.size(); }
  std::uint32_t first_page_of(std::uint64_t ordinal) const noexcept {
    CAMBIUM_ASSERT(ordinal >= first_ordinal_ && ordinal < next_ordinal());
    return live_[static_cast<std::size_t>(ordinal - first_ordinal_)];
  }

  void add_free(std::uint32_t first_page) noexcept {
    CAMBIUM_ASSERT(count() < format::kWalSegmentsMax);
    free_.push_back(first_page);
  }
  // Takes a free segment out of the log altogether; the one that would be used last.
  std::optional<std::uint32_t> remove_free() noexcept {
    if (free_.empty()) return std::nullopt;
    const std::uint32_t page = free_.back();
    free_.pop_back();
    return page;
  }
  // The oldest free segment gets the ordinal. Requires: ordinal == next_ordinal(), or nothing is in use.
  void open(std::uint64_t ordinal) noexcept {
    CAMBIUM_ASSERT(!free_.empty() && (live_.empty() || ordinal == next_ordinal()));
    if (live_.empty()) first_ordinal_ = ordinal;
    live_.push_back(free_.front());
    free_.erase(free_.begin());
  }
  // Segments of ordinals before this one become free. Answers whether any did.
  bool release_before(std::uint64_t ordinal) noexcept {
    bool any = false;
    for (; !live_.empty() && first_ordinal_ < ordinal; ++first_ordinal_, any = true) {
      free_.push_back(live_.front());
      live_.erase(live_.begin());
    }
    return any;
  }

  std::vector<std::uint32_t> first_pages() const {
    std::vector<std::uint32_t> all = live_;
    all.insert(all.end(), free_.begin(), free_.end());
    return all;
  }

 private:
  std::uint64_t first_ordinal_;
  std::vector<std::uint32_t> live_;
  std::vector<std::uint32_t> free_;
};

}  // namespace cambium
