// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/tidy.h"

#include "lib/levels/level_fixture.h"

namespace cambium {
namespace {

using test::Batch;
using test::LevelFixture;

std::string key_of(std::uint64_t number) { return "key" + std::to_string(1'000'000 + number); }

Task<Status> build(LevelStore& store, const TableRoot& root, SstableId id, PageWriter& ahead, LevelEdit& edit) {
  Status built = co_await tidy_sstable(store, root, id, ahead, edit);
  if (!built) co_await ahead.abandon();
  co_return built;
}

// Tidies and publishes.
Status tidy(LevelFixture& levels, SstableId id) {
  LevelEdit edit;
  PageWriter ahead = levels.tree.make_writer();
  ahead.build_ahead(levels.lane);
  Status built = levels.tree.base.run(build(levels.store, levels.root, id, ahead, edit));
  if (!built) return built;
  REQUIRE(applies_to(edit, version_of(levels.root)));
  PageWriter writer = levels.tree.make_writer();
  Result<TableRoot> next = levels.tree.base.run(test::publish(levels.store, levels.root, edit, ahead, writer));
  if (!next) return next.error();
  levels.root = *next;
  levels.tree.commit();
  return {};
}

// Every sstable that newer runs may hide some of, once; answers how many had something to give back.
int tidy_all(LevelFixture& levels) {
  std::vector<SstableId> ids;
  for (const LevelRun& run : version_of(levels.root).runs()) {
    for (const SstablePtr& table : run.tables) {
      if (may_be_tidied(version_of(levels.root), run, *table)) ids.push_back(table->id);
    }
  }
  int tidied = 0;
  for (const SstableId id : ids) {
    const Status done = tidy(levels, id);
    INFO(std::string(done ? "" : done.error().message()));
    REQUIRE((done || done.code() == Errc::no_space));
    tidied += done ? 1 : 0;
    levels.require_sound();
  }
  return tidied;
}

Batch all_keys(std::uint64_t keys, bool long_values) {
  Batch batch;
  for (std::uint64_t i = 0; i < keys; ++i) {
    batch[key_of(i)] = std::string(long_values && i % 40 == 7 ? 9000 : 100, static_cast<char>('a' + i % 26));
  }
  return batch;
}

TEST_CASE("tidying: what deletes and newer values hide goes, the rest stays where it was, all pages accounted for") {
  const bool long_values = GENERATE(false, true);
  CAPTURE(long_values);
  LevelFixture levels(256);
  levels.apply(all_keys(2000, long_values));
  Batch changes;
  for (std::uint64_t i = 300; i < 1500; ++i) {
    if (i % 3 == 0) changes[key_of(i)] = std::nullopt;
    if (i % 3 == 1) changes[key_of(i)] = "newer";
  }
  levels.apply(changes);
  const std::uint64_t before = levels.root.node_pages + levels.root.overflow_pages;
  CHECK(tidy_all(levels) > 2);
  CHECK(levels.root.node_pages + levels.root.overflow_pages < before * 4 / 5);
  CHECK(version_of(levels.root).runs().size() == 2);
  levels.require_contents();
  CHECK(tidy_all(levels) == 0);  // there is nothing left to give back
  levels.reload();
  levels.require_contents();
}

TEST_CASE("tidying: an sstable of which everything is hidden goes whole, and its run with the last of them") {
  LevelFixture levels(256);
  levels.apply(all_keys(1000, true));
  Batch deletes;
  for (std::uint64_t i = 0; i < 1000; ++i) deletes[key_of(i)] = std::nullopt;
  levels.apply(deletes);
  CHECK(tidy_all(levels) == 2);
  CHECK(version_of(levels.root).runs().size() == 1);
  CHECK(levels.root.overflow_pages == 0);
  levels.require_contents();
}

TEST_CASE("tidying: of a trimmed sstable only what is left of it counts") {
  LevelFixture levels(256);
  for (int run = 0; run < 4; ++run) levels.apply(all_keys(2000, false));
  std::optional<CompactionPlan> plan = pick_compaction(version_of(levels.root), {4, 4, ""}, 0);
  REQUIRE(plan);
  Compaction merge(levels.store, *plan);
  levels.slice(merge);
  REQUIRE(!merge.done(version_of(levels.root)));
  Batch deletes;
  for (std::uint64_t i = 0; i < 2000; i += 2) deletes[key_of(i)] = std::nullopt;
  levels.apply(deletes);
  CHECK(tidy_all(levels) > 2);
  levels.require_contents();
  while (!merge.done(version_of(levels.root))) levels.slice(merge);
  levels.require_contents();
  levels.require_sound();
}

TEST_CASE("tidying: the smallest runs of level 0 become one, in the place of the newest") {
  LevelFixture levels(256);
  levels.apply(all_keys(1000, false));
  for (std::uint64_t i = 0; i < 5; ++i) {
    CHECK(!pick_smallest_runs(version_of(levels.root)) == (i < 3));
    Batch deletes;
    for (std::uint64_t k = 0; k < 10; ++k) deletes[key_of(i * 7 + k * 90)] = std::nullopt;
    levels.apply(deletes);
  }
  const std::uint32_t newest = version_of(levels.root).runs().front().place.run;
  std::optional<CompactionPlan> plan = pick_smallest_runs(version_of(levels.root));
  REQUIRE(plan);
  CHECK(plan->inputs.size() == 5);
  const std::uint64_t before = levels.root.node_pages;
  Compaction merge(levels.store, *plan);
  levels.slice(merge);
  CHECK(merge.done(version_of(levels.root)));
  CHECK(levels.root.node_pages < before);
  REQUIRE(version_of(levels.root).runs().size() == 2);
  CHECK(version_of(levels.root).runs().front().place == SstablePlace{0, newest});
  levels.require_contents();
  levels.require_sound();
  CHECK(!pick_smallest_runs(version_of(levels.root)));
}

}  // namespace
}  // namespace cambium
