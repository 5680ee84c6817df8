// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/node_packer.h"

#include <catch2/catch.hpp>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/node/node_model.h"
#include "node/node_view.h"

namespace cambium {
namespace {

using node::NodeEntry;
using test::KeyShape;

struct Group {
  std::size_t bytes = 0;
  std::size_t count = 0;
};

struct Stream {
  std::vector<std::string> keys;
  std::vector<std::string> values;
};

Stream random_stream(rt::Random& random) {
  Stream stream;
  const std::size_t count = random.chance(0.2) ? random.between(1, 20) : random.between(20, 1500);
  stream.keys = test::random_keys(random, static_cast<KeyShape>(random.below(test::kKeyShapes)), count);
  const std::size_t longest = random.chance(0.3) ? kInlineValueBytesMax : (random.chance(0.5) ? 150 : 20);
  for (std::size_t i = 0; i < stream.keys.size(); ++i)
    stream.values.push_back(std::string(random.below(longest + 1), 'v'));
  return stream;
}

// Packs the stream as the tree does, popping whatever is ready, and checks order, coverage and fit on the way.
std::vector<Group> pack(const Stream& stream, bool leaf, std::size_t target_bytes, rt::Random& random) {
  NodePacker packer(leaf, target_bytes);
  std::vector<Group> groups;
  std::size_t seen = 0;
  const std::unique_ptr<char[]> page(new char[kPageBytes]);
  const auto take = [&] {
    while (packer.ready()) {
      const std::span<const NodeEntry> entries = packer.front();
      REQUIRE(!entries.empty());
      node::NodeSize size(leaf);
      for (const NodeEntry& entry : entries) {
        REQUIRE(entry.key == Bytes(stream.keys[seen]));
        ++seen;
        size.add(entry);
      }
      REQUIRE(size.bytes() <= kPageBytes);
      node::build_node(page.get(), {PageId{9}, Generation{1}, 1, leaf ? 0u : 1u}, entries);
      groups.push_back({size.bytes(), entries.size()});
      packer.pop_front();
      REQUIRE(packer.popped() == seen);
    }
  };
  for (std::size_t i = 0; i < stream.keys.size(); ++i) {
    NodeEntry entry;
    entry.key = stream.keys[i];
    if (leaf) {
      entry.value = stream.values[i];
    } else {
      entry.child = {.page = 5, .checksum = 0, .entries = 1};
    }
    packer.add(entry);
    REQUIRE(packer.added() == i + 1);
    REQUIRE(packer.fill_if_finished() > 0);
    if (random.chance(0.5)) take();
  }
  packer.finish();
  take();
  REQUIRE(seen == stream.keys.size());
  REQUIRE(packer.empty());
  REQUIRE(packer.fill_if_finished() == 1);
  return groups;
}

TEST_CASE("node packer: every group fits, and the groups cover the stream in order") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  CAPTURE(seed);
  rt::Random random(seed);
  for (unsigned round = 0; round < 120; ++round) {
    const Stream stream = random_stream(random);
    pack(stream, random.chance(0.6), random.chance(0.5) ? kPageBytes : kPageBytes * 9 / 10, random);
  }
}

// A run of keys with a long common prefix beside one with another: together they are larger than two pages, since
// the prefix is stored once per page, so half of their size may be more than a page.
TEST_CASE("node packer: evening out the last two groups never makes one that does not fit") {
  rt::Random random(77);
  for (unsigned round = 0; round < 3000; ++round) {
    Stream stream;
    std::string path;
    std::set<std::string> keys;
    const std::size_t step = random.between(1, 60);
    for (unsigned depth = 0; depth < 8; ++depth) {
      path += std::string(step, 'm');
      const std::size_t count = random.between(1, 40);
      for (std::size_t i = 0; i < count; ++i) {
        keys.insert(path + (random.chance(0.5) ? "z" : "a") +
                    test::random_text(random, 5 + random.below(20), "abcdef"));
      }
    }
    stream.keys.assign(keys.begin(), keys.end());
    stream.values.assign(stream.keys.size(), std::string(random.below(20), 'v'));
    pack(stream, random.chance(0.7), kPageBytes * 9 / 10, random);
  }
}

TEST_CASE("node packer: pages of a long stream are full, and the last two are evened out") {
  rt::Random random(5);
  Stream stream;
  for (unsigned i = 100'000; i < 110'000; ++i) {
    stream.keys.push_back("user" + std::to_string(i));
    stream.values.push_back(std::string(100, 'v'));
  }
  const std::vector<Group> groups = pack(stream, true, kPageBytes, random);
  REQUIRE(groups.size() > 200);
  for (std::size_t i = 0; i + 2 < groups.size(); ++i) CHECK(groups[i].bytes > kPageBytes - 130);
  CHECK(groups[groups.size() - 1].bytes > kPageBytes / 2 - 200);
  CHECK(groups[groups.size() - 2].bytes > kPageBytes / 2 - 200);

  const std::vector<Group> looser = pack(stream, true, kPageBytes * 9 / 10, random);
  for (std::size_t i = 0; i + 2 < looser.size(); ++i) {
    CHECK(looser[i].bytes >= kPageBytes * 9 / 10);
    CHECK(looser[i].bytes <= kPageBytes * 9 / 10 + 130);
  }
}

TEST_CASE("node packer: two groups that fit one page become one") {
  NodePacker packer(true, 1000);
  std::vector<std::string> keys;
  for (unsigned i = 100; i < 160; ++i) keys.push_back("key" + std::to_string(i));
  const std::string value(20, 'v');
  for (const std::string& key : keys) {
    NodeEntry entry;
    entry.key = key;
    entry.value = value;
    packer.add(entry);
  }
  packer.finish();
  REQUIRE(packer.ready());
  CHECK(packer.front().size() == keys.size());
  packer.pop_front();
  CHECK(!packer.ready());
}

}  // namespace
}  // namespace cambium
