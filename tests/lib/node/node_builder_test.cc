// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/node_builder.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lib/node/key_sets.h"
#include "lib/node/node_model.h"
#include "node/node_view.h"

namespace cambium {
namespace {

using node::NodeEntry;
using node::NodeSize;
using node::NodeView;
using test::KeyShape;
using test::ModelNode;

TEST_CASE("node builder: NodeSize is what the built node takes, for every shape of keys, as the run grows") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 8)));
  CAPTURE(seed);
  rt::Random random(seed);
  for (unsigned round = 0; round < 300; ++round) {
    const bool leaf = random.chance(0.5);
    const ModelNode model = ModelNode::random(random, leaf);
    NodeSize size(leaf);
    NodeSize within(leaf);
    for (std::size_t i = 0; i < model.entries.size(); ++i) {
      const std::size_t with = size.bytes_with(model.entries[i]);
      REQUIRE_FALSE(within.add_within(model.entries[i], with - 1));
      REQUIRE(within.bytes() == size.bytes());
      REQUIRE(within.add_within(model.entries[i], with));
      size.add(model.entries[i]);
      REQUIRE(with == size.bytes());
      REQUIRE(within.bytes() == size.bytes());
    }
    const std::unique_ptr<char[]> page = model.build();
    REQUIRE(size.count() == NodeView(page.get()).count());
    REQUIRE(size.bytes() == kPageBytes - NodeView(page.get()).free_bytes());
  }
}

TEST_CASE("node builder: a size never shrinks when an entry is added") {
  rt::Random random(11);
  for (unsigned round = 0; round < 300; ++round) {
    const bool leaf = random.chance(0.5);
    const std::vector<std::string> keys =
        test::random_keys(random, static_cast<KeyShape>(random.below(test::kKeyShapes)), random.between(2, 200));
    NodeSize size(leaf);
    for (const std::string& key : keys) {
      const std::size_t before = size.bytes();
      NodeEntry entry;
      entry.key = key;
      size.add(entry);
      REQUIRE(size.bytes() >= before);
    }
  }
}

TEST_CASE("node builder: what goes in comes out, in leaves and branches") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(21, 28)));
  CAPTURE(seed);
  rt::Random random(seed);
  char key[kKeyBytesMax + node::NodeView::kKeySlack];
  for (unsigned round = 0; round < 300; ++round) {
    const bool leaf = random.chance(0.5);
    const ModelNode model = ModelNode::random(random, leaf);
    const std::unique_ptr<char[]> page = model.build();
    REQUIRE(node::validate_node(page.get()) == nullptr);
    const NodeView view(page.get());
    REQUIRE(view.is_leaf() == leaf);
    REQUIRE(view.level() == model.level());
    REQUIRE(view.id() == PageId{77});
    REQUIRE(view.generation() == Generation{9});
    REQUIRE(view.count() == model.entries.size());
    for (std::size_t i = 0; i < view.count(); ++i) {
      const NodeEntry& entry = model.entries[i];
      if (leaf) {
        REQUIRE(Bytes(key, view.leaf_key(i, key)) == entry.key);
        REQUIRE(view.leaf_entry(i).value == entry.value);
        REQUIRE(view.leaf_entry(i).kind == entry.kind);
        REQUIRE(view.leaf_entry(i).expiry == entry.expiry);
      } else {
        REQUIRE(Bytes(key, view.separator(i, key)) == (i == 0 ? Bytes() : entry.key));
        REQUIRE(view.child(i) == entry.child);
      }
    }
  }
}

TEST_CASE("node builder: the same entries give the same bytes, whatever the page held before") {
  rt::Random random(31);
  for (unsigned round = 0; round < 200; ++round) {
    const ModelNode model = ModelNode::random(random, random.chance(0.5));
    const std::unique_ptr<char[]> a = model.build('\x00');
    const std::unique_ptr<char[]> b = model.build('\x5a');
    // The checksum is the sealer's.
    REQUIRE(std::memcmp(a.get() + sizeof(std::uint32_t), b.get() + sizeof(std::uint32_t),
                        kPageBytes - sizeof(std::uint32_t)) == 0);
  }
}

TEST_CASE("node builder: the largest key with the largest inline value fits a leaf, two largest separators a branch") {
  const std::string longest(kKeyBytesMax, 'k');
  const std::string value(kInlineValueBytesMax, 'v');
  NodeEntry entry;
  entry.key = longest;
  entry.value = value;
  entry.expiry = 1;
  NodeSize leaf(true);
  leaf.add(entry);
  CHECK(leaf.bytes() <= kPageBytes);

  const std::string keys[3] = {std::string(kKeyBytesMax, 'a'), std::string(kKeyBytesMax, 'b'),
                               std::string(kKeyBytesMax, 'c')};
  NodeSize branch(false);
  for (const std::string& key : keys) {
    NodeEntry child;
    child.key = key;
    child.child = {.page = 5, .checksum = 0, .entries = 1};
    branch.add(child);
  }
  CHECK(branch.bytes() <= kPageBytes);
}

TEST_CASE("node builder: common_prefix equals the bytewise count at every length around a word") {
  rt::Random random(41);
  for (unsigned round = 0; round < 20'000; ++round) {
    std::string a = test::random_text(random, random.below(40), "ab");
    std::string b = random.chance(0.5) ? a.substr(0, random.below(a.size() + 1)) : a;
    b += test::random_text(random, random.below(6), "abc");
    std::size_t expected = 0;
    while (expected < a.size() && expected < b.size() && a[expected] == b[expected]) ++expected;
    REQUIRE(node::common_prefix(a, b) == expected);
    REQUIRE(node::common_prefix(b, a) == expected);
  }
}

TEST_CASE("node builder: the shortest separator is above low, not above high, and no shorter one is") {
  rt::Random random(51);
  unsigned tried = 0;
  for (unsigned round = 0; round < 20'000; ++round) {
    const auto shape = static_cast<KeyShape>(random.below(4));
    std::string low = test::random_key(random, shape);
    std::string high = test::random_key(random, shape);
    if (high < low) std::swap(low, high);
    if (low == high) continue;
    ++tried;
    const Bytes separator = node::shortest_separator(low, high);
    REQUIRE(separator > Bytes(low));
    REQUIRE(separator <= Bytes(high));
    for (std::size_t bytes = 0; bytes < separator.size(); ++bytes) REQUIRE(high.substr(0, bytes) <= low);
  }
  CHECK(tried > 10'000);
}

}  // namespace
}  // namespace cambium
