// SPDX-License-Identifier: MIT OR Apache-2.0
// The copy-on-write B+tree as a TableStore.
//
// Reading is here and in tree_cursor; writing, the one mutation there is, in tree_rebuild (a sorted run of changes)
// and tree_builder (a sorted load into an empty tree). Nodes are write-once: nothing edits a page.
//
// Invariants of a tree
//   1. Every leaf is at level 0, every child one level below its parent.
//   2. The keys of child i of a branch lie in [separator i, separator i + 1).
//   3. A child pointer's checksum and entry count are those of the child.
//   4. No page, of a node or of a value, is referred to twice.
// A forged file may break them with right checksums. Whoever reads, scans or rebuilds asks a child whether it keeps
// what its parent promises (validate_child) and ends with corruption otherwise; level by level, so every walk ends.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "table_store.h"

namespace cambium {

// A page that is whole, but does not fit the tree around it.
Error misfit(const BlockDevice& device, PageId page, std::string_view what);

class TreeStore final : public TableStore {
 public:
  // Whose trees these are: tables of kind tree, or the sstables of a level store, which have tombstones.
  enum class Of : std::uint8_t { tables, sstables };
  // `streams`: what long scans read through; nullptr: they use the cache.
  explicit TreeStore(PageCache& cache, Of of = Of::tables, StreamBuffers* streams = nullptr) noexcept
      : cache_(cache), of_(of), streams_(streams) {}

  FindState find(const TableRoot& root, Bytes key, Lookup& lookup, FoundEntry& found) noexcept override;
  void find_many(const TableRoot& root, std::span<MultiLookup> lookups) noexcept override;
  std::unique_ptr<TableCursor> cursor(const TableRoot& root, CursorOptions options) override;
  std::unique_ptr<SortedBuilder> builder(PageWriter& writer, BuilderOptions options) override;
  Task<Result<TableRoot>> apply(TableRoot root, std::span<const Change> changes, PageWriter& writer) override;
  Task<Result<TableRoot>> relocate(TableRoot root, PageId limit, std::uint64_t pages_max, PageWriter& writer,
                                   bool& more) override;
  Task<Result<TableRoot>> cut(TableRoot root, std::size_t leaves_max, PageWriter& writer, std::size_t& leaves) override;
  Task<Status> check(const TableRoot& root, PageVisitor& visitor) override;

 private:
  // What the cache is asked for where a tree has `level`; and back.
  unsigned asked(unsigned level) const noexcept {
    return level == 0 && of_ == Of::sstables ? format::kAnyLeafLevel : level;
  }
  static unsigned level_of(unsigned asked) noexcept { return asked == format::kAnyLeafLevel ? 0 : asked; }
  bool keeps_promise(const Lookup& lookup, FrameIndex frame) noexcept;
  FindState find_in_leaf(FrameIndex frame, Bytes key, FoundEntry& found) noexcept;

  PageCache& cache_;
  Of of_;
  StreamBuffers* streams_;
};

}  // namespace cambium
