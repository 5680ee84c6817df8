// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/child_promise.h"

#include <catch2/catch.hpp>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "node/node_builder.h"

namespace cambium {
namespace {

using node::ChildPromise;
using node::NodeEntry;
using node::NodeView;

std::set<std::string> few_keys(rt::Random& random, std::size_t count, std::size_t bytes_max) {
  std::set<std::string> keys;
  while (keys.size() < count) {
    std::string key(random.between(1, bytes_max), 'a');
    for (char& letter : key) letter = static_cast<char>('a' + random.below(3));
    keys.insert(key);
  }
  return keys;
}

std::unique_ptr<char[]> build(const std::set<std::string>& keys, unsigned level, std::uint64_t entries_below) {
  std::vector<NodeEntry> entries;
  for (const std::string& key : keys) {
    NodeEntry entry;
    entry.key = Bytes(key);
    if (level == 0) entry.value = Bytes("v");
    if (level != 0) entry.child = {.page = 5, .checksum = 1, .entries = entries_below};
    entries.push_back(entry);
  }
  std::unique_ptr<char[]> page(new char[kPageBytes]);
  node::build_node(page.get(), {PageId{77}, Generation{9}, 1, level}, entries);
  return page;
}

}  // namespace

TEST_CASE("child promise: it says of every child what the branch itself says") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 5)));
  CAPTURE(seed);
  rt::Random random(seed);
  std::size_t kept = 0;
  std::size_t broken = 0;
  for (unsigned round = 0; round < 4000; ++round) {
    const auto child_level = static_cast<unsigned>(random.below(2));
    const std::size_t child_count = random.between(1, 4);
    const auto promised = child_count + (random.chance(0.1) ? 1 : 0);
    const auto parent_page = build(few_keys(random, random.between(1, 5), 4), child_level + 1, promised);
    const auto child_page = build(few_keys(random, child_count, 6), child_level, 1);
    const NodeView parent(parent_page.get());
    const NodeView child(child_page.get());
    const std::size_t index = random.below(parent.count());
    ChildPromise promise;
    promise.note(parent, index);
    REQUIRE(promise.known());
    const char* const direct = node::validate_child(parent, index, child);
    const char* const noted = promise.broken_by(child);
    REQUIRE((direct == nullptr) == (noted == nullptr));
    if (direct != nullptr) REQUIRE(std::string(direct) == noted);
    ++(direct == nullptr ? kept : broken);
  }
  CHECK(kept > 100);
  CHECK(broken > 100);
}

TEST_CASE("child promise: a bound too long to be noted leaves it unknown, one just short enough does not") {
  for (const std::size_t bytes : {ChildPromise::kBoundBytesMax, ChildPromise::kBoundBytesMax + 1}) {
    const auto page = build({"a", std::string(bytes, 'b'), "c"}, 1, 1);
    const NodeView parent(page.get());
    ChildPromise promise;
    for (const std::size_t index : {0u, 1u}) {  // as its upper bound, and as its lower one
      promise.note(parent, index);
      CHECK(promise.known() == (bytes == ChildPromise::kBoundBytesMax));
    }
    promise.note(parent, 2);
    CHECK(promise.known());
  }
}

}  // namespace cambium
