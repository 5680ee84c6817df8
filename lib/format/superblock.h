// SPDX-License-Identifier: MIT OR Apache-2.0
// Bytes of the superblock: the root record of a partition, in pages 0-3 of its file.
//
//   page 0, 1   slot 0: the record, and a copy of it
//   page 2, 3   slot 1: the record, and a copy of it
//
// A commit writes the slot that holds the older generation. The newest valid record is the partition; the other one
// is the commit before it, whole until the next commit.
//
//   offset size  field
//   0      32    PageHeader      type superblock; page_id = the page this copy is in; generation; file_id
//   32     8     magic           "CAMBIUM\x01"
//   40     4     version         1
//   44     4     page_bytes      4096
//   48     8     features_needed    unknown bits here: refuse to open; 1 = there is a log, 2 = learned indexes,
//                                   4 = sstables compressed with LZ4, 8 = with zstd
//   56     8     features_optional  unknown bits here: ignore
//   64     8     file_pages      length of the file in pages
//   72     8     sequence        every write up to here is in the tables
//   80     16    catalog         ChildPointer of the catalog tree's root
//   96     4     catalog_height  levels of the catalog tree, 0 = empty
//   100    4     next_table_id
//   104    8     wal_log_id      0 = no log
//   112    8     wal_position    replay starts here
//   120    4     wal_segment_count
//   124    4     wal_segment_pages
//   128    4     table_count     group tables in use
//   132    4     catalog_pages   pages of the catalog tree
//   136    4     wal_flags       1 = clean: the log holds nothing that the tables do not, and need not be read
//   140    116   reserved        zero
//   256    8 x n tables          per group table: u32 checksum, u32 slot
//   1056   4 x n wal_segments    first pages of the segments of the log, in any order; the rest zero
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/limits.h>

#include "format/child_pointer.h"
#include "format/packed_leaf_page.h"
#include "format/page_header.h"
#include "format/space_page.h"
#include "format/wal_segment.h"

namespace cambium::format {

inline constexpr std::uint64_t kMagic = 0x014D5549424D4143;  // "CAMBIUM\x01" read as a little-endian u64
inline constexpr std::uint32_t kFormatVersion = 1;
// features_needed: a reader that does not know of the log would show the tables without what only the log has, and
// write on beside it.
inline constexpr std::uint64_t kFeatureLog = 1;  // exactly when wal_log_id != 0
// Since a table was made that is to have them, or an sstable has one: a reader that does not know of them would take
// the rows of such sstables for damaged ones, and forget the choice. Never taken back.
inline constexpr std::uint64_t kFeatureLearned = 2;
// Likewise of compressed sstables. A build may know of them, and have been made without the library.
inline constexpr std::uint64_t kFeatureLz4 = 4;
inline constexpr std::uint64_t kFeatureZstd = 8;
constexpr std::uint64_t feature_of(Compression compression) noexcept {
  if (compression == Compression::none) return 0;
  return compression == Compression::lz4 ? kFeatureLz4 : kFeatureZstd;
}
inline constexpr std::uint64_t kFeaturesKnown = kFeatureLog | kFeatureLearned | kFeatureLz4 | kFeatureZstd;
inline constexpr std::uint32_t kWalClean = 1;  // wal_flags
inline constexpr std::uint32_t kWalFlags = kWalClean;

struct TableRecord {
  std::uint32_t checksum;
  std::uint32_t slot;
};

struct Superblock {
  PageHeader page;
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t page_bytes;
  std::uint64_t features_needed;
  std::uint64_t features_optional;
  std::uint64_t file_pages;
  std::uint64_t sequence;
  ChildPointer catalog;
  std::uint32_t catalog_height;
  std::uint32_t next_table_id;
  std::uint64_t wal_log_id;
  std::uint64_t wal_position;
  std::uint32_t wal_segment_count;
  std::uint32_t wal_segment_pages;
  std::uint32_t table_count;
  std::uint32_t catalog_pages;
  std::uint32_t wal_flags;
  std::uint32_t reserved_word;
  std::uint64_t reserved[14];
  TableRecord tables[kTablesMax];
  std::uint32_t wal_segments[kWalSegmentsMax];
  std::uint8_t unused[kPageBytes - 256 - kTablesMax * sizeof(TableRecord) - kWalSegmentsMax * sizeof(std::uint32_t)];
};
static_assert(sizeof(Superblock) == kPageBytes && std::has_unique_object_representations_v<Superblock>);
static_assert(offsetof(Superblock, magic) == 32 && offsetof(Superblock, catalog) == 80);
static_assert(offsetof(Superblock, wal_log_id) == 104 && offsetof(Superblock, tables) == 256);
static_assert(offsetof(Superblock, wal_flags) == 136 && offsetof(Superblock, wal_segments) == 1056);

inline constexpr std::uint32_t kSuperblockSlots = 2;
inline constexpr std::uint32_t kSuperblockCopies = 2;

}  // namespace cambium::format
