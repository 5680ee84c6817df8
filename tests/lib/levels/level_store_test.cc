// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/level_store.h"

#include <set>

#include "lib/levels/level_fixture.h"

namespace cambium {
namespace {

using test::Batch;
using test::LevelFixture;

std::string key_of(std::uint64_t number) { return "key" + std::to_string(1'000'000 + number); }

Batch random_batch(rt::Random& random, std::size_t writes, std::uint64_t keys, bool long_values) {
  Batch batch;
  for (std::size_t i = 0; i < writes; ++i) {
    std::optional<std::string> value;
    if (!random.chance(0.2)) {
      const std::size_t bytes = long_values && random.chance(0.05) ? 1500 + random.below(9000) : random.below(120);
      value = std::string(bytes, static_cast<char>('a' + random.below(26)));
    }
    batch[key_of(random.below(keys))] = value;
  }
  return batch;
}

void check_probes(LevelFixture& levels, rt::Random& random, std::uint64_t keys) {
  for (int i = 0; i < 200; ++i) {
    const std::string key = key_of(random.below(keys));
    const auto it = levels.model.find(key);
    INFO("key " << key);
    REQUIRE(levels.get(key) == (it == levels.model.end() ? std::nullopt : std::optional(it->second)));
  }
  for (int i = 0; i < 20; ++i) {
    const std::string from = key_of(random.below(keys));
    const auto forward = levels.read({}, from, true, 5);
    auto it = levels.model.lower_bound(from);
    for (const auto& [key, value] : forward) {
      REQUIRE(it != levels.model.end());
      REQUIRE(it->first == key);
      REQUIRE(it->second == value);
      ++it;
    }
    const auto reverse = levels.read({.direction = Direction::reverse}, from, false, 5);
    auto below = std::make_reverse_iterator(levels.model.lower_bound(from));
    for (const auto& [key, value] : reverse) {
      REQUIRE(below != levels.model.rend());
      REQUIRE(below->first == key);
      ++below;
    }
  }
}

TEST_CASE("level store: flushes, compactions in slices and reopening, against a map") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(1, 2, 3, 4, 5, 6));
  const bool long_values = seed % 2 == 0;
  CAPTURE(seed);
  rt::Random random(seed);
  LevelFixture levels(seed % 3 == 0 ? 24 : 400);
  constexpr std::uint64_t kKeys = 4000;
  const CompactionPolicy policy{3, 2, "test"};
  for (int round = 0; round < 30; ++round) {
    CAPTURE(round);
    levels.apply(random_batch(random, 300 + random.below(600), kKeys, long_values));
    if (random.chance(0.5)) {
      while (levels.compact_once(policy)) {
      }
    }
    if (random.chance(0.2)) levels.reload();
    check_probes(levels, random, kKeys);
    if (round % 7 == 0) {
      levels.require_contents();
      levels.require_sound();
    }
  }
  while (levels.compact_once(policy, true)) {
  }
  const LevelVersion& settled = version_of(levels.root);
  REQUIRE(settled.runs().size() == 1);
  CHECK(settled.entries() == levels.model.size());
  levels.require_contents();
  levels.require_sound();
}

TEST_CASE("level store: a slice may be followed by flushes before the next one") {
  rt::Random random(7);
  LevelFixture levels(400, 4);
  constexpr std::uint64_t kKeys = 3000;
  for (int i = 0; i < 4; ++i) levels.apply(random_batch(random, 2500, kKeys, false));
  const CompactionPolicy policy{3, 2, "test"};
  int slices = 0;
  for (int merge = 0; merge < 12; ++merge) {
    std::optional<CompactionPlan> plan;
    for (unsigned level = 0; level < kBottomLevel && !plan; ++level) {
      plan = pick_compaction(version_of(levels.root), policy, (level + static_cast<unsigned>(merge)) % kBottomLevel, {},
                             true);
    }
    REQUIRE(plan);
    Compaction compaction(levels.store, *plan);
    while (!compaction.done(version_of(levels.root))) {
      levels.slice(compaction);
      ++slices;
      levels.apply(random_batch(random, 50, kKeys, false));
      check_probes(levels, random, kKeys);
      if (slices % 3 == 0) levels.reload();
    }
    levels.require_contents();
    levels.require_sound();
  }
  CHECK(slices > 12);  // most merges take several
}

std::set<SstableId> sstables_at(const LevelFixture& levels, unsigned level) {
  std::set<SstableId> ids;
  for (const LevelRun& run : version_of(levels.root).runs()) {
    for (const SstablePtr& table : run.tables) {
      if (run.place.level == level) ids.insert(table->id);
    }
  }
  return ids;
}

TEST_CASE("level store: a merge leaves alone the sstables that nothing comes down to", "[F11]") {
  LevelFixture levels(600, 4);
  Batch all;
  for (std::uint64_t i = 0; i < 6000; ++i) all[key_of(i * 2)] = std::string(60, 'a');
  levels.apply(all);
  while (levels.compact_once({3, 2, "test"}, true)) {
  }
  const std::set<SstableId> before = sstables_at(levels, kBottomLevel);
  REQUIRE(before.size() > 15);
  Batch some;
  for (std::uint64_t i = 5000; i < 5600; ++i) some[key_of(i)] = std::string(50, 'b');
  levels.apply(some);
  while (levels.compact_once({3, 2, "test"}, true)) {
  }
  const std::set<SstableId> after = sstables_at(levels, kBottomLevel);
  std::size_t same = 0;
  for (const SstableId id : before) same += after.count(id);
  CHECK(same >= before.size() * 3 / 5);
  CHECK(same < before.size());
  levels.require_contents();
  levels.require_sound();
}

TEST_CASE("level store: keys that come in order are written once", "[F11]") {
  LevelFixture levels(600, 4);
  for (std::uint64_t round = 0; round < 12; ++round) {
    Batch batch;
    for (std::uint64_t i = 0; i < 1000; ++i) batch[key_of(round * 1000 + i)] = std::string(60, 'a');
    levels.apply(batch);
    std::set<SstableId> written = sstables_at(levels, 0);
    written.merge(sstables_at(levels, kBottomLevel));
    while (levels.compact_once({3, 2, "test"}, true)) {
    }
    CHECK(sstables_at(levels, 0).empty());
    std::size_t rewritten = 0;
    for (const SstableId id : sstables_at(levels, kBottomLevel)) rewritten += written.count(id) == 0 ? 1u : 0u;
    CHECK(rewritten <= 4);  // the short one at the end of a flush
  }
  levels.require_contents();
  levels.require_sound();
}

// Ranges here and there, so that merges have sstables to pass over, sstables to move, and gaps between the two.
TEST_CASE("level store: merges of clustered keys, against a map", "[F11]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  CAPTURE(seed);
  rt::Random random(seed);
  LevelFixture levels(600, 4);
  constexpr std::uint64_t kKeys = 20'000;
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    Batch batch;
    for (std::uint64_t clusters = random.between(1, 4); clusters != 0; --clusters) {
      const std::uint64_t from = random.below(kKeys);
      const std::uint64_t step = random.between(1, 5);
      const bool deletes = random.chance(0.3);
      const std::uint64_t count = random.between(1, 700);
      for (std::uint64_t i = 0; i < count; ++i) {
        std::optional<std::string> value;
        const std::size_t bytes = seed > 6 && random.chance(0.02) ? 3000 : random.below(120);
        if (!deletes) value = std::string(bytes, static_cast<char>('a' + random.below(26)));
        batch[key_of(from + i * step)] = value;
      }
    }
    levels.apply(batch);
    const bool settle = random.chance(0.15);
    while (levels.compact_once({3, 2, "test"}, settle)) {
    }
    check_probes(levels, random, kKeys);
    if (random.chance(0.1)) levels.reload();
    if (round % 8 == 7) {
      levels.require_contents();
      levels.require_sound();
    }
  }
}

TEST_CASE("level store: the file's compaction moves sstables out of its end") {
  rt::Random random(9);
  LevelFixture levels(400, 8);
  for (int i = 0; i < 6; ++i) levels.apply(random_batch(random, 500, 2000, true));
  while (levels.compact_once({3, 2, "test"}, true)) {
  }
  const PageId limit{levels.tree.space->file_pages() / 2};
  PageWriter writer = levels.tree.make_writer();
  bool more = false;
  Result<TableRoot> moved =
      levels.tree.base.run(test::relocate_pages(levels.store, levels.root, limit, 1u << 20, writer, more));
  REQUIRE(moved);
  levels.root = *moved;
  levels.tree.commit();
  CHECK(!more);
  levels.require_contents();
  levels.require_sound();
  levels.reload();
  levels.require_contents();
}

TEST_CASE("level store: a lookup and its searches are counted once, however often it waits for a page") {
  LevelFixture levels(24, 4);  // hardly a page stays in the cache
  constexpr std::uint64_t kKeys = 2000;
  for (int run = 0; run < 3; ++run) {
    Batch batch;
    for (std::uint64_t i = 0; i < kKeys; ++i) batch[key_of(i * 3 + static_cast<std::uint64_t>(run))] = "value";
    levels.apply(batch);
  }
  const LevelStats& met = version_of(levels.root).stats();
  REQUIRE(met.lookups == 0);
  for (std::uint64_t i = 0; i < 3 * kKeys; i += 5) REQUIRE(levels.get(key_of(i)));
  const std::uint64_t asked = 3 * kKeys / 5;
  CHECK(met.lookups == asked);
  CHECK(met.searches == asked + met.filter_false_positives);
  CHECK(met.filter_checks == met.searches + met.filter_negatives);
  levels.apply({{key_of(1), "another version"}});
  CHECK(version_of(levels.root).stats().lookups == asked);
  CHECK(&version_of(levels.root).stats() == &met);
}

}  // namespace
}  // namespace cambium
