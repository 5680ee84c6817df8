// SPDX-License-Identifier: MIT OR Apache-2.0
// What there is to say of a table: the list of tables, the statistics of one, and the look inside a level store.
//
// Statistics are plain calls: they show what is in memory. Looking inside reads the manifest first, where nobody has
// yet.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "cache/overflow_value.h"
#include "partition/partition_state.h"

namespace cambium {

std::vector<TableInfo> PartitionState::list_tables() const {
  std::vector<TableInfo> list;
  list.reserve(tables.by_name().size());
  for (const auto& [name, table] : tables.by_name()) {
    const std::uint64_t pages = table->newest().node_pages + table->newest().overflow_pages;
    list.push_back(
        {handle_of(*table), table->entries(), pages, pages * kPageBytes, table->index(), table->compression()});
  }
  return list;
}

// ---- statistics ---------------------------------------------------------------------------------------------------

namespace {

void add_levels(const LevelVersion& version, TableStats& s) {
  s.runs = version.runs().size();
  unsigned last_level = ~0u;
  for (const LevelRun& run : version.runs()) {
    s.levels += std::exchange(last_level, run.place.level) == run.place.level ? 0u : 1u;
    s.sstables += run.tables.size();
    for (const SstablePtr& table : run.tables) {
      s.tombstones += table->tombstones;
      s.content_bytes += table->content_bytes;
      s.node_bytes += table->pages() * kPageBytes;
      s.unpacked_bytes += table->unpacked_pages() * kPageBytes;
    }
  }
  const LevelStats& met = version.stats();
  s.lookups = met.lookups;
  s.sstable_searches = met.searches;
  s.filter_checks = met.filter_checks;
  s.filter_negatives = met.filter_negatives;
  s.filter_false_positives = met.filter_false_positives;
}

}  // namespace

Result<TableStats> PartitionState::table_stats(const Table& table) {
  const TableState* const state = tables.find_live(table.id());
  if (state == nullptr) return no_table(table.id());
  const TableRoot& root = state->newest();
  TableStats s;
  s.entries = state->entries();
  s.pages = root.node_pages + root.overflow_pages;
  s.bytes = s.pages * kPageBytes;
  s.gets = state->counts.gets;
  s.puts = state->counts.puts;
  s.deletes = state->counts.deletes;
  s.scans = state->counts.scans;
  s.bytes_put = state->counts.bytes_put;
  s.bytes_flushed = state->counts.bytes_flushed;
  if (state->kind() == TableKind::tree) {
    s.height = root.height;
    return s;
  }
  s.loaded = root.content != nullptr || root.height == 0;
  if (root.content) add_levels(version_of(root), s);
  if (keeper) {
    s.compaction = keeper->state_of(table.id());
  } else {
    const CompactionPolicy first;
    s.compaction.flush_runs = first.flush_runs;
    s.compaction.tier_runs = first.tier_runs;
    s.compaction.reason = "opened read-only, nothing is compacted; whoever opens it for writing begins so";
  }
  return s;
}

// ---- inside a level store -----------------------------------------------------------------------------------------

namespace {

SstableInfo describe(const Sstable& table, SstablePlace place) {
  SstableInfo info;
  info.id = static_cast<std::uint64_t>(table.id);
  info.level = place.level;
  info.run = place.run;
  info.generation = raw(table.generation);
  info.min_key = table.min_key;
  info.max_key = table.max_key;
  info.trimmed = table.trimmed;
  info.entries = table.entries();
  info.tombstones = table.tombstones;
  info.content_bytes = table.content_bytes;
  info.height = table.root.height;
  info.node_pages = table.root.node_pages;
  info.overflow_pages = table.root.overflow_pages;
  info.compression = table.compression;
  info.packed_pages = table.packed.pages;
  info.unpacked_pages = table.unpacked_pages() - table.pages() + table.root.node_pages;
  const FilterShape filter = table.filter_shape();
  info.filter_pages = filter.pages;
  info.filter_probes = filter.probes;
  info.filter_bits_per_key = filter.empty() ? 0 : filter.bits_per_key();
  for (const PageRun& run : table.extents) info.extents.push_back({raw(run.first), run.pages});
  return info;
}

SstablePtr find_sstable(const LevelVersion& version, SstableId id) {
  for (const LevelRun& run : version.runs()) {
    for (const SstablePtr& table : run.tables) {
      if (table->id == id) return table;
    }
  }
  return nullptr;
}

SstableEntry describe(const Entry& entry, format::EntryKind kind) {
  SstableEntry shown{entry.key.str(), SstableEntryKind::value, entry.value.size()};
  if (kind == format::EntryKind::tombstone) shown.kind = SstableEntryKind::tombstone;
  if (kind == format::EntryKind::overflow) {
    shown.kind = SstableEntryKind::long_value;
    shown.value_bytes = OverflowView(entry.value).value_bytes();
  }
  return shown;
}

Task<Status> collect(TableStore& trees, const Sstable& table, const SstableRange& range,
                     std::vector<SstableEntry>& entries) {
  CursorOptions options;
  if (range.reverse) options.direction = Direction::reverse;
  const std::unique_ptr<TableCursor> cursor = trees.cursor(table.root, options);
  // What was trimmed off is in the tree, and no part of the table.
  const bool from_trim = table.trimmed && !range.reverse && range.after < Bytes(table.min_key);
  const Bytes from = from_trim ? Bytes(table.min_key) : range.after;
  co_await check(cursor->seek(from, from_trim || from.empty()));
  while (cursor->valid() && entries.size() < range.limit) {
    if (table.trimmed && range.reverse && cursor->entry().key < Bytes(table.min_key)) break;
    entries.push_back(describe(cursor->entry(), cursor->kind()));
    cursor->step();
    if (!cursor->valid() && !cursor->at_end()) {
      co_await check(cursor->next_page());
    }
  }
  co_return Status();
}

Error no_levels(const Table& table) {
  return Error(Errc::invalid_argument, rt::str("table \"", table.name(), "\" is a tree: it has no levels or sstables"),
               "name a table of kind levels; `cambium table list` shows the kind of each");
}

Op<TableLevels> report_levels(PartitionState& partition, TableState& table) {
  const GatePass pass(partition.operations);
  const TablePin pin(table);
  co_await check(partition.publisher->load(table));
  const TableRoot root = table.newest();
  TableLevels levels;
  levels.manifest_pages = root.node_pages - version_of(root).node_pages();
  for (const LevelRun& run : version_of(root).runs()) {
    for (const SstablePtr& sstable : run.tables) levels.sstables.push_back(describe(*sstable, run.place));
  }
  co_return levels;
}

Op<std::vector<SstableEntry>> report_entries(PartitionState& partition, TableState& table, SstableId id,
                                             SstableRange range) {
  const GatePass pass(partition.operations);
  const TablePin pin(table);
  const std::string after = range.after.str();  // the caller's bytes are good until we suspend
  range.after = after;
  co_await check(partition.publisher->load(table));
  const ViewRef view(*partition.views);  // its pages stay while they are read
  const SstablePtr sstable = find_sstable(version_of(table.newest()), id);
  if (!sstable) {
    co_return Error(Errc::not_found,
                    rt::str("table \"", table.name(), "\" has no sstable with the id ", static_cast<std::uint64_t>(id)),
                    "`cambium levels` lists those that it has; compaction replaces them");
  }
  std::vector<SstableEntry> entries;
  co_await check(collect(partition.levels->trees(), *sstable, range, entries));
  co_return entries;
}

}  // namespace

Op<TableLevels> PartitionState::table_levels(const Table& table) {
  if (closing) return Error(Errc::closed, rt::str("partition ", path, " is closed"));
  TableState* const state = table_to_write(table);
  if (state == nullptr) return no_table(table.id());
  if (state->kind() != TableKind::levels) return no_levels(table);
  const Core::Scope scope(core);
  return report_levels(*this, *state);
}

Op<std::vector<SstableEntry>> PartitionState::sstable_entries(const Table& table, std::uint64_t id,
                                                              const SstableRange& range) {
  if (closing) return Error(Errc::closed, rt::str("partition ", path, " is closed"));
  TableState* const state = table_to_write(table);
  if (state == nullptr) return no_table(table.id());
  if (state->kind() != TableKind::levels) return no_levels(table);
  if (range.after.size() > kKeyBytesMax) return Error(Errc::invalid_argument, "a key of an impossible length");
  const Core::Scope scope(core);
  return report_entries(*this, *state, SstableId{id}, range);
}

}  // namespace cambium
