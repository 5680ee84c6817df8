// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/compaction_picker.h"

#include <algorithm>

#include "base/planted_bug.h"
#include "levels/filter_bits.h"

namespace cambium {

CompactionPolicy chosen_policy(TableTraffic traffic) noexcept {
  constexpr std::uint64_t kGetsLikeAScan = 16;
  const std::uint64_t reads = traffic.scans + traffic.gets / kGetsLikeAScan;
  const std::uint64_t all = reads + traffic.writes;
  if (all < 1000 || reads * 10 < all) return {8, 6, "nine in ten are writes: tiered, few rewrites"};
  if (reads * 10 < all * 9) return {4, 2, "reads and writes: few runs at each level"};
  return {2, 1, "nine in ten are reads: leveled, one run per level"};
}

namespace {

// The level that a merge of level 0 belongs to: the deepest one whose run is not much larger than what comes.
unsigned output_level(const LevelVersion& version, const CompactionPolicy& policy, std::uint64_t fresh) {
  constexpr std::uint64_t kGrowthMax = 4;                      // times what is merged
  std::uint64_t gathered = std::max<std::uint64_t>(fresh, 1);  // by the time that it is merged into the bottom
  const std::uint64_t bottom = version.pages_at(kBottomLevel);
  unsigned output = kBottomLevel;
  while (output > 1 && bottom > kGrowthMax * gathered) {
    --output;
    gathered *= std::max(policy.tier_runs, 2u);
  }
  return output;
}

// The deepest level, `output` at most, above which no merge has inputs: nothing is put below runs that are newer.
unsigned level_within_reach(unsigned output, std::span<const CompactionPlan* const> under_way) {
  for (const CompactionPlan* const merge : under_way) {
    for (const SstablePlace input : merge->inputs) {
      if (input.level != 0) output = std::min(output, input.level);
    }
  }
  return output;
}

// The newest number of a run at `level`, those included that a merge has consumed: it knows its inputs by their places,
// so a new run in the place of such a one would be taken for it, by a merge that has passed its keys already.
std::uint32_t newest_run(const LevelVersion& version, std::span<const CompactionPlan* const> under_way,
                         unsigned level) {
  std::uint32_t newest = 0;
  const auto see = [&](SstablePlace place) {
    if (place.level == level) newest = std::max(newest, place.run);
  };
  for (const LevelRun& run : version.runs()) see(run.place);
  for (const CompactionPlan* const merge : under_way) {
    see(merge->output);
    for (const SstablePlace input : merge->inputs) see(input);
  }
  return newest;
}

}  // namespace

bool has_dense_tombstones(const LevelVersion& version) noexcept {
  constexpr std::uint64_t kMany = 10'000;  // passing over them takes 0.1 ms
  std::uint64_t dense = 0;
  for (const LevelRun& run : version.runs()) {
    if (run.place.level == kBottomLevel) continue;
    for (const SstablePtr& table : run.tables) {
      if (table->tombstones * 2 >= table->entries()) dense += table->tombstones;
    }
  }
  return dense >= kMany;
}

double filter_bits_at(unsigned level) noexcept {
  constexpr unsigned kLevels = 3;
  constexpr double kRatio = 8;
  constexpr double kBitsOnAverage = 10;
  return bits_for_level(level == kBottomLevel ? kLevels - 1 : std::min(level, 1u), kLevels, kRatio, kBitsOnAverage);
}

std::optional<CompactionPlan> pick_smallest_runs(const LevelVersion& version) {
  constexpr std::uint64_t kPages = 2;
  CompactionPlan plan;
  plan.sliced = false;
  for (const LevelRun& run : version.runs()) {
    if (run.place.level != 0 || run.pages() > kPages) break;
    if (plan.inputs.empty()) plan.output = run.place;
    plan.inputs.push_back(run.place);
    plan.pages += run.pages();
    plan.from_pages += run.pages();
    for (const SstablePtr& table : run.tables) plan.from_entries += table->entries();
  }
  if (plan.inputs.size() < 3) return std::nullopt;
  return plan;
}

std::optional<CompactionPlan> pick_compaction(const LevelVersion& version, const CompactionPolicy& policy,
                                              unsigned level, std::span<const CompactionPlan* const> under_way,
                                              bool settle) {
  if (level >= kBottomLevel) return std::nullopt;
  const auto whole = [&](const LevelRun& run) {
    return std::none_of(under_way.begin(), under_way.end(), [&](const CompactionPlan* merge) {
      return merge->output == run.place || (run.place.level != kBottomLevel && merge->has_input(run.place));
    });
  };
  const auto here =
      static_cast<std::size_t>(std::count_if(version.runs().begin(), version.runs().end(), [&](const LevelRun& run) {
        return run.place.level == level && whole(run);
      }));
  const bool sweep = settle && level != 0;  // else what lies far above would be written once for each level between
  const std::size_t due = settle ? 1 : (level == 0 ? policy.flush_runs : policy.tier_runs);
  if (here == 0 || here < due) return std::nullopt;
  std::size_t passed_by = 0;  // of the newest
  if (level == 0) passed_by = here - std::min<std::size_t>(here, policy.flush_runs + policy.flush_runs / 3);
  CompactionPlan plan;
  plan.from_level = level;
  std::vector<SstablePlace> chosen;
  const auto choose = [&](const LevelRun& run) {
    chosen.push_back(run.place);
    plan.from_pages += run.pages();
    for (const SstablePtr& table : run.tables) plan.from_entries += table->entries();
  };
  for (const LevelRun& run : version.runs()) {
    if (run.place.level != level || !whole(run)) continue;
    if (passed_by > 0) {
      --passed_by;
    } else {
      choose(run);
    }
  }
  plan.output.level = sweep ? kBottomLevel : level + 1;
  if (level == 0) plan.output.level = level_within_reach(output_level(version, policy, plan.from_pages), under_way);
  for (const LevelRun& run : version.runs()) {
    if (run.place.level > level && run.place.level < plan.output.level && whole(run)) choose(run);
  }
  const bool to_bottom = plan.output.level == kBottomLevel;
  const std::uint32_t newest_there = newest_run(version, under_way, plan.output.level);
  bool older = false;  // than the output, and not part of it
  for (const LevelRun& run : version.runs()) {
    const bool there = run.place.level == plan.output.level;
    const bool taken = std::find(chosen.begin(), chosen.end(), run.place) != chosen.end();
    if (!taken && !(there && to_bottom)) {
      older = older || (run.place.level != level && run.place.level >= plan.output.level);
      continue;  // at its own level: newer than the others
    }
    plan.inputs.push_back(run.place);
    for (const SstablePtr& table : run.tables) {
      plan.pages += table->pages();
      plan.sliced = plan.sliced && table->root.overflow_pages == 0;
    }
  }
  // At the bottom the run that is there goes on: what was merged of it and what was not are one sequence.
  plan.output.run = to_bottom ? std::max(newest_there, 1u) : newest_there + 1;
  plan.drop_tombstones = !older || CAMBIUM_PLANTED(level_tombstone_dropped);
  return plan;
}

}  // namespace cambium
