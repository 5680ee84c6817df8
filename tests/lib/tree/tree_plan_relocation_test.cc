// SPDX-License-Identifier: MIT OR Apache-2.0
// Compaction's half of the tree: moving what lies at or beyond a page.
#include <catch2/catch.hpp>

#include "lib/tree/tree_fixture.h"

namespace cambium {
namespace {

using test::Batch;
using test::TreeFixture;

// The pages of the newest version at or beyond `limit`.
std::uint64_t pages_beyond(TreeFixture& tree, PageId limit) {
  test::PageSet reachable;
  tree.base.run(tree.store.check(tree.root, reachable)).value();
  std::uint64_t beyond = 0;
  for (std::uint64_t page = raw(limit); page < tree.space->file_pages(); ++page)
    beyond += reachable.has(page) ? 1u : 0u;
  return beyond;
}

// A file of which most has been deleted again, so that there are holes everywhere.
void fill_and_thin_out(TreeFixture& tree, rt::Random& random, bool long_values) {
  for (unsigned round = 0; round < 6; ++round) {
    Batch batch;
    for (unsigned i = 0; i < 1500; ++i) {
      batch["key" + std::to_string(random.below(20'000))] =
          std::string(long_values && random.chance(0.05) ? 9000 : 150, 'v');
    }
    tree.apply(batch);
  }
  Batch batch;
  for (const auto& [key, value] : tree.model) {
    if (random.chance(0.6)) batch[key] = std::nullopt;
  }
  tree.apply(batch);
  tree.commit();
  tree.commit();
}

TEST_CASE("tree relocation: everything moves below the limit, in steps, and the contents stay") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  const bool long_values = seed % 2 == 0;
  CAPTURE(seed);
  rt::Random random(seed);
  TreeFixture tree(seed % 3 == 0 ? 16 : 256);
  fill_and_thin_out(tree, random, long_values);
  const PageId limit{tree.space->used_pages() * 5 / 4 + 20};
  REQUIRE(pages_beyond(tree, limit) > 0);
  tree.space->set_ceiling(raw(limit));
  const std::uint64_t before = tree.space->file_pages();
  unsigned steps = 0;
  for (bool more = true; more; ++steps) {
    REQUIRE(steps < 300);
    more = tree.relocate(limit, 40);
    tree.commit();  // what was held by the version before comes free
    tree.commit();
    tree.require_sound();
  }
  CHECK(pages_beyond(tree, limit) == 0);
  tree.require_contents(tree.root, tree.model);
  CHECK(tree.space->file_pages() == before);
  CHECK(tree.space->shrink_free_tail(raw(limit)) <= raw(limit));
}

TEST_CASE("tree relocation: a page costs its own path, not the whole tree, also where there are long values") {
  for (const bool long_values : {false, true}) {
    rt::Random random(5);
    TreeFixture tree(256);
    fill_and_thin_out(tree, random, long_values);
    Batch last;  // one leaf's worth at the end of the file
    for (unsigned i = 0; i < 300; ++i) last["zz" + std::to_string(i)] = std::string(50, 'v');
    tree.apply(last);
    std::uint64_t end = tree.space->file_pages();
    test::PageSet reachable;
    tree.base.run(tree.store.check(tree.root, reachable)).value();
    while (!reachable.has(end - 1)) --end;
    const PageId limit{end - 1};
    CAPTURE(long_values, pages_beyond(tree, limit));
    tree.relocate(limit, 10);
    CHECK(tree.last_writer.pages + tree.last_writer.overflow_pages <= 20);
    tree.require_sound();
    tree.require_contents(tree.root, tree.model);
  }
}

TEST_CASE("tree relocation: pages_max bounds what one step moves, long values too, and says that more is left") {
  TreeFixture tree(256);
  Batch batch;
  for (unsigned i = 0; i < 300; ++i) batch["key" + std::to_string(i)] = std::string(20'000, 'v');
  tree.apply(batch);
  const bool more = tree.relocate(PageId{100}, 50);
  CHECK(more);
  // A value may take the step over the bound by its own length; leaf and path come on top.
  CHECK(tree.last_writer.pages + tree.last_writer.overflow_pages <= 50 + 5 + 20);
  tree.require_sound();
  tree.require_contents(tree.root, tree.model);
}

TEST_CASE("tree relocation: nothing beyond the limit, nothing moved; an empty tree stays empty") {
  TreeFixture tree(64);
  CHECK(!tree.relocate(PageId{10}, 10));
  Batch batch;
  for (unsigned i = 0; i < 3000; ++i) batch["key" + std::to_string(i)] = std::string(i % 100 == 0 ? 3000 : 50, 'v');
  tree.apply(batch);
  const TableRoot before = tree.root;
  CHECK(!tree.relocate(PageId{tree.space->file_pages()}, 10));
  CHECK(tree.root.pointer == before.pointer);
  CHECK(tree.last_writer.pages == 0);
  tree.require_sound();
}

}  // namespace
}  // namespace cambium
