// SPDX-License-Identifier: MIT OR Apache-2.0
// Levels: what a look inside a table of kind `levels` shows: its sstables, and the entries of one of them.
//
//   TableLevels inside = co_await check(db.table_levels(events));
//   for (const SstableInfo& one : inside.sstables) std::printf("level %u: %llu entries\n", one.level, one.entries);
//
// Level 0 has a run for each flush, deeper levels have fewer and larger ones. A run is one sorted sequence: its
// sstables are disjoint. Runs overlap; of a key that is in several the entry of the run listed first counts.
//
// Units      pages of 4 KiB.
// Lifetime   everything is a copy, and may be out of date at once: flushes and compactions go on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

namespace cambium {

// Neighbouring pages of the file.
struct PageExtent {
  std::uint64_t first_page = 0;
  std::uint64_t pages = 0;
};

struct SstableInfo {
  std::uint64_t id = 0;  // one of its own among those of the table
  unsigned level = 0;
  std::uint32_t run = 0;         // of its level; a higher number is newer
  std::uint64_t generation = 0;  // of the commit that wrote it
  std::string min_key;
  std::string max_key;
  // A compaction under way has taken the entries below min_key: they are in its pages, and in the three counts that
  // follow, but no part of the table any more.
  bool trimmed = false;
  std::uint64_t entries = 0;        // tombstones included
  std::uint64_t tombstones = 0;     // deletions that older runs need
  std::uint64_t content_bytes = 0;  // keys and values
  unsigned height = 0;              // levels of its tree: pages on the way to an entry
  std::uint64_t node_pages = 0;
  std::uint64_t overflow_pages = 0;  // of values too long for a page
  Compression compression = Compression::none;
  std::uint64_t packed_pages = 0;    // of the node pages, those that are compressed
  std::uint64_t unpacked_pages = 0;  // what the node pages would be without compression
  std::uint32_t filter_pages = 0;    // 0: it has none, every lookup in its range searches it
  unsigned filter_probes = 0;
  double filter_bits_per_key = 0;
  std::vector<PageExtent> extents;  // of nodes and filter; long values have extents of their own

  std::uint64_t pages() const noexcept { return node_pages + filter_pages + overflow_pages; }
  std::uint64_t bytes() const noexcept { return pages() * kPageBytes; }
};

struct TableLevels {
  std::vector<SstableInfo> sstables;  // by level, then the newest run first, then by key
  std::uint64_t manifest_pages = 0;   // of the rows that say all this
};

enum class SstableEntryKind : std::uint8_t { value, long_value, tombstone };

struct SstableEntry {
  std::string key;
  SstableEntryKind kind = SstableEntryKind::value;
  std::uint64_t value_bytes = 0;
};

// Which entries of an sstable: the first `limit` beyond `after`, in the order of the keys or against it.
struct SstableRange {
  Bytes after{};  // empty: from the end where the order begins
  bool reverse = false;
  std::size_t limit = 1000;
};

}  // namespace cambium
