// SPDX-License-Identifier: MIT OR Apache-2.0
// The tree against std::map: batches of puts and deletes, from empty to large and back.
#include "tree/tree_rebuild.h"

#include <catch2/catch.hpp>

#include "lib/tree/tree_fixture.h"

namespace cambium {
namespace {

using test::Batch;
using test::KeyShape;
using test::Model;
using test::TreeFixture;

std::string random_value(rt::Random& random, std::size_t longest) {
  static constexpr std::size_t kEdges[] = {0,
                                           1,
                                           kInlineValueBytesMax - 1,
                                           kInlineValueBytesMax,
                                           kInlineValueBytesMax + 1,
                                           kPageBytes - 1,
                                           kPageBytes,
                                           kPageBytes + 1,
                                           3 * kPageBytes};
  std::size_t bytes = random.below(60);
  if (random.chance(0.15)) bytes = kEdges[random.below(std::size(kEdges))];
  if (random.chance(0.02)) bytes = random.below(longest + 1);
  std::string value(std::min(bytes, longest), '\0');
  random.bytes(value.data(), value.size());
  return value;
}

// A batch over the whole key space or a part of it, of puts and deletes; deletes hit present and absent keys.
Batch random_batch(rt::Random& random, const Model& model, KeyShape shape, double puts, std::size_t longest,
                   std::size_t size) {
  Batch batch;
  const bool narrow = random.chance(0.3) && !model.empty();
  auto at = narrow ? std::next(model.begin(), static_cast<std::ptrdiff_t>(random.below(model.size()))) : model.begin();
  for (std::size_t i = 0; i < size; ++i) {
    if (random.chance(puts)) {
      const std::string key = narrow
                                  ? at->first.substr(0, 1000) + test::random_text(random, random.between(1, 8), "ab\0")
                                  : test::random_key(random, shape);
      batch[key.substr(0, kKeyBytesMax)] = random_value(random, longest);
    } else if (!model.empty() && random.chance(0.9)) {
      if (narrow) {
        batch[at->first] = std::nullopt;
        if (++at == model.end()) at = model.begin();
      } else {
        const auto it = model.lower_bound(test::random_key(random, shape));
        batch[(it == model.end() ? model.begin() : it)->first] = std::nullopt;
      }
    } else {
      batch[test::random_key(random, shape) + "!absent"] = std::nullopt;
    }
  }
  std::erase_if(batch, [](const auto& change) { return change.first.size() > kKeyBytesMax; });
  return batch;
}

TEST_CASE(
    "tree rebuild: the tree equals a map through random batches, from empty to many keys and back, with long values") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 15)));
  CAPTURE(seed);
  rt::Random random(seed);
  const auto shape = static_cast<KeyShape>(seed % test::kKeyShapes);
  static constexpr std::size_t kFrames[] = {16, 24, 64, 1024};
  TreeFixture tree(kFrames[random.below(4)], 64, {.seed = seed, .eager = random.chance(0.5)});
  const std::size_t goal = seed <= 7 ? 2500 : 400;
  const std::size_t longest = random.chance(0.3) ? 60'000 : 3 * kPageBytes;

  struct Old {
    Generation generation;
    TableRoot root;
    Model model;
  };
  std::vector<Old> snapshots;
  bool growing = true;
  unsigned batches = 0;
  while (growing || !tree.model.empty()) {
    const std::size_t size = random.chance(0.3) ? random.between(1, 4) : random.between(1, 1 + goal / 8);
    Batch batch = random_batch(random, tree.model, shape, growing ? 0.85 : 0.1, longest, size);
    if (!growing && random.chance(0.1)) {  // a whole range at once
      auto it = tree.model.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(random.below(tree.model.size())));
      for (std::size_t i = random.below(tree.model.size() / 2 + 2); i != 0 && it != tree.model.end(); --i, ++it)
        batch[it->first] = std::nullopt;
    }
    ++batches;
    CAPTURE(batches);
    tree.apply(batch);
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
    tree.require_finds(tree.root, tree.model, random, 20);
    if (tree.model.size() >= goal || batches > 60) growing = false;
    if (batches > 200) {  // the tail: everything that is left
      Batch rest;
      for (const auto& [key, value] : tree.model) rest[key] = std::nullopt;
      tree.apply(rest);
      tree.require_sound();
    }
    if (random.chance(0.15) && snapshots.size() < 4) {
      const Generation newest{raw(tree.generation) - 1};
      tree.space->retain(newest);
      snapshots.push_back({newest, tree.root, tree.model});
    } else if (!snapshots.empty() && random.chance(0.15)) {
      const std::size_t i = random.below(snapshots.size());
      tree.require_contents(snapshots[i].root, snapshots[i].model);
      tree.space->release(snapshots[i].generation);
      snapshots.erase(snapshots.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  CHECK(tree.root.height == 0);
  CHECK(tree.root.node_pages == 0);
  CHECK(tree.root.overflow_pages == 0);
  for (const Old& old : snapshots) {
    tree.require_contents(old.root, old.model);
    tree.space->release(old.generation);
  }
  // Two empty commits later no superblock sees anything of the past.
  tree.commit();
  tree.commit();
  CHECK(tree.space->held_pages() == 0);
}

TEST_CASE("tree rebuild: 50,000 keys in and out again") {
  rt::Random random(99);
  TreeFixture tree(256, 64);
  for (unsigned round = 0; tree.model.size() < 50'000; ++round) {
    Batch batch;
    for (std::size_t i = random.between(1, 6000); i != 0; --i)
      batch["key" + std::to_string(random.below(200'000))] = std::string(random.below(60), 'v');
    tree.apply(batch);
    tree.require_sound();
    if (round % 4 == 0) tree.require_contents(tree.root, tree.model);
  }
  tree.require_contents(tree.root, tree.model);
  CHECK(tree.root.height >= 3);
  while (!tree.model.empty()) {
    Batch batch;
    const double chance = tree.model.size() < 2000 ? 1.0 : 0.2;
    for (const auto& [key, value] : tree.model) {
      if (random.chance(chance)) batch[key] = std::nullopt;
    }
    tree.apply(batch);
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
  }
  CHECK(tree.root.height == 0);
  CHECK(tree.root.node_pages == 0);
}

// Growing an empty tree beyond one leaf once used separators whose memory had been given back.
TEST_CASE("tree rebuild: the first batch may be larger than a leaf, and than a branch") {
  for (const std::size_t count : {1u, 30u, 300u, 30'000u}) {
    TreeFixture tree(64);
    Batch batch;
    for (std::size_t i = 0; i < count; ++i)
      batch["a common beginning " + std::to_string(1'000'000 + i)] = std::string(100, 'v');
    tree.apply(batch);
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
  }
}

double leaf_fill(TreeFixture& tree) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : tree.model)
    bytes += key.size() + value.size() + format::kLeafEntryOverhead - format::kHeadBytes;
  return static_cast<double>(bytes) / static_cast<double>(tree.root.node_pages * kPageBytes);
}

TEST_CASE("tree rebuild: leaves stay at least 65 % full under random inserts, in large and in small batches") {
  for (const std::size_t per_batch : {2000u, 100u, 10u}) {
    rt::Random random(7);
    TreeFixture tree(512);
    const std::size_t batches = per_batch == 10 ? 600 : (per_batch == 100 ? 100 : 10);
    for (std::size_t b = 0; b < batches; ++b) {
      Batch batch;
      for (std::size_t i = 0; i < per_batch; ++i) {
        std::string key(16, '\0');
        random.bytes(key.data(), key.size());
        batch[key] = std::string(100, 'v');
      }
      tree.apply(batch);
    }
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
    CAPTURE(per_batch);
    CHECK(leaf_fill(tree) >= 0.65);
  }
}

TEST_CASE("tree rebuild: sequential inserts fill leaves, ascending and descending") {
  for (const bool ascending : {true, false}) {
    TreeFixture tree(512);
    unsigned key = ascending ? 1'000'000 : 2'000'000;
    for (unsigned b = 0; b < 100; ++b) {
      Batch batch;
      for (unsigned i = 0; i < 57; ++i) {
        batch["user" + std::to_string(key)] = std::string(100, 'v');
        key = ascending ? key + 1 : key - 1;
      }
      tree.apply(batch);
    }
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
    CAPTURE(ascending);
    CHECK(leaf_fill(tree) >= 0.65);
  }
}

TEST_CASE("tree rebuild: deletes of absent keys change nothing, not even a page") {
  TreeFixture tree(64);
  Batch batch;
  for (unsigned i = 0; i < 3000; ++i) batch["key" + std::to_string(i)] = std::string(50, 'v');
  tree.apply(batch);
  const TableRoot before = tree.root;
  Batch absent;
  for (unsigned i = 0; i < 3000; ++i) absent["key" + std::to_string(i) + "x"] = std::nullopt;
  tree.apply(absent);
  CHECK(tree.root.pointer == before.pointer);
  CHECK(tree.root.node_pages == before.node_pages);
  CHECK(tree.last_writer.pages == 0);
  tree.require_sound();
}

TEST_CASE("tree rebuild: an empty batch, and deletes from an empty tree, give the same root") {
  TreeFixture tree(16);
  tree.apply({});
  CHECK(tree.root.height == 0);
  Batch batch;
  batch["a"] = std::nullopt;
  tree.apply(batch);
  CHECK(tree.root.height == 0);
  tree.require_sound();
}

// The cost of one small change: a leaf, perhaps its neighbours, and the path to the root.
TEST_CASE("tree rebuild: one change rewrites one path") {
  TreeFixture tree(1024);
  Batch load;
  for (unsigned i = 0; i < 30'000; ++i) load["key" + std::to_string(1'000'000 + i)] = std::string(100, 'v');
  tree.apply(load);
  REQUIRE(tree.root.height == 3);
  rt::Random random(3);
  std::uint64_t pages = 0;
  for (unsigned i = 0; i < 100; ++i) {
    Batch batch;
    batch["key" + std::to_string(1'000'000 + random.below(30'000))] = std::string(100, 'w');
    tree.apply(batch);
    pages += tree.last_writer.pages;
  }
  tree.require_sound();
  CHECK(pages <= 100 * 4);
}

TEST_CASE("tree rebuild: a commit that fails leaves tree and space as they were") {
  rt::Random random(12);
  TreeFixture tree(64, 256);
  Batch load;
  for (unsigned i = 0; i < 2000; ++i) load["key" + std::to_string(i)] = random_value(random, 20'000);
  tree.apply(load);
  for (unsigned round = 0; round < 20; ++round) {
    const std::uint64_t used = tree.space->used_pages();
    const std::uint64_t held = tree.space->held_pages();
    Batch batch;
    for (unsigned i = 0; i < 500; ++i) {
      const std::string key = "key" + std::to_string(random.below(3000));
      if (random.chance(0.6)) {
        batch[key] = random_value(random, 20'000);
      } else {
        batch[key] = std::nullopt;
      }
    }
    const std::vector<Change> changes = TreeFixture::changes_of(batch);
    {
      tree.base.disk().plan({.action = FaultAction::fail,
                             .error = round % 2 == 0 ? 28 : 5,
                             .kind = rt::IoKind::write,
                             .operation = random.below(6)});
      PageWriter writer = tree.make_writer();
      const Result<TableRoot> failed = tree.base.run(test::apply_changes(tree.store, tree.root, changes, writer));
      tree.base.run(test::abandon_writer(writer));
      if (failed) continue;
      CHECK((failed.code() == Errc::no_space || failed.code() == Errc::io));
      tree.base.disk().clear_faults();
      tree.space->aborted();
    }
    REQUIRE(tree.space->used_pages() == used);
    REQUIRE(tree.space->held_pages() == held);
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
    tree.generation = next(tree.generation);
    tree.apply(batch);
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
  }
}

}  // namespace
}  // namespace cambium
