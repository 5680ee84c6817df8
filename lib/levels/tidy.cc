// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/tidy.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <cambium/rt/check.h>

#include "base/assert.h"
#include "cache/overflow_value.h"
#include "levels/level_cursor.h"

namespace cambium {

namespace {

// Where a table stands: how many runs are newer, and itself.
std::pair<std::size_t, SstablePtr> place_of(const LevelVersion& version, SstableId id) {
  for (std::size_t newer = 0; newer < version.runs().size(); ++newer) {
    for (const SstablePtr& table : version.runs()[newer].tables) {
      if (table->id == id) return {newer, table};
    }
  }
  return {0, nullptr};
}

// Stands on the first entry not below `key`, or on none.
Task<Status> go_up_to(LevelCursor& above, Bytes key) {
  for (;;) {
    while (above.valid() && above.entry().key < key) above.step();
    if (above.valid() || above.at_end()) co_return Status();
    co_await check(above.next_page());
  }
}

}  // namespace

bool may_be_tidied(const LevelVersion& version, const LevelRun& run, const Sstable& table) noexcept {
  for (const LevelRun& newer : version.runs()) {
    if (newer.place == run.place) return false;
    const std::size_t at = newer.lower_bound(table.min_key);
    if (at != newer.tables.size() && newer.tables[at]->overlaps(table.min_key, table.max_key)) return true;
  }
  return false;
}

Task<Status> tidy_sstable(LevelStore& store, const TableRoot& root, SstableId id, PageWriter& writer, LevelEdit& edit) {
  const Error no_gain(Errc::no_space, "tidying an sstable would give back nothing", "free some space");
  const LevelVersion& version = version_of(root);
  const std::pair<std::size_t, SstablePtr> standing = place_of(version, id);
  const std::size_t newer = standing.first;
  const SstablePtr& table = standing.second;
  CAMBIUM_ASSERT(table != nullptr);
  const SstablePlace place = version.runs()[newer].place;
  Core& core = store.cache().core();
  LevelCursor above(store.cache(), store.trees(), nullptr, root.content, version.runs().first(newer), {}, true);
  co_await check(above.seek(Bytes(table->min_key), true));
  const std::unique_ptr<TableCursor> entries = store.trees().cursor(table->root, {});
  co_await check(entries->seek(table->trimmed ? Bytes(table->min_key) : Bytes(), true));
  SstableBuilder builder(store.trees(), writer, store.shape(root, place.level).uncut(), store.next_id());
  const std::uint64_t pages_before = writer.stats().pages;
  std::uint64_t gained = table->pages();
  while (entries->valid()) {
    const Entry entry = entries->entry();
    const format::EntryKind kind = entries->kind();
    co_await check(go_up_to(above, entry.key));
    const bool hidden = above.valid() && above.entry().key == entry.key;
    if (hidden && kind == format::EntryKind::overflow) {
      const OverflowView value(entry.value);
      for (std::size_t i = 0; i < value.extent_count(); ++i) {
        edit.freed.emplace_back(value.extent(i), value.generation());
        gained += value.extent(i).pages;
      }
    }
    if (!hidden && !builder.add(entry.key, entry.value, kind)) co_return store.overlap();
    if (builder.ready()) {
      co_await check(builder.pump());
      if (writer.stats().pages - pages_before >= gained) co_return no_gain;
    }
    entries->step();
    if (!entries->valid() && !entries->at_end()) {
      co_await check(entries->next_page());
    }
    if (core.over_budget()) co_await core.yield();
  }
  co_await check(builder.finish());
  if (writer.stats().pages - pages_before >= gained) co_return no_gain;
  edit.removed.push_back(id);
  for (SstablePtr& built : builder.take()) edit.added.emplace_back(std::move(built), place);
  Status written = co_await writer.finish();
  co_return written;
}

}  // namespace cambium
