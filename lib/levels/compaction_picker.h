// SPDX-License-Identifier: MIT OR Apache-2.0
// Which runs of a level store are merged next, and how many a level may have. Pure: a version and a policy in, a plan
// out.
//
// Lazy leveling (Dayan and Idreos, Dostoevsky, 2018): the bottom level is one run; a level above it gathers up to
// `tier_runs` runs, then all of them become one run of the level below. One run per level is leveled compaction, more
// is tiered: fewer rewrites, more runs to look at. How many is chosen from the mix of reads and writes (chosen_policy).
//
// Levels are numbered from 0 (flushes) to kBottomLevel. How many lie between is chosen by the size of the bottom: a
// merge into a run that is much larger than what is merged rewrites too much.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "levels/level_version.h"

namespace cambium {

inline constexpr unsigned kBottomLevel = 6;

// Bits per key of the filters of a level: ten on average, but so that absent keys cost the fewest reads, as in Monkey
// (Dayan, Athanassoulis and Idreos, 2017). A run above has an eighth of the keys of one below it, or less, and deceives
// as often for each: there the same bits buy more. Levels between are taken for level 1: most tables have none.
double filter_bits_at(unsigned level) noexcept;

struct CompactionPolicy {
  unsigned flush_runs = 8;  // of level 0: as many are merged, and a third more at the most
  unsigned tier_runs = 6;   // of a level between: as many are merged into the one below
  const char* reason = "mostly writes: few rewrites";
};

// What was done to a table since the last look.
struct TableTraffic {
  std::uint64_t gets = 0;
  std::uint64_t scans = 0;
  std::uint64_t writes = 0;
};
// Weighs what runs cost: a scan reads a page of each, a get asks the filter of each, which is seldom a read.
CompactionPolicy chosen_policy(TableTraffic traffic) noexcept;

struct CompactionPlan {
  unsigned from_level = 0;
  SstablePlace output;
  std::vector<SstablePlace> inputs;  // runs: those of the level, and what they are merged with
  bool drop_tombstones = false;      // nothing older than the output is left of the key range
  bool sliced = true;                // may be done piece by piece, leaving sstables trimmed
  std::uint64_t pages = 0;           // of the inputs
  std::uint64_t from_pages = 0;      // of those above the output
  std::uint64_t from_entries = 0;    // likewise

  bool has_input(SstablePlace place) const noexcept {
    return std::find(inputs.begin(), inputs.end(), place) != inputs.end();
  }
};

// Do tombstones lie so close above the bottom that a scan would pass over long stretches of them?
bool has_dense_tombstones(const LevelVersion& version) noexcept;

// The merge to begin at `level`, if it is due. `under_way`: other merges, whose runs are left alone. `settle`:
// everything above the bottom is due: level 0 as always, from level 1 on all levels in one merge into the bottom.
// Requires of that: no other merge is under way but one of level 0.
//
// Of level 0 the oldest runs are merged, not all: a merge that takes in a backlog at once holds up the next one. What
// lies between level 0 and where they belong goes along: else a few small runs, such as settle() leaves behind, would
// be a level of their own from then on, through which everything has to go.
std::optional<CompactionPlan> pick_compaction(const LevelVersion& version, const CompactionPolicy& policy,
                                              unsigned level, std::span<const CompactionPlan* const> under_way = {},
                                              bool settle = false);

// What a full device has room for: the newest runs of level 0 that are a leaf and a filter each, such as deletes leave
// behind one by one, become one run in the place of the newest. Three at least: then it gives pages back for certain.
std::optional<CompactionPlan> pick_smallest_runs(const LevelVersion& version);

}  // namespace cambium
