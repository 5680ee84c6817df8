// SPDX-License-Identifier: MIT OR Apache-2.0
// Writing of a level store: flushed changes become a run, sstables come and go, pages move for the file's compaction.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "cache/overflow_value.h"
#include "levels/level_cursor.h"
#include "levels/level_store.h"

namespace cambium {

namespace {

// A bulk load: everything becomes one run, which is the table.
class LevelTableBuilder final : public SortedBuilder {
 public:
  LevelTableBuilder(LevelStore& store, PageWriter& writer, const SstableShape& shape)
      : store_(store), writer_(writer), sstables_(store.trees(), writer, shape, store.next_id()) {}

  bool add(Bytes key, Bytes value, format::EntryKind kind) override { return sstables_.add(key, value, kind); }
  Task<Status> add_long(Bytes key, Bytes value) override {
    Status added = co_await sstables_.add_long(key, value);
    co_return added;
  }
  Bytes last_key() const noexcept override { return sstables_.last_key(); }
  bool ready() const noexcept override { return sstables_.ready(); }
  Task<Status> pump() override { return sstables_.pump(); }
  Task<Result<TableRoot>> finish() override {
    co_await cambium::check(sstables_.finish());
    LevelEdit edit;
    for (SstablePtr& table : sstables_.take()) edit.added.emplace_back(std::move(table), SstablePlace{kBottom, 1});
    Result<TableRoot> root = co_await store_.edit(TableRoot{}, edit, writer_);
    co_return root;
  }

 private:
  static constexpr unsigned kBottom = 1;
  LevelStore& store_;
  PageWriter& writer_;
  SstableBuilder sstables_;
};

}  // namespace

std::unique_ptr<SortedBuilder> LevelStore::builder(PageWriter& writer, BuilderOptions options) {
  TableRoot chosen;
  chosen.index = options.index;
  chosen.compression = options.compression;
  return std::make_unique<LevelTableBuilder>(*this, writer, shape(chosen, kBottomLevel));
}

Task<Result<TableRoot>> LevelStore::apply(TableRoot root, std::span<const Change> changes, PageWriter& writer) {
  if (changes.empty()) co_return root;
  co_await cambium::check(load(root));
  const LevelVersion& version = version_of(root);
  Core& core = cache_.core();
  SstableBuilder sstables(trees_, writer, shape(root, 0), next_id_);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    if (i + Change::kPrefetchAhead < changes.size()) changes[i + Change::kPrefetchAhead].prefetch();
    if (change.remove) {
      if (version.empty() || CAMBIUM_PLANTED(level_tombstone_not_written))
        continue;  // nothing below that it could hide
      const bool above = sstables.add(change.key_view(), Bytes(), format::EntryKind::tombstone);
      CAMBIUM_ASSERT(above);
    } else if (change.value_bytes > kInlineValueBytesMax) {
      co_await cambium::check(sstables.add_long(change.key_view(), change.value_view()));
    } else {
      const bool above = sstables.add(change.key_view(), change.value_view(), format::EntryKind::value);
      CAMBIUM_ASSERT(above);
    }
    if (sstables.ready()) {
      co_await cambium::check(sstables.pump());
      if (core.over_budget()) co_await core.yield();
    }
  }
  co_await cambium::check(sstables.finish());
  LevelEdit flushed;
  for (SstablePtr& table : sstables.take()) {
    flushed.added.emplace_back(std::move(table), SstablePlace{0, version.next_run()});
  }
  if (flushed.added.empty()) co_return root;
  Result<TableRoot> after = co_await edit(root, flushed, writer);
  co_return after;
}

// The runs of its extents are freed as they are; long values that nothing refers to any more are in edit.freed.
Task<Status> LevelStore::free_pages(const Sstable& table, PageWriter& writer) {
  for (const PageRun& run : table.extents) {
    co_await cambium::check(writer.space().free(run, table.generation));
  }
  co_return Status();
}

Task<Result<TableRoot>> LevelStore::edit(TableRoot root, const LevelEdit& edit, PageWriter& writer) {
  co_await cambium::check(load(root));
  const LevelVersion& before = version_of(root);
  const Result<LevelVersionPtr> edited = before.with(edit);
  if (!edited) co_return overlap();
  const LevelVersionPtr version = edited.value();
  const auto moves = [&](SstableId id) {
    return std::any_of(edit.added.begin(), edit.added.end(), [&](const auto& added) { return added.first->id == id; });
  };
  for (const LevelRun& run : before.runs()) {
    for (const SstablePtr& table : run.tables) {
      const bool leaves = std::find(edit.removed.begin(), edit.removed.end(), table->id) != edit.removed.end();
      if (leaves && (!moves(table->id) || CAMBIUM_PLANTED(trimmed_sstable_freed))) {
        co_await cambium::check(free_pages(*table, writer));
      }
    }
  }
  for (const auto& [run, birth] : edit.freed) {
    co_await cambium::check(writer.space().free(run, birth));
  }
  std::vector<std::pair<std::string, std::string>> rows;  // an empty value: the row goes
  for (const SstableId id : edit.removed) {
    if (!moves(id)) rows.emplace_back(sstable_row_key(id), std::string());
  }
  for (const auto& [table, place] : edit.added) {
    if (CAMBIUM_PLANTED(manifest_row_not_written) && place.level != 0) continue;
    rows.emplace_back(sstable_row_key(table->id), sstable_row_value(*table, place));
  }
  std::sort(rows.begin(), rows.end());
  std::vector<Change> changes;
  for (const auto& [key, value] : rows) {
    changes.push_back({key.data(), value.data(), static_cast<std::uint32_t>(value.size()),
                       static_cast<std::uint16_t>(key.size()), value.empty()});
  }
  TableRoot after = co_await cambium::check(trees_.apply(manifest_of(root), changes, writer));
  after.node_pages += version->node_pages();
  after.overflow_pages += version->overflow_pages();
  after.content = version;
  after.index = root.index;
  after.compression = root.compression;
  co_return after;
}

// Sstables go as they are: nothing of them is read but where their long values lie.
Task<Result<TableRoot>> LevelStore::cut(TableRoot root, std::size_t leaves_max, PageWriter& writer,
                                        std::size_t& leaves) {
  constexpr std::size_t kSstablesPerRound = 64;
  co_await cambium::check(load(root));
  LevelEdit leaving;
  const TableRoot before = root;  // holds the version that is walked
  for (const LevelRun& run : version_of(before).runs()) {
    for (const SstablePtr& table : run.tables) {
      if (leaving.removed.size() >= kSstablesPerRound || leaves >= leaves_max) break;
      leaving.removed.push_back(table->id);
      if (table->root.overflow_pages == 0) continue;
      leaves += table->root.node_pages;
      co_await cambium::check(free_values(*table, leaving));
    }
  }
  ++leaves;
  Result<TableRoot> rest = co_await edit(root, leaving, writer);
  co_return rest;
}

Task<Status> LevelStore::free_values(const Sstable& table, LevelEdit& edit) {
  const std::unique_ptr<TableCursor> entries = trees_.cursor(table.root, {});
  co_await cambium::check(entries->seek(Bytes(), true));
  while (entries->valid()) {
    if (entries->kind() == format::EntryKind::overflow) {
      const OverflowView value(entries->entry().value);
      for (std::size_t i = 0; i < value.extent_count(); ++i)
        edit.freed.emplace_back(value.extent(i), value.generation());
    }
    entries->step();
    if (!entries->valid() && !entries->at_end()) {
      co_await cambium::check(entries->next_page());
      if (cache_.core().over_budget()) co_await cache_.core().yield();
    }
  }
  co_return Status();
}

// ---- moving for the file's compaction -----------------------------------------------------------------------------

// The sstable once more, its long values beyond the limit as well.
Task<Status> LevelStore::rebuild(const Sstable& table, PageId limit, SstableBuilder& builder, LevelEdit& edit) {
  const std::unique_ptr<TableCursor> entries = trees_.cursor(table.root, {});
  co_await cambium::check(entries->seek(table.trimmed ? Bytes(table.min_key) : Bytes(), true));
  while (entries->valid()) {
    const Entry entry = entries->entry();
    const format::EntryKind kind = entries->kind();
    if (kind == format::EntryKind::overflow && OverflowView(entry.value).reaches(limit)) {
      const OverflowView old(entry.value);
      OverflowBuffer value = co_await cambium::check(read_overflow(cache_.device(), old));
      co_await cambium::check(builder.add_long(entry.key, value.bytes()));
      for (std::size_t i = 0; i < old.extent_count(); ++i) edit.freed.emplace_back(old.extent(i), old.generation());
    } else {
      const bool above = builder.add(entry.key, entry.value, kind);
      if (!above) co_return overlap();
    }
    if (builder.ready()) {
      co_await cambium::check(builder.pump());
    }
    entries->step();
    if (!entries->valid() && !entries->at_end()) {
      co_await cambium::check(entries->next_page());
    }
    if (cache_.core().over_budget()) co_await cache_.core().yield();
  }
  Status finished = co_await builder.finish();
  co_return finished;
}

namespace {

bool reaches(const Sstable& table, PageId limit) noexcept {
  return std::any_of(table.extents.begin(), table.extents.end(),
                     [&](const PageRun& run) { return raw(run.first) + run.pages > raw(limit); });
}

}  // namespace

// Only its leaves know where its long values are.
Task<Result<bool>> LevelStore::values_reach(const Sstable& table, PageId limit) {
  const std::unique_ptr<TableCursor> entries = trees_.cursor(table.root, {});
  co_await cambium::check(entries->seek(Bytes(), true));
  while (entries->valid()) {
    if (entries->kind() == format::EntryKind::overflow && OverflowView(entries->entry().value).reaches(limit)) {
      co_return true;
    }
    entries->step();
    if (!entries->valid() && !entries->at_end()) {
      co_await cambium::check(entries->next_page());
    }
  }
  co_return false;
}

Task<Result<TableRoot>> LevelStore::relocate(TableRoot root, PageId limit, std::uint64_t pages_max, PageWriter& writer,
                                             bool& more) {
  more = false;
  if (root.height == 0) co_return root;
  co_await cambium::check(load(root));
  const TableRoot before = root;  // holds the version that is walked
  LevelEdit edit_of_moves;
  std::uint64_t moved = 0;
  for (const LevelRun& run : version_of(before).runs()) {
    for (const SstablePtr& table : run.tables) {
      bool beyond = reaches(*table, limit);
      if (!beyond && table->root.overflow_pages != 0) beyond = co_await cambium::check(values_reach(*table, limit));
      if (!beyond) continue;
      if (moved >= pages_max) {
        more = true;
        continue;
      }
      moved += table->pages() + table->root.overflow_pages;
      SstableBuilder builder(trees_, writer, shape(root, run.place.level).uncut(), next_id_);
      co_await cambium::check(rebuild(*table, limit, builder, edit_of_moves));
      edit_of_moves.removed.push_back(table->id);
      for (SstablePtr& built : builder.take()) {
        edit_of_moves.added.emplace_back(std::move(built), run.place);
      }
    }
  }
  if (!edit_of_moves.removed.empty()) {
    root = co_await cambium::check(edit(root, edit_of_moves, writer));
    co_await cambium::check(writer.settle());  // the manifest just built is read to be moved
  }
  bool more_rows = false;
  const TableRoot manifest = manifest_of(root);
  TableRoot after = co_await cambium::check(trees_.relocate(manifest, limit, pages_max, writer, more_rows));
  more = more || more_rows;
  after.node_pages += version_of(root).node_pages();
  after.overflow_pages += version_of(root).overflow_pages();
  after.content = root.content;
  after.index = root.index;
  after.compression = root.compression;
  co_return after;
}

}  // namespace cambium
