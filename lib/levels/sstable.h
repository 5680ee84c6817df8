// SPDX-License-Identifier: MIT OR Apache-2.0
// Sstable: what is known in memory of one packed, immutable tree of a level store; and its row in the manifest.
//
// The tree is read through the TableStore of trees, which cannot tell it from any other; what makes it an sstable is
// beside it: the keys it spans, its filter, and the extents it lies in.
//
// Invariants
//   1. Nothing of it changes but the hints, which only say where pages were last seen.
//   2. It is not empty: min_key <= max_key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/result.h>

#include "format/sstable_row.h"
#include "levels/blocked_filter.h"
#include "space/generations.h"
#include "table_store.h"

namespace cambium {

enum class SstableId : std::uint64_t {};

struct FilterPage {
  format::ChildPointer pointer;
  mutable FrameIndex frame = kNoFrame;  // where it was last seen
};

// The learned index of an sstable (levels/learned_index.h): its root, and where its pages were last seen.
struct SstableIndex {
  format::ChildPointer root;
  std::uint32_t leaves = 0;  // 0: there is none
  mutable FrameIndex frame = kNoFrame;
  mutable std::vector<FrameIndex> directory_frames;
  std::vector<std::uint32_t> ranks;  // of the sstable's pages the first one of each extent

  std::uint32_t directory_pages() const noexcept { return static_cast<std::uint32_t>(directory_frames.size()); }
  std::uint32_t pages() const noexcept { return leaves == 0 ? 0 : directory_pages() + 1; }
};

struct Sstable {
  SstableId id{};
  TableRoot root;
  std::string min_key;
  std::string max_key;
  Generation generation{};
  bool trimmed = false;  // keys of the tree below min_key have moved on, and are no part of it any more
  std::uint64_t tombstones = 0;
  std::uint64_t content_bytes = 0;
  std::uint32_t filter_probes = 0;
  std::vector<FilterPage> filter;
  std::vector<PageRun> extents;  // in the order in which they were written
  SstableIndex index;
  mutable std::uint64_t row_source = 0;         // its number in the cache of rows; 0: none of its rows was there yet
  Compression compression = Compression::none;  // of its packed leaves; none: it has none
  PackedLeaves packed;

  std::uint64_t entries() const noexcept { return root.pointer.entries; }
  // Of the file, long values not counted: they are not rewritten by compactions.
  std::uint64_t pages() const noexcept { return root.node_pages + filter.size() + index.pages(); }
  // What pages() would be without compression.
  std::uint64_t unpacked_pages() const noexcept {
    return pages() - packed.pages + (packed.bytes + kPageBytes - 1) / kPageBytes;
  }
  // Requires of these: there is a learned index. Its leaves are the first of its pages, the index the last ones.
  void set_index(const format::ChildPointer& root_of_index, std::uint32_t leaves);
  PageId leaf_page(std::uint32_t leaf) const noexcept { return page_at(leaf); }
  PageId directory_page(std::uint32_t page) const noexcept { return page_at(pages() - index.pages() + page); }
  FilterShape filter_shape() const noexcept {
    return {entries(), static_cast<std::uint32_t>(filter.size()), filter_probes};
  }
  bool spans(Bytes key) const noexcept { return !(key < Bytes(min_key)) && !(Bytes(max_key) < key); }
  bool overlaps(Bytes low, Bytes high) const noexcept {  // [low, high], both included
    return !(Bytes(max_key) < low) && !(high < Bytes(min_key));
  }
  // Of its pages, in the order in which they were written.
  PageId page_at(std::uint64_t rank) const noexcept;
};

using SstablePtr = std::shared_ptr<const Sstable>;

// Where an sstable stands among the others; a trivial move changes this, and nothing of the sstable.
struct SstablePlace {
  unsigned level = 0;
  std::uint32_t run = 0;
  friend bool operator==(const SstablePlace&, const SstablePlace&) = default;
};

std::string sstable_row_key(SstableId id);
std::string sstable_row_value(const Sstable& table, SstablePlace place);
// Errors: corruption, when the row is not possible in a file of `file_pages` pages.
Result<SstablePtr> read_sstable_row(Bytes key, Bytes value, std::uint64_t file_pages, SstablePlace& place);

}  // namespace cambium
