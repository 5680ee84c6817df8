// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/node_view.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "lib/node/node_model.h"

namespace cambium {
namespace {

using node::NodeView;
using test::ModelNode;

// Keys of the node, their neighbours, and others of the same shapes.
std::vector<std::string> probes_of(const ModelNode& model, rt::Random& random) {
  std::vector<std::string> probes = {std::string(), std::string(1, '\0'), std::string(kKeyBytesMax, '\xff')};
  for (unsigned i = 0; i < 60; ++i) {
    std::string key = model.keys[random.below(model.entries.size())];
    probes.push_back(key);
    probes.push_back(key + '\0');
    probes.push_back(key.substr(0, random.below(key.size() + 1)));
    key[random.below(key.size())] = static_cast<char>(random.next());
    probes.push_back(key);
    probes.push_back(test::random_key(random, static_cast<test::KeyShape>(random.below(test::kKeyShapes))));
  }
  return probes;
}

TEST_CASE("node view: a leaf finds every key and the place of every other one") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  CAPTURE(seed);
  rt::Random random(seed);
  for (unsigned round = 0; round < 120; ++round) {
    const ModelNode model = ModelNode::random(random, true);
    const std::unique_ptr<char[]> page = model.build();
    const NodeView leaf(page.get());
    const auto end = model.keys.begin() + static_cast<std::ptrdiff_t>(model.entries.size());
    for (const std::string& probe : probes_of(model, random)) {
      const auto at = std::lower_bound(model.keys.begin(), end, probe);
      bool equal = false;
      REQUIRE(leaf.leaf_lower_bound(probe, equal) == static_cast<std::size_t>(at - model.keys.begin()));
      REQUIRE(equal == (at != end && *at == probe));
      REQUIRE(leaf.leaf_record_hint(probe) < kPageBytes);
      // A place remembered for the key is believed where it is true, and only there.
      if (!equal) continue;
      const auto index = static_cast<std::size_t>(at - model.keys.begin());
      node::LeafEntry entry;
      REQUIRE(leaf.leaf_entry_at(index, leaf.leaf_record_offset(index), probe, entry));
      REQUIRE(entry.value == leaf.leaf_entry(index).value);
      REQUIRE_FALSE(leaf.leaf_entry_at(index, leaf.leaf_record_offset(index) + 1, probe, entry));
      REQUIRE_FALSE(leaf.leaf_entry_at(index + 1, leaf.leaf_record_offset(index), probe, entry));
      const std::size_t other = (index + 1) % leaf.count();
      if (other != index) REQUIRE_FALSE(leaf.leaf_entry_at(other, leaf.leaf_record_offset(other), probe, entry));
    }
  }
}

TEST_CASE("node view: a branch sends every key to the child whose range holds it, and below it for a reverse step") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(11, 19)));
  CAPTURE(seed);
  rt::Random random(seed);
  for (unsigned round = 0; round < 120; ++round) {
    const ModelNode model = ModelNode::random(random, false);
    const std::unique_ptr<char[]> page = model.build();
    const NodeView branch(page.get());
    const auto begin = model.keys.begin() + 1;  // separator 0 is open
    const auto end = model.keys.begin() + static_cast<std::ptrdiff_t>(model.entries.size());
    for (const std::string& probe : probes_of(model, random)) {
      const auto child = static_cast<std::size_t>(std::upper_bound(begin, end, probe) - begin);
      const auto below = static_cast<std::size_t>(std::lower_bound(begin, end, probe) - begin);
      REQUIRE(branch.child_index(probe) == child);
      REQUIRE(branch.child_index_below(probe) == below);
    }
  }
}

TEST_CASE("node view: the prefix is what all keys share, all but a branch's first") {
  rt::Random random(31);
  for (unsigned round = 0; round < 200; ++round) {
    const ModelNode model = ModelNode::random(random, random.chance(0.5));
    const std::unique_ptr<char[]> page = model.build();
    const std::size_t first = model.leaf ? 0 : 1;
    std::string expected = model.entries.size() > first ? model.keys[first] : std::string();
    for (std::size_t i = first; i < model.entries.size(); ++i) {
      expected.resize(node::common_prefix(expected, model.keys[i]));
    }
    REQUIRE(NodeView(page.get()).prefix() == Bytes(expected));
  }
}

}  // namespace
}  // namespace cambium
