// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/learned_index_builder.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/endian.h"
#include "levels/learned_index.h"

namespace cambium {

void LearnedIndexBuilder::add(Bytes bound, std::uint32_t checksum) {
  CAMBIUM_ASSERT(phase_ == Phase::adding);
  checksums_.push_back(checksum);
  if (checksums_.size() == 1) {
    heads_.push_back(0);  // open: below everything
    return;
  }
  if (checksums_.size() == 2) {
    first_bound_ = bound.str();
    prefix_bytes_ = bound.size();
    epochs_.push_back({1, prefix_bytes_});
  } else {
    // Bounds ascend, so what the first and the last of them share, all of them share.
    const std::size_t common = node::common_prefix(Bytes(first_bound_.data(), prefix_bytes_), bound);
    if (common < prefix_bytes_) {
      prefix_bytes_ = common;
      epochs_.push_back({leaf_count() - 1, common});
    }
  }
  bound_bytes_max_ = std::max(bound_bytes_max_, bound.size());
  heads_.push_back(wide_head_of(bound.data() + prefix_bytes_, bound.size() - prefix_bytes_));
}

bool LearnedIndexBuilder::plan_some(std::size_t leaves_max) {
  if (phase_ == Phase::adding) begin_planning();
  for (std::size_t left = std::max<std::size_t>(leaves_max, 1); left != 0 && phase_ != Phase::done; --left) {
    if (phase_ == Phase::heads) {
      finish_head();
    } else {
      fit_head();
    }
  }
  return phase_ == Phase::done;
}

void LearnedIndexBuilder::begin_planning() {
  CAMBIUM_ASSERT(!checksums_.empty());
  const std::size_t fixed = format::learned_root_bytes(0, format::directory_pages(checksums_.size()), prefix_bytes_);
  if (fixed + format::kSegmentBytes > kPageBytes) return end(LearnedFit::too_many_leaves);
  segments_max_ = (kPageBytes - fixed) / format::kSegmentBytes;
  epsilon_ = kEpsilonMin;
  if (leaf_count() == 1) return end(LearnedFit::good);
  phase_ = Phase::heads;
  next_ = 1;
}

// Makes the next head one behind the final prefix, and counts how many have the same.
void LearnedIndexBuilder::finish_head() {
  if (epoch_ + 1 < epochs_.size() && epochs_[epoch_ + 1].first_leaf == next_) ++epoch_;
  const std::size_t lost = epochs_[epoch_].prefix_bytes - prefix_bytes_;
  if (lost != 0) {
    const std::uint64_t front = wide_head_of(first_bound_.data() + prefix_bytes_, lost);
    heads_[next_] = lost >= 8 ? front : front | heads_[next_] >> (8 * lost);
  }
  if (next_ > 1 && heads_[next_] == heads_[next_ - 1]) {
    ++sharing_;
    sharing_leaves_ += sharing_ == 2 ? 2 : 1;
  } else {
    CAMBIUM_ASSERT_MSG(next_ == 1 || heads_[next_] > heads_[next_ - 1], "bounds ascend");
    sharing_ = 1;
  }
  sharing_max_ = std::max(sharing_max_, sharing_);
  if (++next_ < heads_.size()) return;
  // Telling leaves of one head apart costs reading some of them, which must stay the exception.
  if (sharing_max_ > format::kSharedHeadMax || sharing_leaves_ > heads_.size() / 8)
    return end(LearnedFit::shared_heads);
  begin_fitting(kEpsilonMin);
}

void LearnedIndexBuilder::begin_fitting(std::uint32_t epsilon) {
  phase_ = Phase::fitting;
  epsilon_ = epsilon;
  fitter_ = SegmentFitter(epsilon);
  segments_.clear();
  next_ = 1;
}

// The next head, with all leaves that share it. The step function has two points for it: so many bounds are below the
// head itself, and so many below the next number.
void LearnedIndexBuilder::fit_head() {
  const std::size_t first = next_;
  const std::uint64_t head = heads_[first];
  while (next_ < heads_.size() && heads_[next_] == head) ++next_;
  const auto take = [this](std::uint64_t x, std::size_t below) {
    const std::optional<Segment> finished = fitter_.add(x, static_cast<std::uint32_t>(below));
    if (finished.has_value()) segments_.push_back(*finished);
  };
  take(head, first - 1);
  if (head != ~std::uint64_t{0}) take(head + 1, next_ - 1);
  if (segments_.size() >= segments_max_) {  // the one under way has no place left
    if (2 * epsilon_ > format::kEpsilonMax) return end(LearnedFit::irregular);
    return begin_fitting(2 * epsilon_);
  }
  if (next_ < heads_.size()) return;
  segments_.push_back(fitter_.segment());
  end(LearnedFit::good);
}

void LearnedIndexBuilder::end(LearnedFit fit) noexcept {
  fit_ = fit;
  phase_ = Phase::done;
}

void LearnedIndexBuilder::write_directory_page(std::uint32_t index, const node::NodeIdentity& identity,
                                               char* page) const noexcept {
  CAMBIUM_ASSERT(phase_ == Phase::done && fit_ == LearnedFit::good && index < directory_pages());
  const std::size_t first = index * format::kDirectoryLeaves;
  const std::size_t count = std::min(checksums_.size() - first, format::kDirectoryLeaves);
  const format::LearnedDirectoryHeader header{.page = {.checksum = 0,
                                                       .type = format::PageType::learned_directory,
                                                       .level = 0,
                                                       .count = static_cast<std::uint16_t>(count),
                                                       .page_id = raw(identity.page),
                                                       .generation = raw(identity.generation),
                                                       .file_id = identity.file_id},
                                              .index = index,
                                              .reserved0 = 0,
                                              .reserved1 = {}};
  std::memset(page, 0, kPageBytes);
  std::memcpy(page, &header, sizeof header);
  for (std::size_t i = 0; i < count; ++i) {
    rt::store_le64(page + format::kDirectoryHeads + 8 * i, heads_[first + i]);
    rt::store_le32(page + format::kDirectoryChecksums + 4 * i, checksums_[first + i]);
  }
}

void LearnedIndexBuilder::write_root(std::span<const std::uint32_t> directory_checksums,
                                     const node::NodeIdentity& identity, char* page) const noexcept {
  CAMBIUM_ASSERT(phase_ == Phase::done && fit_ == LearnedFit::good && directory_checksums.size() == directory_pages());
  const std::size_t bound_bytes = bound_bytes_max_ - std::min(bound_bytes_max_, prefix_bytes_);
  const format::LearnedRootHeader header{
      .page = {.checksum = 0,
               .type = format::PageType::learned_root,
               .level = 1,
               .count = static_cast<std::uint16_t>(segments_.size()),
               .page_id = raw(identity.page),
               .generation = raw(identity.generation),
               .file_id = identity.file_id},
      .leaf_count = leaf_count(),
      .directory_pages = static_cast<std::uint16_t>(directory_pages()),
      .prefix_bytes = static_cast<std::uint16_t>(prefix_bytes_),
      .epsilon = static_cast<std::uint16_t>(epsilon_),
      .shared_max = static_cast<std::uint16_t>(sharing_max_),
      .bound_bytes_max = static_cast<std::uint8_t>(std::min<std::size_t>(bound_bytes, format::kLongBounds)),
      .reserved0 = {},
      .reserved1 = {}};
  std::memset(page, 0, kPageBytes);
  std::memcpy(page, &header, sizeof header);
  char* at = page + sizeof header;
  for (const Segment& segment : segments_) {
    rt::store_le64(at, segment.start);
    at += 8;
  }
  for (const Segment& segment : segments_) {
    rt::store_le64(at, segment.slope);
    at += 8;
  }
  for (const Segment& segment : segments_) {
    rt::store_le32(at, segment.ordinal);
    at += 4;
  }
  for (const std::uint32_t checksum : directory_checksums) {
    rt::store_le32(at, checksum);
    at += 4;
  }
  if (prefix_bytes_ != 0) std::memcpy(at, first_bound_.data(), prefix_bytes_);
}

}  // namespace cambium
