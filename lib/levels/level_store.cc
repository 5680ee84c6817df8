// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading of a level store: its manifest, points, scans.
#include "levels/level_store.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "base/text.h"
#include "cache/overflow_value.h"
#include "cache/page_reader.h"
#include "cache/row_cache.h"
#include "levels/blocked_filter.h"
#include "levels/index_check.h"
#include "levels/level_cursor.h"
#include "levels/sstable_check.h"

namespace cambium {

namespace {

constexpr const char* kSalvageHint = "restore the file from a backup, or use `cambium salvage`";

}  // namespace

Error LevelStore::overlap() const {
  return Error(Errc::corruption,
               rt::str("a run of sstables of ", cache_.device().name(), " holds keys beyond what its manifest says"),
               kSalvageHint);
}

// ---- the manifest -------------------------------------------------------------------------------------------------

Task<Status> LevelStore::load(TableRoot& root) {
  if (root.content) co_return Status();
  const std::uint64_t file_pages = cache_.device().size_bytes() / kPageBytes;
  std::vector<std::pair<SstablePtr, SstablePlace>> tables;
  if (root.height != 0) {
    const TableRoot manifest = root;
    const std::unique_ptr<TableCursor> rows = trees_.cursor(manifest, {});
    co_await cambium::check(rows->seek(Bytes(), true));
    while (rows->valid()) {
      Bytes value = rows->entry().value;
      std::optional<OverflowBuffer> memory;
      if (rows->kind() == format::EntryKind::overflow) {
        Result<OverflowBuffer> read = co_await read_overflow(cache_.device(), OverflowView(value));
        if (!read) co_return read.error();
        memory.emplace(std::move(*read));
        value = memory->bytes();
      }
      SstablePlace place;
      Result<SstablePtr> table = read_sstable_row(rows->entry().key, value, file_pages, place);
      if (!table) {
        const std::string where = rt::str("page ", raw(rows->page()), " of ", cache_.device().name(), ": ");
        co_return Error(table.code(), where + std::string(table.error().message()), kSalvageHint);
      }
      tables.emplace_back(std::move(*table), place);
      rows->step();
      if (!rows->valid() && !rows->at_end()) {
        co_await cambium::check(rows->next_page());
      }
    }
  }
  Result<LevelVersionPtr> version = LevelVersion::of(std::move(tables));
  if (!version) {
    const std::string where = rt::str("the manifest in page ", root.pointer.page, " of ", cache_.device().name());
    co_return Error(version.code(), where + ": " + std::string(version.error().message()), kSalvageHint);
  }
  if (!CAMBIUM_PLANTED(sstable_number_reused)) next_id_ = std::max(next_id_, (*version)->next_id());
  root.content = std::move(*version);
  co_return Status();
}

TableRoot LevelStore::manifest_of(const TableRoot& root) noexcept {
  TableRoot manifest = root;
  manifest.content = nullptr;
  if (root.content) {
    manifest.node_pages -= version_of(root).node_pages();
    manifest.overflow_pages -= version_of(root).overflow_pages();
  }
  return manifest;
}

// ---- points -------------------------------------------------------------------------------------------------------

LevelStore::Asked LevelStore::ask_filter(const Sstable& table, std::uint64_t hash, Lookup& lookup,
                                         LevelStats& of_table) noexcept {
  if (table.filter.empty()) return Asked::may_have;
  const FilterShape shape = table.filter_shape();
  const FilterPage& page = table.filter[filter_page_of(shape, hash)];
  const FrameIndex frame = cache_.find(page.pointer, format::kFilterLevel, page.frame);
  if (frame == kNoFrame) {
    const std::uint32_t source = lookup.source;
    lookup = {.missing = page.pointer,
              .level = format::kFilterLevel,
              .started = true,
              .source = source,
              .stage = Lookup::Stage::filter};
    return Asked::missing;
  }
  cache_.touch_branch(frame);  // one page of it answers for thousands of keys
  count(of_table, &LevelStats::filter_checks);
  if (filter_may_contain(cache_.bytes(frame), shape, hash)) return Asked::may_have;
  count(of_table, &LevelStats::filter_negatives);
  return Asked::has_not;
}

bool LevelStore::find_row(const Sstable& table, std::uint64_t hash, Bytes key, FoundEntry& found) noexcept {
  if (rows_ == nullptr || table.row_source == 0) return false;
  const RowCache::Source source = CAMBIUM_PLANTED(row_of_another_sstable) ? 1 : table.row_source;
  const RowCache::Found row = rows_->find(source, hash, key);
  if (row.here) found = {kNoFrame, {row.kind, 0, row.value}};
  return row.here;
}

// Long values stay where they are, and what expires is not kept beyond its page.
void LevelStore::keep_row(const Sstable& table, std::uint64_t hash, Bytes key, const FoundEntry& found) noexcept {
  if (rows_ == nullptr || found.entry.kind == format::EntryKind::overflow || found.entry.expiry != 0) return;
  if (table.row_source == 0) table.row_source = rows_->next_source();
  const RowCache::Source source = CAMBIUM_PLANTED(row_of_another_sstable) ? 1 : table.row_source;
  rows_->insert(source, hash, key, found.entry.kind, found.entry.value);
}

FindState LevelStore::find_in(const Sstable& table, Bytes key, Lookup& lookup, FoundEntry& found) noexcept {
  if (table.index.leaves != 0 && lookup.stage != Lookup::Stage::index) {
    const std::optional<FindState> state = find_learned(table, key, lookup, found);
    if (state) return *state;
    lookup = {};
  }
  const FindState state = trees_.find(table.root, key, lookup, found);
  lookup.stage = Lookup::Stage::index;
  return state;
}

FindState LevelStore::find(const TableRoot& root, Bytes key, Lookup& lookup, FoundEntry& found) noexcept {
  const std::span<const LevelRun> runs = version_of(root).runs();
  const std::uint64_t hash = filter_hash(key);
  LevelStats& of_table = version_of(root).stats();
  if (lookup.source == 0 && lookup.stage == Lookup::Stage::next) count(of_table, &LevelStats::lookups);
  for (; lookup.source < runs.size(); ++lookup.source) {
    const Sstable* const table = runs[lookup.source].find(key);
    if (table == nullptr) continue;
    if (lookup.stage != Lookup::Stage::index && lookup.stage != Lookup::Stage::learned) {
      const Sstable& asked_of = CAMBIUM_PLANTED(filter_of_another_sstable) ? *runs.front().tables.front() : *table;
      const Asked asked = ask_filter(asked_of, hash, lookup, of_table);
      if (asked == Asked::missing) return FindState::missing;
      const std::uint32_t asked_source = lookup.source;
      lookup = {};
      lookup.source = asked_source;
      if (asked == Asked::has_not) continue;
      count(of_table, &LevelStats::searches);
    }
    const std::uint32_t source = lookup.source;
    const FrameIndex arrived = lookup.arrived;  // the leaf, perhaps, if it was waited for
    FindState state = FindState::found;
    if (lookup.started || !find_row(*table, hash, key, found)) {
      state = find_in(*table, key, lookup, found);
      const bool waited_or_unpacked = found.frame == arrived || found.frame == kNoFrame;
      if (state == FindState::found && waited_or_unpacked) keep_row(*table, hash, key, found);
    }
    lookup.source = source;  // which the tree knows nothing of
    if (state == FindState::found && !CAMBIUM_PLANTED(tombstone_taken_for_value)) {
      return found.entry.kind == format::EntryKind::tombstone ? FindState::absent : FindState::found;
    }
    if (state != FindState::absent) return state;
    count(of_table, &LevelStats::filter_false_positives);
    lookup = {};
    lookup.source = source;
  }
  return FindState::absent;
}

void LevelStore::find_many(const TableRoot& root, std::span<MultiLookup> lookups) noexcept {
  for (MultiLookup& lookup : lookups) {
    if (lookup.state == FindState::found) continue;
    lookup.state = find(root, lookup.key, lookup.lookup, lookup.found);
  }
}

std::unique_ptr<TableCursor> LevelStore::cursor(const TableRoot& root, CursorOptions options) {
  return std::make_unique<LevelCursor>(cache_, trees_, streams_, root.content, version_of(root).runs(), options);
}

// ---- the whole ----------------------------------------------------------------------------------------------------

// The filter first: then each key of the leaves can be asked of it.
Task<Status> LevelStore::check_sstable(const Sstable& table, PageVisitor& visitor) {
  SstableCheck findings(table, visitor, cache_.device().name());
  PageReader reader(cache_.device(), cache_.file_id());
  for (std::size_t page = 0; page < table.filter.size();) {
    PageReader::Wanted wanted[PageReader::kBatchPages];
    std::size_t count = 0;
    for (; count < PageReader::kBatchPages && page + count < table.filter.size(); ++count) {
      wanted[count] = {table.filter[page + count].pointer, format::kFilterLevel, {}};
    }
    co_await reader.read(wanted, count);
    for (std::size_t i = 0; i < count; ++i) {
      findings.filter_page(static_cast<std::uint32_t>(page + i), std::move(wanted[i].status), reader.page(i));
    }
    page += count;
    Status paced = co_await visitor.pace(page);
    if (!paced) co_return paced;
  }
  IndexCheck index(table, findings);
  if (table.index.leaves != 0) {
    co_await cambium::check(index.read(reader));
  }
  Status walked = co_await trees_.check(table.root, index);
  if (walked) findings.end();
  if (walked) walked = index.first();
  co_return findings.first_damage() ? walked : findings.first_damage();
}

Task<Status> LevelStore::check(const TableRoot& root, PageVisitor& visitor) {
  if (root.height == 0) co_return Status();
  TableRoot loaded = root;
  Status ready = co_await load(loaded);
  if (!ready) {
    Status damaged = co_await trees_.check(root, visitor);  // says where
    co_return damaged ? ready : damaged;
  }
  Status first = co_await trees_.check(manifest_of(loaded), visitor);
  for (const LevelRun& run : version_of(loaded).runs()) {
    for (const SstablePtr& table : run.tables) {
      Status whole = co_await check_sstable(*table, visitor);
      if (first && !whole) first = whole;
    }
  }
  co_return first;
}

}  // namespace cambium
