// SPDX-License-Identifier: MIT OR Apache-2.0
#include <catch2/catch.hpp>

#include "lib/tree/tree_fixture.h"

namespace cambium {
namespace {

using test::Batch;
using test::KeyShape;
using test::TreeFixture;

Task<Status> fetch_missing(PageCache& cache, const Lookup& lookup) {
  Result<PageRef> page = co_await cache.fetch(lookup.missing, lookup.level);
  if (!page) co_return page.error();
  co_return Status();
}

TEST_CASE("tree find: one at a time and many together answer as a map does, on caches from tiny to large") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 11)));
  CAPTURE(seed);
  rt::Random random(seed);
  TreeFixture tree(seed % 2 == 0 ? 16 : 1024, 64, {.seed = seed, .eager = true});
  const auto shape = static_cast<KeyShape>(random.below(test::kKeyShapes));
  Batch batch;
  for (unsigned i = 0; i < 4000; ++i) batch[test::random_key(random, shape)] = std::to_string(random.next());
  tree.apply(batch);
  for (unsigned round = 0; round < 30; ++round) {
    std::vector<std::string> keys;
    for (std::uint64_t i = random.below(60); i != 0; --i) {
      std::string key = test::random_key(random, shape);
      if (random.chance(0.5)) {
        const auto it = tree.model.lower_bound(key);
        if (it != tree.model.end()) key = it->first;
      }
      keys.push_back(key);
    }
    std::vector<MultiLookup> lookups(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) lookups[i].key = keys[i];
    // Those that miss a page go on when it has come; a tiny cache may need many rounds.
    std::vector<MultiLookup> open = lookups;
    for (unsigned rounds = 0; !open.empty(); ++rounds) {
      REQUIRE(rounds < 10'000);
      tree.store.find_many(tree.root, open);
      std::vector<MultiLookup> missing;
      for (MultiLookup& one : open) {
        if (one.state == FindState::missing) {
          missing.push_back(one);
          continue;
        }
        const auto it = tree.model.find(one.key.str());
        REQUIRE((one.state == FindState::found) == (it != tree.model.end()));
        if (it != tree.model.end()) REQUIRE(one.found.entry.value == Bytes(it->second));
      }
      open = missing;
      for (const MultiLookup& one : open) {
        tree.base.run(fetch_missing(*tree.cache, one.lookup)).value();
        if (random.chance(0.3)) break;
      }
      if (open.size() > 8 && rounds > 20) open.resize(8);  // the others would evict what these need
    }
    for (const std::string& key : keys) {
      const auto it = tree.model.find(key);
      REQUIRE(tree.get(tree.root, key) == (it == tree.model.end() ? std::nullopt : std::optional(it->second)));
    }
  }
}

TEST_CASE("tree find: a warm tree is found without a miss, through the hints") {
  TreeFixture tree(2048);
  Batch batch;
  for (unsigned i = 0; i < 20'000; ++i) batch["key" + std::to_string(i)] = std::string(50, 'v');
  tree.apply(batch);
  tree.require_contents(tree.root, tree.model);
  for (unsigned pass = 0; pass < 2; ++pass) {
    const CacheStats before = tree.cache->stats();
    for (const auto& [key, value] : tree.model) {
      Lookup state;
      FoundEntry found;
      REQUIRE(tree.store.find(tree.root, key, state, found) == FindState::found);
      REQUIRE(found.entry.value == Bytes(value));
    }
    CHECK(tree.cache->stats().reads == before.reads);
    if (pass == 1) CHECK(tree.cache->stats().hint_misses == before.hint_misses);
  }
}

TEST_CASE("tree find: after a change the old root and the new one each answer for themselves") {
  TreeFixture tree(256);
  Batch batch;
  for (unsigned i = 0; i < 5000; ++i) batch["key" + std::to_string(i)] = "old";
  tree.apply(batch);
  const TableRoot old = tree.root;
  const test::Model old_model = tree.model;
  tree.space->retain(Generation{raw(tree.generation) - 1});
  rt::Random random(3);
  for (unsigned round = 0; round < 10; ++round) {
    Batch changes;
    for (unsigned i = 0; i < 400; ++i) {
      const std::string key = "key" + std::to_string(random.below(6000));
      if (random.chance(0.5)) {
        changes[key] = "new";
      } else {
        changes[key] = std::nullopt;
      }
    }
    tree.apply(changes);
    tree.require_finds(old, old_model, random, 100);
    tree.require_finds(tree.root, tree.model, random, 100);
  }
  tree.require_contents(old, old_model);
  tree.require_sound();
}

}  // namespace
}  // namespace cambium
