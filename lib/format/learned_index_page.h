// SPDX-License-Identifier: MIT OR Apache-2.0
// Pages of an sstable's learned index: directory pages, which know every leaf, and one root, which knows where in
// the directory a key's leaf stands, give or take epsilon leaves.
//
// A leaf's bound is the lower bound that a parent branch would hold for it (that of leaf 0 is open). Its head is the
// 8 bytes of the bound that follow the prefix common to all bounds, zero-padded, as a big-endian number: the order of
// heads is the order of bounds, but for bounds that share a head.
//
// Directory page, for leaves 336 x index .. 336 x index + count - 1:
//
// In an sstable the headers say kLearnedDirectoryLevel and kLearnedRootLevel for their levels, and the pages are its
// last ones, the root behind the directory; its first ones are the leaves, in order. So an ordinal is a place.
//
//   offset size     field
//   0      32       PageHeader   type learned_directory, count = leaves of this page, level 0
//   32     4        index        of this page in the directory
//   36     28       reserved     zero
//   64     8 x 336  heads        u64; that of leaf 0 is 0; unused ones are zero
//   2752   4 x 336  checksums    u32, of the leaf pages
//
// Root:
//
//   offset size  field
//   0      32    PageHeader       type learned_root, count = segments, level 1
//   32     4     leaf_count       at least 1
//   36     2     directory_pages  ceil(leaf_count / 336)
//   38     2     prefix_bytes
//   40     2     epsilon          at most this far is a prediction from the truth, in leaves
//   42     2     shared_max       no head is that of more leaves than these
//   44     1     bound_bytes_max  after the prefix; 9 stands for all above 8, of which heads do not tell the rest
//   45     19    reserved         zero
//   64     8 x S starts           u64: the first head that segment i speaks for; ascending
//   ..     8 x S slopes           u64: leaves per unit of head, as a fraction of 2^64
//   ..     4 x S ordinals         u32: how many bounds are below the segment's start; not descending
//   ..     4 x D checksums        u32, of the directory pages
//   ..     ..    prefix
//
// Segment i predicts, for a head h of its range, min(ordinals[i] + ((slopes[i] * (h - starts[i])) >> 64),
// ordinals[i + 1]) bounds below h (leaf_count - 1 stands in for the ordinal after the last). Integers only, so that
// every machine predicts alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/limits.h>

#include "format/page_header.h"

namespace cambium::format {

// What the headers of such pages say for their levels in an sstable: they are never taken for nodes.
inline constexpr unsigned kLearnedRootLevel = 254;
inline constexpr unsigned kLearnedDirectoryLevel = 253;

inline constexpr std::size_t kDirectoryHeads = 64;
inline constexpr std::size_t kDirectoryLeaves = 336;  // per page
inline constexpr std::size_t kDirectoryChecksums = kDirectoryHeads + 8 * kDirectoryLeaves;
static_assert(kDirectoryChecksums + 4 * kDirectoryLeaves == kPageBytes);

struct LearnedDirectoryHeader {
  PageHeader page;
  std::uint32_t index;
  std::uint32_t reserved0;
  std::uint64_t reserved1[3];
};
static_assert(sizeof(LearnedDirectoryHeader) == kDirectoryHeads && offsetof(LearnedDirectoryHeader, index) == 32);
static_assert(std::has_unique_object_representations_v<LearnedDirectoryHeader>, "no padding on disk");

inline constexpr std::uint8_t kLongBounds = 9;  // bound_bytes_max

struct LearnedRootHeader {
  PageHeader page;
  std::uint32_t leaf_count;
  std::uint16_t directory_pages;
  std::uint16_t prefix_bytes;
  std::uint16_t epsilon;
  std::uint16_t shared_max;
  std::uint8_t bound_bytes_max;
  std::uint8_t reserved0[3];
  std::uint64_t reserved1[2];
};
static_assert(sizeof(LearnedRootHeader) == 64 && offsetof(LearnedRootHeader, leaf_count) == 32);
static_assert(offsetof(LearnedRootHeader, directory_pages) == 36 && offsetof(LearnedRootHeader, prefix_bytes) == 38);
static_assert(offsetof(LearnedRootHeader, epsilon) == 40 && offsetof(LearnedRootHeader, bound_bytes_max) == 44);
static_assert(std::has_unique_object_representations_v<LearnedRootHeader>, "no padding on disk");

inline constexpr std::size_t kSegmentBytes = 8 + 8 + 4;
inline constexpr std::uint16_t kEpsilonMax = 128;
inline constexpr std::uint16_t kSharedHeadMax = 64;  // leaves that no head tells apart are told apart by reading them

constexpr std::size_t directory_pages(std::size_t leaf_count) noexcept {
  return (leaf_count + kDirectoryLeaves - 1) / kDirectoryLeaves;
}
constexpr std::size_t learned_root_bytes(std::size_t segments, std::size_t pages, std::size_t prefix_bytes) noexcept {
  return sizeof(LearnedRootHeader) + kSegmentBytes * segments + 4 * pages + prefix_bytes;
}
// What one search looks at, the window and the leaves that share a head behind it, lies on two directory pages at most.
static_assert(2 * kEpsilonMax + 1 + kSharedHeadMax <= kDirectoryLeaves);

}  // namespace cambium::format
