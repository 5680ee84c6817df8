// SPDX-License-Identifier: MIT OR Apache-2.0
// One compaction: the runs of a plan become one run, in slices of the key space, each of which is published by itself.
//
// A slice ends between two sstables of the output. What it took from an input sstable is gone from the table when the
// slice is published: the sstable goes, or is trimmed (a row of the manifest, not a page of it, changes). So a merge
// of any size needs little space beside its inputs, holds nobody up for long, and may be left off at any slice.
// Sstables of the output's run that nothing comes down to stay as they are.
//
// Errors     as reading and writing. Nothing has changed then but what earlier slices published.
// Suspends   everywhere; yields every 0.3 ms.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "levels/compaction_picker.h"
#include "levels/level_store.h"

namespace cambium {

class Compaction {
 public:
  Compaction(LevelStore& store, CompactionPlan plan) : store_(store), plan_(std::move(plan)) {}

  // Is nothing left to be merged in this version?
  bool done(const LevelVersion& version) const;
  // Builds the next slice through a writer that builds ahead: `edit` is to be published. Requires: !done(); the view
  // of `root` is held.
  Task<Status> build_slice(const TableRoot& root, PageWriter& writer, LevelEdit& edit);
  // The slice built last is part of the newest version.
  void published() noexcept { progress_ = next_progress_; }
  const CompactionPlan& plan() const noexcept { return plan_; }
  // How much of what comes down has, from 0 to 1.
  double share_done(const LevelVersion& version) const noexcept;
  std::size_t from_runs() const noexcept;  // of the level it comes from, that it began with
  std::uint64_t entries_read() const noexcept { return entries_read_; }
  // How much of what came down made something else go, about: 0 where all keys were new, 1 where all were known.
  double share_dropped() const noexcept;

 private:
  std::vector<LevelRun> inputs_in(const LevelVersion& version) const;
  std::string untouched_from(const std::vector<LevelRun>& inputs) const;
  bool move_whole(const std::vector<LevelRun>& inputs, LevelEdit& edit) const;
  void close_slice(const std::vector<LevelRun>& inputs, Bytes end, SstableBuilder& builder, LevelEdit& edit) const;

  LevelStore& store_;
  CompactionPlan plan_;
  std::string progress_;       // keys below are merged; empty: none yet
  std::string next_progress_;  // when the slice built last is published
  std::uint64_t entries_read_ = 0;
  std::uint64_t entries_dropped_ = 0;
};

// Can this edit still be published in `version`? Others may have moved its sstables meanwhile.
bool applies_to(const LevelEdit& edit, const LevelVersion& version);

}  // namespace cambium
