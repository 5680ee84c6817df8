// SPDX-License-Identifier: MIT OR Apache-2.0
// The engine's counted things, as types that cannot be mixed up.
#pragma once

#include <cstdint>
#include <type_traits>

namespace cambium {

enum class PageId : std::uint64_t {};      // index of a 4 KiB page in the partition's file; 0 is a superblock: "none"
enum class Generation : std::uint64_t {};  // number of a commit; grows by at least 1 with every commit and every open
enum class Sequence : std::uint64_t {};    // number of a write; lives in the write buffer and the WAL only
enum class TableId : std::uint32_t {};     // 0 is the catalog, 1 the default table; never given out twice

// How a table keeps its entries. On disk as it is.
enum class TableKind : std::uint8_t {
  tree = 0,    // a copy-on-write B+tree: for reads, scans, and writes near each other
  levels = 1,  // sorted runs in levels: for random writes
};

// How the sstables of a table of kind levels find the leaf of a key. On disk as it is.
enum class TableIndex : std::uint8_t {
  automatic = 0,  // plain, but for large sstables while the cache is small beside the file (under a 64th)
  plain = 1,      // branch pages, as in a tree
  learned = 2,    // lines over the keys, where an sstable is large enough and its keys are regular enough
};

// How the sstables of a table of kind levels are compressed. On disk as it is.
enum class Compression : std::uint8_t {
  none = 0,
  lz4 = 1,   // fast
  zstd = 2,  // smaller
};

template <class Id>
constexpr std::underlying_type_t<Id> raw(Id id) noexcept {
  return static_cast<std::underlying_type_t<Id>>(id);
}
template <class Id>
constexpr Id next(Id id) noexcept {
  return static_cast<Id>(raw(id) + 1);
}

inline constexpr PageId kNoPage{0};
inline constexpr TableId kCatalogTable{0};
inline constexpr TableId kDefaultTable{1};
inline constexpr Sequence kLastSequence{~std::uint64_t{0}};

}  // namespace cambium
