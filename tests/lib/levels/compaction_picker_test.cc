// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/compaction_picker.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

#include "levels/filter_bits.h"

namespace cambium {
namespace {

std::pair<SstablePtr, SstablePlace> sstable(std::uint64_t id, SstablePlace place, std::string low, std::string high,
                                            std::uint64_t pages = 100) {
  auto table = std::make_shared<Sstable>();
  table->id = SstableId{id};
  table->min_key = std::move(low);
  table->max_key = std::move(high);
  table->root.node_pages = pages;
  return {table, place};
}

// Levels times ten, and runs.
std::vector<std::uint64_t> places(const CompactionPlan& plan) {
  std::vector<std::uint64_t> numbers;
  for (const SstablePlace place : plan.inputs) numbers.push_back(std::uint64_t{place.level} * 10 + place.run);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

const CompactionPolicy kPolicy{3, 2, "test"};

TEST_CASE("compaction picker: level 0 is merged when it has as many runs as the policy says, all of them") {
  const auto two = LevelVersion::of({sstable(1, {0, 1}, "a", "m"), sstable(2, {0, 2}, "c", "z")}).value();
  CHECK(!pick_compaction(*two, kPolicy, 0));
  CHECK(pick_compaction(*two, kPolicy, 0, {}, true));
  const auto three = two->with({{}, {sstable(3, {0, 3}, "b", "d")}, {}}).value();
  const auto plan = pick_compaction(*three, kPolicy, 0);
  REQUIRE(plan);
  CHECK(places(*plan) == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(plan->output.level == kBottomLevel);
  CHECK(plan->drop_tombstones);
}

TEST_CASE("compaction picker: what goes to the bottom takes the run that is there along") {
  const auto version =
      LevelVersion::of({sstable(1, {0, 1}, "a", "m"), sstable(2, {0, 2}, "c", "z"), sstable(3, {0, 3}, "c", "z"),
                        sstable(4, {kBottomLevel, 1}, "a", "f"), sstable(5, {kBottomLevel, 1}, "g", "z")})
          .value();
  const auto plan = pick_compaction(*version, kPolicy, 0);
  REQUIRE(plan);
  CHECK(places(*plan) == std::vector<std::uint64_t>{1, 2, 3, 61});
  CHECK(plan->output.run == 1);
  CHECK(plan->drop_tombstones);
}

TEST_CASE("compaction picker: a bottom much larger than what comes gets a level in between, which keeps tombstones") {
  const auto version =
      LevelVersion::of({sstable(1, {0, 1}, "a", "m"), sstable(2, {0, 2}, "c", "z"), sstable(3, {0, 3}, "c", "z"),
                        sstable(4, {kBottomLevel, 1}, "a", "f", 100'000)})
          .value();
  const auto plan = pick_compaction(*version, kPolicy, 0);
  REQUIRE(plan);
  CHECK(places(*plan) == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(plan->output.level < kBottomLevel);
  CHECK(!plan->drop_tombstones);
}

TEST_CASE("compaction picker: nothing is put below runs that are newer than it: they go along, or it stops above") {
  const auto version =
      LevelVersion::of({sstable(1, {0, 1}, "a", "m"), sstable(2, {0, 2}, "c", "z"), sstable(3, {0, 3}, "c", "z"),
                        sstable(4, {4, 7}, "a", "f"), sstable(5, {kBottomLevel, 1}, "g", "z")})
          .value();
  const auto plan = pick_compaction(*version, kPolicy, 0);
  REQUIRE(plan);
  CHECK(plan->output == SstablePlace{kBottomLevel, 1});
  CHECK(places(*plan) == std::vector<std::uint64_t>{1, 2, 3, 47, 61});
  CHECK(plan->from_pages == 400);
  CHECK(plan->drop_tombstones);
  // Another merge takes them down already.
  CompactionPlan below;
  below.inputs = {{4, 7}, {kBottomLevel, 1}};
  below.output = {kBottomLevel, 1};
  const CompactionPlan* const under_way[] = {&below};
  const auto above = pick_compaction(*version, kPolicy, 0, under_way);
  REQUIRE(above);
  CHECK(above->output == SstablePlace{4, 8});
  CHECK(places(*above) == std::vector<std::uint64_t>{1, 2, 3});
  CHECK_FALSE(above->drop_tombstones);
}

TEST_CASE("compaction picker: no run comes to the place of one that a merge under way has consumed") {
  // The merge below began with {4, 1}, which is gone, and is beyond key m. Had the new run the same place, it would be
  // an input of that merge: its tombstones up to m would be dropped, and what they hide be back.
  const auto version =
      LevelVersion::of({sstable(1, {0, 1}, "a", "m"), sstable(2, {0, 2}, "c", "z"), sstable(3, {0, 3}, "c", "z"),
                        sstable(4, {5, 2}, "n", "z"), sstable(5, {kBottomLevel, 1}, "a", "z")})
          .value();
  CompactionPlan below;
  below.inputs = {{4, 1}, {5, 2}, {kBottomLevel, 1}};
  below.output = {kBottomLevel, 1};
  const CompactionPlan* const under_way[] = {&below};
  CHECK(pick_compaction(*version, kPolicy, 0, under_way)->output == SstablePlace{4, 2});
  below.inputs = {{5, 2}, {5, 3}, {kBottomLevel, 1}};
  CHECK(pick_compaction(*version, kPolicy, 0, under_way)->output == SstablePlace{5, 4});
}

TEST_CASE("compaction picker: a small run that settle() left high up does not become a level of its own") {
  // It took three levels where two do, and a file five times as long as what was in it.
  const auto version =
      LevelVersion::of({sstable(1, {0, 1}, "a", "z", 2600), sstable(2, {0, 2}, "a", "z", 2600),
                        sstable(3, {0, 3}, "a", "z", 2600), sstable(4, {4, 1}, "a", "z", 800),
                        sstable(5, {5, 1}, "a", "z", 8000), sstable(6, {kBottomLevel, 1}, "a", "z", 60'000)})
          .value();
  const auto plan = pick_compaction(*version, kPolicy, 0);
  REQUIRE(plan);
  CHECK(plan->output == SstablePlace{5, 2});
  CHECK(places(*plan) == std::vector<std::uint64_t>{1, 2, 3, 41});
  CHECK_FALSE(plan->drop_tombstones);
  // What goes along is not begun by itself meanwhile.
  const CompactionPlan* const under_way[] = {&*plan};
  CHECK_FALSE(pick_compaction(*version, {3, 1, "test"}, 4, under_way));
}

TEST_CASE("compaction picker: to settle, all levels below level 0 become one with the bottom, in one merge") {
  const auto version =
      LevelVersion::of({sstable(1, {0, 1}, "a", "m"), sstable(2, {3, 2}, "c", "z"), sstable(3, {4, 3}, "c", "z"),
                        sstable(4, {4, 7}, "a", "f"), sstable(5, {kBottomLevel, 1}, "g", "z")})
          .value();
  CHECK_FALSE(pick_compaction(*version, kPolicy, 3));
  CHECK_FALSE(pick_compaction(*version, kPolicy, 1, {}, true));
  const auto plan = pick_compaction(*version, kPolicy, 3, {}, true);
  REQUIRE(plan);
  CHECK(places(*plan) == std::vector<std::uint64_t>{32, 43, 47, 61});
  CHECK(plan->output == SstablePlace{kBottomLevel, 1});
  CHECK(plan->drop_tombstones);
  CHECK(plan->from_pages == 300);
  // Level 0 goes first, and what it is still writing is left above.
  CompactionPlan writing;
  writing.inputs = {{0, 1}};
  writing.output = {4, 7};
  const CompactionPlan* const under_way[] = {&writing};
  const auto beside = pick_compaction(*version, kPolicy, 3, under_way, true);
  REQUIRE(beside);
  CHECK(places(*beside) == std::vector<std::uint64_t>{32, 43, 61});
}

TEST_CASE("compaction picker: the more is read, the fewer runs there are, and it says why") {
  CHECK(chosen_policy({0, 0, 100'000}).tier_runs > 1);
  CHECK(chosen_policy({0, 50'000, 50'000}).flush_runs < chosen_policy({0, 0, 100'000}).flush_runs);
  CHECK(chosen_policy({0, 100'000, 100}).tier_runs == 1);
  CHECK(std::string(chosen_policy({0, 100'000, 100}).reason).find("leveled") != std::string::npos);
  // Filters spare gets the runs that do not have the key.
  CHECK(chosen_policy({50'000, 0, 50'000}).flush_runs == chosen_policy({0, 0, 100'000}).flush_runs);
  CHECK(chosen_policy({100'000, 0, 100}).tier_runs == 1);
}

TEST_CASE("compaction picker: tombstones are dense when they are half of an sstable above the bottom, and many") {
  const auto with = [](unsigned level, std::uint64_t entries, std::uint64_t tombstones) {
    auto [table, place] = sstable(1, {level, 1}, "a", "m");
    Sstable changed = *table;
    changed.root.pointer.entries = entries;
    changed.tombstones = tombstones;
    return LevelVersion::of({{std::make_shared<Sstable>(changed), place}}).value();
  };
  CHECK(has_dense_tombstones(*with(0, 20'000, 10'000)));
  CHECK(has_dense_tombstones(*with(3, 20'000, 20'000)));
  CHECK_FALSE(has_dense_tombstones(*with(0, 20'002, 10'000)));
  CHECK_FALSE(has_dense_tombstones(*with(0, 9'999, 9'999)));
  CHECK_FALSE(has_dense_tombstones(*with(kBottomLevel, 20'000, 20'000)));
}

TEST_CASE("filters: bits by level deceive lookups less than half as often as the same memory spread evenly",
          "[F08][L05]") {
  struct Runs {
    unsigned level;
    double count;
    double keys;  // of one
  };
  // A store full of runs, and one that is as good as merged.
  const std::vector<Runs> stores[] = {{{0, 8, 1}, {1, 6, 8}, {kBottomLevel, 1, 100}},
                                      {{0, 2, 1}, {1, 1, 8}, {kBottomLevel, 1, 100}}};
  for (const std::vector<Runs>& store : stores) {
    double keys = 0;
    double bits = 0;
    double deceived = 0;
    double runs = 0;
    for (const Runs& at : store) {
      const double each = filter_bits_at(at.level);
      keys += at.count * at.keys;
      bits += at.count * at.keys * each;
      runs += at.count;
      deceived += at.count * blocked_false_positive_rate(each, best_probes(each));
    }
    const double average = bits / keys;
    CAPTURE(average, deceived, runs);
    CHECK(average > 9);
    CHECK(average < 12);
    CHECK(deceived < runs * blocked_false_positive_rate(average, best_probes(average)) / 2);
  }
  CHECK(filter_bits_at(kBottomLevel) > 9);
  for (unsigned level = 1; level <= kBottomLevel; ++level) CHECK(filter_bits_at(level) <= filter_bits_at(level - 1));
}

TEST_CASE("level version: sstables of one run that overlap are refused") {
  CHECK(LevelVersion::of({sstable(1, {1, 1}, "a", "m"), sstable(2, {1, 1}, "m", "z")}).code() == Errc::corruption);
  CHECK(LevelVersion::of({sstable(1, {1, 1}, "a", "m"), sstable(2, {1, 2}, "m", "z")}));
}

}  // namespace
}  // namespace cambium
