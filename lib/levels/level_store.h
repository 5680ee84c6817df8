// SPDX-License-Identifier: MIT OR Apache-2.0
// The level store as a TableStore: a log-structured merge tree (O'Neil et al., 1996) in the pages of the partition.
//
// A version of a table is its manifest, a small copy-on-write tree with a row for each sstable (format/sstable_row.h);
// its root is the table's root in the catalog. So flushes and compactions become visible by the ordinary commit, and a
// snapshot is an older root here, too. In memory a version is a LevelVersion, read from the manifest by load().
//
// Everything in it is made of trees, reached through the TableStore of trees: the manifest, and each sstable. A flush
// writes its sorted changes as a new run of level 0; compaction (compaction.h) merges runs downwards.
//
// A point asks the runs one after the other: the sstable's filter, then the cache of rows, then the branches of its
// tree, or its learned index where it has one (learned_find.cc).
//
// Errors     corruption, io, no_space, as the trees beneath.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "levels/compaction_picker.h"
#include "levels/level_version.h"
#include "levels/sstable_builder.h"
#include "table_store.h"

namespace cambium {

class RowCache;

class LevelStore final : public TableStore {
 public:
  // `sstable_pages_max`: where an sstable ends, about; a slice of a compaction has two.
  // `streams`: for long scans and compaction; nullptr: they read through the cache. `rows`: keeps rows that points had
  // to wait for; nullptr: none are kept.
  LevelStore(PageCache& cache, TableStore& trees, std::uint64_t sstable_pages_max, StreamBuffers* streams = nullptr,
             RowCache* rows = nullptr) noexcept
      : cache_(cache), trees_(trees), streams_(streams), rows_(rows), sstable_pages_max_(sstable_pages_max) {}

  Task<Status> load(TableRoot& root) override;
  FindState find(const TableRoot& root, Bytes key, Lookup& lookup, FoundEntry& found) noexcept override;
  void find_many(const TableRoot& root, std::span<MultiLookup> lookups) noexcept override;
  std::unique_ptr<TableCursor> cursor(const TableRoot& root, CursorOptions options) override;
  std::unique_ptr<SortedBuilder> builder(PageWriter& writer, BuilderOptions options) override;
  Task<Result<TableRoot>> apply(TableRoot root, std::span<const Change> changes, PageWriter& writer) override;
  Task<Result<TableRoot>> relocate(TableRoot root, PageId limit, std::uint64_t pages_max, PageWriter& writer,
                                   bool& more) override;
  Task<Result<TableRoot>> cut(TableRoot root, std::size_t leaves_max, PageWriter& writer, std::size_t& leaves) override;
  Task<Status> check(const TableRoot& root, PageVisitor& visitor) override;

  // check(), of one sstable. Requires: the view of its version is held.
  Task<Status> check_sstable(const Sstable& table, PageVisitor& visitor);
  // The table with other sstables. Their pages are written; those of the ones that leave are freed here.
  Task<Result<TableRoot>> edit(TableRoot root, const LevelEdit& edit, PageWriter& writer);

  // Of what is built from now on for a level of a table.
  SstableShape shape(const TableRoot& table, unsigned level) const noexcept {
    return {sstable_pages_max_, filter_bits_at(level), table.index, table.compression};
  }
  std::uint64_t sstable_pages_max() const noexcept { return sstable_pages_max_; }
  // What a reader of a whole run says when its sstables hold other keys than the manifest has them hold.
  Error overlap() const;
  SstableId& next_id() noexcept { return next_id_; }  // of all tables: builders run side by side
  TableStore& trees() noexcept { return trees_; }
  PageCache& cache() noexcept { return cache_; }
  StreamBuffers* streams() noexcept { return streams_; }
  const LevelStats& stats() const noexcept { return stats_; }  // of all tables; LevelVersion::stats(): of one

 private:
  enum class Asked : std::uint8_t { may_have, has_not, missing };
  Asked ask_filter(const Sstable& table, std::uint64_t hash, Lookup& lookup, LevelStats& of_table) noexcept;
  void count(LevelStats& of_table, std::uint64_t LevelStats::* what) noexcept {
    ++(of_table.*what);
    ++(stats_.*what);
  }
  bool find_row(const Sstable& table, std::uint64_t hash, Bytes key, FoundEntry& found) noexcept;
  void keep_row(const Sstable& table, std::uint64_t hash, Bytes key, const FoundEntry& found) noexcept;
  FindState find_in(const Sstable& table, Bytes key, Lookup& lookup, FoundEntry& found) noexcept;
  std::optional<FindState> find_learned(const Sstable& table, Bytes key, Lookup& lookup, FoundEntry& found) noexcept;
  static TableRoot manifest_of(const TableRoot& root) noexcept;
  Task<Status> free_pages(const Sstable& table, PageWriter& writer);
  Task<Status> rebuild(const Sstable& table, PageId limit, SstableBuilder& builder, LevelEdit& edit);
  Task<Status> free_values(const Sstable& table, LevelEdit& edit);
  Task<Result<bool>> values_reach(const Sstable& table, PageId limit);

  PageCache& cache_;
  TableStore& trees_;
  StreamBuffers* streams_;
  RowCache* rows_;
  std::uint64_t sstable_pages_max_;
  SstableId next_id_{1};
  LevelStats stats_;
};

}  // namespace cambium
