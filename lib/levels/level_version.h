// SPDX-License-Identifier: MIT OR Apache-2.0
// LevelVersion: which sstables a table is made of, at one generation. A value that never changes; a flush or a
// compaction makes the next one.
//
//   level 0    runs of what flushes wrote, newest first; runs overlap
//   level 1..  fewer runs, each ten times the level above
//
// A run is a row of sstables with ascending, disjoint keys: one sorted sequence. A lookup asks the runs in order and
// takes the first answer; a scan merges them.
//
// Invariants
//   1. Sstables of a run are disjoint and ascend.
//   2. Of two entries for a key the newer one is in the run that comes first in runs().
//   3. Every run has at least one sstable.
//   4. Versions that came from one another share their stats(), which is all of them that ever changes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "levels/level_stats.h"
#include "levels/sstable.h"

namespace cambium {

struct LevelRun {
  SstablePlace place;
  std::vector<SstablePtr> tables;

  // The sstable that may hold `key`; nullptr when none does.
  const Sstable* find(Bytes key) const noexcept;
  // Index of the first sstable whose max_key is not below `key`.
  std::size_t lower_bound(Bytes key) const noexcept;
  std::uint64_t pages() const noexcept;
};

// What a flush or a compaction changes.
struct LevelEdit {
  std::vector<SstableId> removed;
  std::vector<std::pair<SstablePtr, SstablePlace>> added;  // also those that only move: removed and added
  std::vector<std::pair<PageRun, Generation>> freed;       // long values that nothing refers to any more
};

class LevelVersion final : public TableContent {
 public:
  // Errors: corruption: sstables of a run overlap.
  static Result<std::shared_ptr<const LevelVersion>> of(std::vector<std::pair<SstablePtr, SstablePlace>> tables);
  // Requires: what is removed is there. Errors: corruption: sstables of a run overlap now, because the manifest has the
  // ones they were made of hold other keys than they do.
  Result<std::shared_ptr<const LevelVersion>> with(const LevelEdit& edit) const;

  std::span<const LevelRun> runs() const noexcept { return runs_; }
  bool empty() const noexcept { return runs_.empty(); }
  SstableId next_id() const noexcept { return next_id_; }
  std::uint32_t next_run() const noexcept { return next_run_; }  // at level 0
  std::size_t runs_at(unsigned level) const noexcept;
  std::uint64_t pages_at(unsigned level) const noexcept;
  unsigned deepest_level() const noexcept { return runs_.empty() ? 0 : runs_.back().place.level; }
  std::uint64_t node_pages() const noexcept;  // filters included
  std::uint64_t overflow_pages() const noexcept;
  std::uint64_t entries() const noexcept override;
  LevelStats& stats() const noexcept { return *stats_; }  // of the table
  std::uint64_t features_needed() const noexcept override;

 private:
  using Placed = std::pair<SstablePtr, SstablePlace>;
  static const char* arrange(std::vector<Placed> tables, LevelVersion& version);

  std::vector<LevelRun> runs_;  // by level, then newest first
  SstableId next_id_{1};
  std::uint32_t next_run_ = 1;
  std::shared_ptr<LevelStats> stats_;
};

using LevelVersionPtr = std::shared_ptr<const LevelVersion>;

inline const LevelVersion& version_of(const TableRoot& root) noexcept {
  return static_cast<const LevelVersion&>(*root.content);
}

}  // namespace cambium
