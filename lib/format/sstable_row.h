// SPDX-License-Identifier: MIT OR Apache-2.0
// A row of a level store's manifest, the small tree that says which sstables a table is made of.
//
// Key: u64 big-endian number of the sstable, unique in the table. Value:
//
//   offset size field
//   0      1    level           0 = what flushes wrote
//   1      1    height          levels of the sstable's tree
//   2      2    min_key_bytes
//   4      2    max_key_bytes
//   6      2    flags           1 = trimmed: of its tree only the keys from min key on are part of the table
//                               2 = there is a learned index (learned_index_page.h); needs kFeatureLearned
//                               4 = some leaves are packed (packed_leaf_page.h); needs kFeatureLz4 or kFeatureZstd
//   8      4    run             of runs of a level the one with the larger number is newer
//   12     4    extent_count    contiguous runs of pages that hold its nodes and filter
//   16     4    filter_pages
//   20     4    filter_probes   bits asked per key
//   24     16   root            ChildPointer of the sstable's tree
//   40     8    generation      that wrote its pages
//   48     8    tombstones      of its entries
//   56     8    node_pages
//   64     8    overflow_pages  of values in extents of their own that it refers to
//   72     8    content_bytes   of its keys and values as their writers gave them
//   80     ..   extents         { u32 first page, u32 pages } each
//   ..     ..   filter          { u32 page, u32 checksum } each
//   ..     16   learned index   { u32 page, u32 checksum } of its root, u32 leaves, u32 zero; only with flag 2
//   ..     24   packed leaves   { u8 Compression, 7 zero, u64 pages, u64 bytes of their leaves }; only with flag 4
//   ..     ..   min key, max key
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "format/child_pointer.h"
#include "format/packed_leaf_page.h"

namespace cambium::format {

inline constexpr std::size_t kSstableRowKeyBytes = 8;
inline constexpr std::uint16_t kSstableTrimmed = 1;
inline constexpr std::uint16_t kSstableLearned = 2;
inline constexpr std::uint16_t kSstablePacked = 4;

struct SstableRow {
  std::uint8_t level;
  std::uint8_t height;
  std::uint16_t min_key_bytes;
  std::uint16_t max_key_bytes;
  std::uint16_t flags;
  std::uint32_t run;
  std::uint32_t extent_count;
  std::uint32_t filter_pages;
  std::uint32_t filter_probes;
  ChildPointer root;
  std::uint64_t generation;
  std::uint64_t tombstones;
  std::uint64_t node_pages;
  std::uint64_t overflow_pages;
  std::uint64_t content_bytes;
};
static_assert(sizeof(SstableRow) == 80 && offsetof(SstableRow, root) == 24 && offsetof(SstableRow, generation) == 40);
static_assert(std::has_unique_object_representations_v<SstableRow>, "no padding on disk");

struct SstableExtent {
  std::uint32_t first_page;
  std::uint32_t pages;
};
struct FilterPageRow {
  std::uint32_t page;
  std::uint32_t checksum;
};
struct LearnedIndexRow {
  std::uint32_t page;
  std::uint32_t checksum;
  std::uint32_t leaves;
  std::uint32_t reserved;
};
struct PackedLeavesRow {
  Compression compression;
  std::uint8_t reserved[7];
  std::uint64_t pages;
  std::uint64_t bytes;
};
static_assert(sizeof(SstableExtent) == 8 && sizeof(FilterPageRow) == 8 && sizeof(LearnedIndexRow) == 16);
static_assert(sizeof(PackedLeavesRow) == 24 && offsetof(PackedLeavesRow, pages) == 8);
static_assert(std::has_unique_object_representations_v<PackedLeavesRow>, "no padding on disk");

}  // namespace cambium::format
