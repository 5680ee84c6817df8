// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/level_version.h"

#include <algorithm>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "format/superblock.h"

namespace cambium {

std::size_t LevelRun::lower_bound(Bytes key) const noexcept {
  const auto at = std::partition_point(tables.begin(), tables.end(),
                                       [&](const SstablePtr& table) { return Bytes(table->max_key) < key; });
  return static_cast<std::size_t>(at - tables.begin());
}

const Sstable* LevelRun::find(Bytes key) const noexcept {
  const std::size_t at = tables.size() == 1 ? 0 : lower_bound(key);
  return at < tables.size() && tables[at]->spans(key) ? tables[at].get() : nullptr;
}

std::uint64_t LevelRun::pages() const noexcept {
  std::uint64_t pages = 0;
  for (const SstablePtr& table : tables) pages += table->pages();
  return pages;
}

// Puts sstables into runs. Returns nullptr, or what is wrong with them.
const char* LevelVersion::arrange(std::vector<Placed> tables, LevelVersion& version) {
  std::sort(tables.begin(), tables.end(), [](const Placed& a, const Placed& b) {
    if (a.second.level != b.second.level) return a.second.level < b.second.level;
    if (a.second.run != b.second.run) return (a.second.run > b.second.run) != CAMBIUM_PLANTED(runs_oldest_first);
    return a.first->min_key < b.first->min_key;
  });
  for (Placed& placed : tables) {
    const SstablePlace place = placed.second;
    const bool same = !version.runs_.empty() && version.runs_.back().place.level == place.level &&
                      version.runs_.back().place.run == place.run;
    if (!same) version.runs_.push_back({place, {}});
    std::vector<SstablePtr>& run = version.runs_.back().tables;
    if (placed.first->max_key < placed.first->min_key) return "have their keys in the wrong order";
    if (!run.empty() && !(run.back()->max_key < placed.first->min_key)) return "of one run overlap";
    version.next_id_ = std::max(version.next_id_, SstableId{static_cast<std::uint64_t>(placed.first->id) + 1});
    if (place.level == 0) version.next_run_ = std::max(version.next_run_, place.run + 1);
    run.push_back(std::move(placed.first));
  }
  return nullptr;
}

Result<LevelVersionPtr> LevelVersion::of(std::vector<Placed> tables) {
  auto version = std::make_shared<LevelVersion>();
  const char* const wrong = arrange(std::move(tables), *version);
  if (wrong != nullptr) return Error(Errc::corruption, rt::str("sstables ", wrong));
  version->stats_ = std::make_shared<LevelStats>();
  return LevelVersionPtr(std::move(version));
}

Result<LevelVersionPtr> LevelVersion::with(const LevelEdit& edit) const {
  std::vector<Placed> tables;
  std::size_t removed = 0;
  for (const LevelRun& run : runs_) {
    for (const SstablePtr& table : run.tables) {
      const bool gone = std::find(edit.removed.begin(), edit.removed.end(), table->id) != edit.removed.end();
      removed += gone ? 1 : 0;
      if (!gone) tables.emplace_back(table, run.place);
    }
  }
  CAMBIUM_ASSERT(removed == edit.removed.size());
  tables.insert(tables.end(), edit.added.begin(), edit.added.end());
  auto version = std::make_shared<LevelVersion>();
  version->next_id_ = next_id_;  // numbers are not used again, whatever became of their sstables
  version->next_run_ = next_run_;
  version->stats_ = stats_;
  const char* const wrong = arrange(std::move(tables), *version);
  if (wrong != nullptr) return Error(Errc::corruption, rt::str("sstables ", wrong));
  return LevelVersionPtr(std::move(version));
}

std::size_t LevelVersion::runs_at(unsigned level) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(runs_.begin(), runs_.end(), [&](const LevelRun& run) { return run.place.level == level; }));
}
std::uint64_t LevelVersion::pages_at(unsigned level) const noexcept {
  std::uint64_t pages = 0;
  for (const LevelRun& run : runs_) pages += run.place.level == level ? run.pages() : 0;
  return pages;
}
std::uint64_t LevelVersion::node_pages() const noexcept {
  std::uint64_t pages = 0;
  for (const LevelRun& run : runs_) pages += run.pages();
  return pages;
}
std::uint64_t LevelVersion::overflow_pages() const noexcept {
  std::uint64_t pages = 0;
  for (const LevelRun& run : runs_) {
    for (const SstablePtr& table : run.tables) pages += table->root.overflow_pages;
  }
  return pages;
}
std::uint64_t LevelVersion::entries() const noexcept {
  std::uint64_t entries = 0;
  for (const LevelRun& run : runs_) {
    for (const SstablePtr& table : run.tables) entries += table->entries();
  }
  return entries;
}
std::uint64_t LevelVersion::features_needed() const noexcept {
  std::uint64_t features = 0;
  for (const LevelRun& run : runs_) {
    for (const SstablePtr& table : run.tables) {
      features |= format::feature_of(table->compression);
      if (table->index.leaves != 0) features |= format::kFeatureLearned;
    }
  }
  return features;
}

}  // namespace cambium
