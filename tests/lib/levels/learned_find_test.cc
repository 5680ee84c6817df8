// SPDX-License-Identifier: MIT OR Apache-2.0
// Level stores whose sstables have learned indexes, beside a map and beside the same without.
#include <catch2/catch.hpp>

#include "levels/learned_index.h"
#include "lib/levels/index_fixture.h"
#include "lib/levels/level_fixture.h"

namespace cambium {
namespace {

using namespace test;

std::uint64_t sstables_with_index(const TableRoot& root) {
  std::uint64_t count = 0;
  for (const LevelRun& run : version_of(root).runs()) {
    for (const SstablePtr& table : run.tables) count += table->index.leaves != 0 ? 1u : 0u;
  }
  return count;
}

// Four or five entries fill a leaf, so that few keys have many leaves. A few values lie in extents of their own, in the
// midst of the pages of their sstable.
Batch batch_of(rt::Random& random, const std::vector<std::string>& keys) {
  Batch batch;
  for (const std::string& key : keys) {
    batch[key] = std::string(random.chance(0.01) ? 9000 : 800 + random.below(100), key.back());
  }
  return batch;
}

// Present keys, and others that lie beside them, before and behind all of them.
std::vector<std::string> probes_of(rt::Random& random, const std::vector<std::string>& keys) {
  std::vector<std::string> probes = {std::string(1, '\0'), std::string(20, '\xff')};
  for (const std::string& key : keys) {
    probes.push_back(key);
    if (!random.chance(0.3)) continue;
    probes.push_back(key + '\0');
    if (key.size() > 1) probes.push_back(key.substr(0, key.size() - 1));
    std::string above = key;
    above.back() = static_cast<char>(above.back() + 1);
    probes.push_back(above);
  }
  std::erase_if(probes, [](const std::string& key) { return key.size() > kKeyBytesMax; });
  return probes;
}

// Adversarial: many leaves whose bounds agree in eight bytes and more.
std::vector<std::string> one_head(rt::Random& random, std::size_t count) {
  std::set<std::string> keys;
  for (std::size_t i = 0; keys.size() < count; ++i) {
    const bool twin = keys.size() < count / 64;
    keys.insert(twin ? "m-same-head-" + number_key(random.next())
                     : std::string(1, "az"[i % 2]) + number_key(random.next()));
  }
  return {keys.begin(), keys.end()};
}

void require_answers(LevelFixture& levels, const std::vector<std::string>& probes) {
  for (const std::string& key : probes) {
    const auto it = levels.model.find(key);
    if (levels.get(key) == (it == levels.model.end() ? std::nullopt : std::optional(it->second))) continue;
    FAIL("a wrong answer for a key of " << key.size() << " bytes");
  }
}

TEST_CASE("learned lookups: the answers of a map, for keys of every shape, with a large cache and with a tiny one",
          "[F19]") {
  const auto shape = GENERATE(range(0u, kIndexKeyShapes));
  const std::size_t frames = GENERATE(std::size_t{16}, std::size_t{2000});
  CAPTURE(shape, frames);
  rt::Random random(shape + 1);
  const std::vector<std::string> keys = index_keys(random, static_cast<IndexKeys>(shape), 1800);
  LevelFixture levels(frames, 4096);
  levels.root.index = TableIndex::learned;
  levels.apply(batch_of(random, keys));
  REQUIRE(levels.root.index == TableIndex::learned);
  const std::vector<std::string> probes = probes_of(random, keys);
  const bool regular =
      static_cast<IndexKeys>(shape) == IndexKeys::uniform || static_cast<IndexKeys>(shape) == IndexKeys::sequential ||
      static_cast<IndexKeys>(shape) == IndexKeys::decimal || static_cast<IndexKeys>(shape) == IndexKeys::clustered;
  if (regular) CHECK(sstables_with_index(levels.root) == 1);
  require_answers(levels, probes);
  CHECK((levels.store.stats().learned_lookups != 0) == (sstables_with_index(levels.root) != 0));
  levels.require_sound();

  levels.reload();  // from the rows of the manifest
  const std::uint64_t before = levels.store.stats().learned_lookups;
  require_answers(levels, probes);
  CHECK((levels.store.stats().learned_lookups > before) == (sstables_with_index(levels.root) != 0));
  levels.require_contents();
}

TEST_CASE("learned lookups: where leaves share their eight bytes the branches decide", "[F19]") {
  rt::Random random(77);
  const std::vector<std::string> keys = one_head(random, 6000);
  LevelFixture levels(3000, 4096);
  levels.root.index = TableIndex::learned;
  levels.apply(batch_of(random, keys));
  REQUIRE(sstables_with_index(levels.root) == 1);
  require_answers(levels, probes_of(random, keys));
  CHECK(levels.store.stats().learned_fallbacks > 50);
  CHECK(levels.store.stats().learned_fallbacks < levels.store.stats().learned_lookups);
  levels.require_sound();
}

TEST_CASE("learned lookups: flushes, compactions, trimmed sstables and moves keep the index and the answers") {
  rt::Random random(5);
  LevelFixture levels(400, 260);
  levels.root.index = TableIndex::learned;
  const CompactionPolicy policy{2, 2, "test"};
  std::vector<std::string> keys;
  for (int round = 0; round < 6; ++round) {
    const std::vector<std::string> more = index_keys(random, IndexKeys::decimal, 1400);
    keys.insert(keys.end(), more.begin(), more.end());
    Batch batch = batch_of(random, more);
    for (int i = 0; i < 200; ++i) batch[keys[random.below(keys.size())]] = std::nullopt;
    levels.apply(batch);
    // One slice at a time: what is left of its inputs is trimmed.
    std::optional<CompactionPlan> plan = pick_compaction(version_of(levels.root), policy, 0, {}, false);
    if (plan) {
      Compaction merge(levels.store, *plan);
      while (!merge.done(version_of(levels.root))) {
        levels.slice(merge);
        require_answers(levels, keys);
      }
    }
    levels.require_sound();
  }
  CHECK(sstables_with_index(levels.root) > 3);
  CHECK(version_of(levels.root).features_needed() == format::kFeatureLearned);

  const PageId limit{levels.tree.space->file_pages() / 2};
  PageWriter writer = levels.tree.make_writer();
  bool more = false;
  Result<TableRoot> moved =
      levels.tree.base.run(relocate_pages(levels.store, levels.root, limit, 1u << 20, writer, more));
  REQUIRE(moved);
  levels.root = *moved;
  levels.tree.commit();
  CHECK(levels.root.index == TableIndex::learned);
  CHECK(sstables_with_index(levels.root) > 3);
  require_answers(levels, keys);
  levels.require_sound();
}

TEST_CASE("learned lookups: small sstables, and tables that want none, have no index") {
  rt::Random random(6);
  const std::vector<std::string> keys = index_keys(random, IndexKeys::uniform, 2000);
  LevelFixture small(400, 64);
  small.root.index = TableIndex::learned;
  small.apply(batch_of(random, keys));
  CHECK(sstables_with_index(small.root) == 0);
  require_answers(small, keys);
  LevelFixture plain(400, 4096);
  plain.root.index = TableIndex::plain;
  plain.apply(batch_of(random, keys));
  CHECK(sstables_with_index(plain.root) == 0);
  CHECK(version_of(plain.root).features_needed() == 0);
  require_answers(plain, keys);
}

}  // namespace
}  // namespace cambium
