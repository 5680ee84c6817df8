// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/compaction.h"

#include <algorithm>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "levels/level_cursor.h"
#include "node/short_compare.h"

namespace cambium {

std::vector<LevelRun> Compaction::inputs_in(const LevelVersion& version) const {
  std::vector<LevelRun> inputs;
  for (const LevelRun& run : version.runs()) {
    if (!plan_.has_input(run.place)) continue;
    LevelRun ours{run.place, {}};
    for (const SstablePtr& table : run.tables) {
      // What stands at the output's place below the progress was made here.
      if (run.place == plan_.output && Bytes(table->max_key) < Bytes(progress_)) continue;
      ours.tables.push_back(table);
    }
    if (!ours.tables.empty()) inputs.push_back(std::move(ours));
  }
  // What lies below all that comes down stays as it is.
  const Sstable* lowest = nullptr;
  for (const LevelRun& run : inputs) {
    const Sstable& first = *run.tables.front();
    if (run.place != plan_.output && (lowest == nullptr || first.min_key < lowest->min_key)) lowest = &first;
  }
  if (lowest == nullptr) return inputs;
  std::erase_if(inputs, [&](LevelRun& run) {
    if (run.place != plan_.output) return false;
    run.tables.erase(run.tables.begin(),
                     run.tables.begin() + static_cast<std::ptrdiff_t>(run.lower_bound(lowest->min_key)));
    return run.tables.empty();
  });
  return inputs;
}

// Where the first sstable begins that nothing comes down to: a slice ends there, so that it is not written again.
// Empty: there is none. Slices of long values are not cut short: what newer entries hide is told a page ahead.
std::string Compaction::untouched_from(const std::vector<LevelRun>& inputs) const {
  if (!plan_.sliced) return {};
  for (const LevelRun& run : inputs) {
    if (run.place != plan_.output) continue;
    for (const SstablePtr& table : run.tables) {
      const bool touched = std::any_of(inputs.begin(), inputs.end(), [&](const LevelRun& above) {
        if (above.place == plan_.output) return false;
        const std::size_t at = above.lower_bound(table->min_key);
        return at != above.tables.size() && above.tables[at]->min_key <= table->max_key;
      });
      if (!touched) return table->min_key;
    }
  }
  return {};
}

// What is left at the output's own place alone needs no merging.
bool Compaction::done(const LevelVersion& version) const {
  return std::none_of(version.runs().begin(), version.runs().end(),
                      [&](const LevelRun& run) { return run.place != plan_.output && plan_.has_input(run.place); });
}

double Compaction::share_done(const LevelVersion& version) const noexcept {
  std::uint64_t left = 0;
  for (const LevelRun& run : version.runs()) {
    if (run.place != plan_.output && plan_.has_input(run.place)) left += run.pages();
  }
  return 1.0 - static_cast<double>(left) / static_cast<double>(std::max<std::uint64_t>(plan_.from_pages, 1));
}

std::size_t Compaction::from_runs() const noexcept {
  return static_cast<std::size_t>(std::count_if(plan_.inputs.begin(), plan_.inputs.end(),
                                                [&](SstablePlace place) { return place.level == plan_.from_level; }));
}

double Compaction::share_dropped() const noexcept {
  const auto came = static_cast<double>(std::max<std::uint64_t>(plan_.from_entries, 1));
  return std::min(1.0, static_cast<double>(entries_dropped_) / came);
}

// Nothing to merge, nothing to drop, and not many small ones: the sstables change their place, no page is written. Keys
// that come in order never need more.
bool Compaction::move_whole(const std::vector<LevelRun>& inputs, LevelEdit& edit) const {
  std::vector<const Sstable*> all;
  for (const LevelRun& run : inputs) {
    for (const SstablePtr& table : run.tables) {
      all.push_back(table.get());
      if (run.place == plan_.output) continue;
      if (plan_.drop_tombstones && table->tombstones != 0) return false;
      if (inputs.size() > 1 && table->pages() < store_.sstable_pages_max() / 2) return false;
    }
  }
  std::sort(all.begin(), all.end(), [](const Sstable* a, const Sstable* b) { return a->min_key < b->min_key; });
  const auto overlap = std::adjacent_find(
      all.begin(), all.end(), [](const Sstable* a, const Sstable* b) { return !(a->max_key < b->min_key); });
  if (overlap != all.end()) return false;
  for (const LevelRun& run : inputs) {
    if (run.place == plan_.output) continue;
    for (const SstablePtr& table : run.tables) {
      edit.removed.push_back(table->id);
      edit.added.emplace_back(table, plan_.output);
    }
  }
  return true;
}

Task<Status> Compaction::build_slice(const TableRoot& root, PageWriter& writer, LevelEdit& edit) {
  const std::vector<LevelRun> inputs = inputs_in(version_of(root));
  next_progress_ = progress_;
  if (move_whole(inputs, edit)) co_return Status();
  Core& core = store_.cache().core();
  CursorOptions options;
  options.readahead_pages = 64;
  options.bulk = true;
  LevelCursor entries(store_.cache(), store_.trees(), store_.streams(), root.content, inputs, options, true);
  entries.report_hidden(&edit.freed);
  co_await check(entries.seek(Bytes(), true));
  SstableBuilder builder(store_.trees(), writer, store_.shape(root, plan_.output.level), store_.next_id());
  const std::uint64_t pages_before = writer.stats().pages;
  const std::uint64_t slice_pages = 2 * store_.sstable_pages_max();
  const std::string stop = untouched_from(inputs);
  bool full = false;
  while (entries.valid() && !full) {
    if (!stop.empty() && !node::key_below(entries.entry().key, stop)) break;
    ++entries_read_;
    if (plan_.drop_tombstones && entries.kind() == format::EntryKind::tombstone) {
      ++entries_dropped_;
    } else {
      const bool above = builder.add(entries.entry().key, entries.entry().value, entries.kind());
      if (!above) co_return store_.overlap();
    }
    entries.step();
    if (builder.ready()) {
      co_await check(builder.pump());
      full = plan_.sliced && builder.between_sstables() && writer.stats().pages - pages_before >= slice_pages;
      if (core.over_budget()) co_await core.yield();
    }
    while (!entries.valid() && !entries.at_end()) {
      co_await check(entries.next_page());
      if (core.over_budget()) co_await core.yield();
    }
  }
  entries_dropped_ += entries.hidden_count();
  co_await check(builder.finish());
  next_progress_ = entries.valid() ? entries.entry().key.str() : std::string();
  close_slice(inputs, next_progress_, builder, edit);
  if (CAMBIUM_PLANTED(slice_published_unwritten)) co_return Status();
  Status written = co_await writer.finish();
  co_return written;
}

// Every input gives up what lies below `end` (empty: everything).
void Compaction::close_slice(const std::vector<LevelRun>& inputs, Bytes end, SstableBuilder& builder,
                             LevelEdit& edit) const {
  for (SstablePtr& table : builder.take()) edit.added.emplace_back(std::move(table), plan_.output);
  for (const LevelRun& run : inputs) {
    for (const SstablePtr& table : run.tables) {
      const bool whole = end.empty() || Bytes(table->max_key) < end;
      if (!whole && !(Bytes(table->min_key) < end)) continue;
      edit.removed.push_back(table->id);
      if (whole) continue;
      auto rest = std::make_shared<Sstable>(*table);
      rest->min_key = end.str();
      rest->trimmed = true;
      edit.added.emplace_back(std::move(rest), run.place);
    }
  }
}

bool applies_to(const LevelEdit& edit, const LevelVersion& version) {
  if (CAMBIUM_PLANTED(overtaken_slice_published)) return true;
  return std::all_of(edit.removed.begin(), edit.removed.end(), [&](SstableId id) {
    return std::any_of(version.runs().begin(), version.runs().end(), [&](const LevelRun& run) {
      return std::any_of(run.tables.begin(), run.tables.end(),
                         [&](const SstablePtr& table) { return table->id == id; });
    });
  });
}

}  // namespace cambium
