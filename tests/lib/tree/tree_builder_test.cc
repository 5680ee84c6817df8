// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/tree_builder.h"

#include <catch2/catch.hpp>

#include "lib/tree/tree_fixture.h"

namespace cambium {
namespace {

using test::KeyShape;
using test::Model;
using test::TreeFixture;

Task<Result<TableRoot>> build(TreeBuilder& builder, const Model& model, PageWriter& writer) {
  for (const auto& [key, value] : model) {
    if (value.size() > kInlineValueBytesMax) {
      co_await check(builder.add_long(key, value));
    } else {
      const bool added = builder.add(key, value, format::EntryKind::value);
      if (!added) co_return Error(Errc::invalid_argument, "refused");
    }
    const bool ready = builder.ready();
    if (ready) {
      co_await check(builder.pump());
    }
  }
  TableRoot root = co_await check(builder.finish());
  co_await check(writer.finish());
  co_return root;
}

// The model as a sorted load.
void load_model(TreeFixture& tree) {
  PageWriter writer = tree.make_writer();
  TreeBuilder builder(writer);
  tree.root = tree.base.run(build(builder, tree.model, writer)).value();
  tree.commit();
  tree.require_sound();
  tree.require_contents(tree.root, tree.model);
}

TEST_CASE("tree builder: a sorted load gives the tree of the map, every node full") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 15)));
  CAPTURE(seed);
  rt::Random random(seed);
  TreeFixture tree(random.chance(0.5) ? 16 : 512);
  const auto shape = static_cast<KeyShape>(seed % test::kKeyShapes);
  const std::size_t count = seed == 1 ? 1 : (seed == 2 ? 0 : random.between(1, 6000));
  for (std::size_t i = 0; i < count; ++i) {
    tree.model[test::random_key(random, shape)] =
        std::string(random.chance(0.02) ? random.below(20'000) : random.below(90), static_cast<char>('a' + i % 26));
  }
  load_model(tree);
  tree.require_finds(tree.root, tree.model, random, 50);
}

TEST_CASE("tree builder: 100,000 entries make three full levels") {
  TreeFixture tree(64);
  for (unsigned i = 0; i < 100'000; ++i) tree.model["key" + std::to_string(1'000'000 + i)] = std::string(20, 'v');
  load_model(tree);
  CHECK(tree.root.height == 3);
  // Suffixes of at most five bytes after the prefix: one in the heap, head, slot, record header, value.
  CHECK(tree.root.node_pages <= 100'000 * (4 + 1 + 2 + 4 + 20) / kPageBytes + 20);
}

TEST_CASE("tree builder: a key that is not above the one before is refused, and the load goes on") {
  TreeFixture tree(16);
  PageWriter writer = tree.make_writer();
  TreeBuilder builder(writer);
  CHECK(builder.add("b", "1", format::EntryKind::value));
  CHECK(!builder.add("b", "2", format::EntryKind::value));
  CHECK(!builder.add("a", "3", format::EntryKind::value));
  const std::string large(5000, 'v');
  const Status refused = tree.base.run(builder.add_long("a", large));
  CHECK(refused.code() == Errc::invalid_argument);
  CHECK(builder.add("c", "4", format::EntryKind::value));
  tree.model = {{"b", "1"}, {"c", "4"}};
  tree.root = tree.base.run(build(builder, {}, writer)).value();
  tree.commit();
  tree.require_sound();  // nor did the refused value leave pages behind
  tree.require_contents(tree.root, tree.model);
}

class Leaves final : public LeafSink {
 public:
  void leaf(Bytes bound, const format::ChildPointer& pointer) override {
    bounds.push_back(bound.str());
    pointers.push_back(pointer);
  }
  std::vector<std::string> bounds;
  std::vector<format::ChildPointer> pointers;
};

TEST_CASE("tree builder: whoever wants to know is told of every leaf, and the leaves come first in the file") {
  rt::Random random(3);
  TreeFixture tree(512);
  for (int i = 0; i < 20'000; ++i) {
    tree.model[test::random_key(random, static_cast<KeyShape>(0))] = std::string(150 + random.below(60), 'v');
  }
  PageWriter writer = tree.make_writer();
  std::vector<PageRun> runs;
  writer.track(&runs);
  Leaves leaves;
  TreeBuilder builder(writer, &leaves);
  tree.root = tree.base.run(build(builder, tree.model, writer)).value();
  writer.track(nullptr);
  tree.commit();
  tree.require_sound();
  tree.require_contents(tree.root, tree.model);
  REQUIRE(leaves.pointers.size() > 200);
  REQUIRE(tree.root.height == 3);
  std::vector<std::uint64_t> pages;
  for (const PageRun& run : runs) {
    for (std::uint32_t i = 0; i < run.pages; ++i) pages.push_back(raw(run.first) + i);
  }
  REQUIRE(pages.size() == tree.root.node_pages);
  std::uint64_t entries = 0;
  for (std::size_t i = 0; i < leaves.pointers.size(); ++i) {
    CHECK(leaves.pointers[i].page == pages[i]);
    CHECK((i == 0 ? leaves.bounds[i].empty() : leaves.bounds[i - 1] < leaves.bounds[i]));
    entries += leaves.pointers[i].entries;
  }
  CHECK(entries == tree.model.size());
}

}  // namespace
}  // namespace cambium
