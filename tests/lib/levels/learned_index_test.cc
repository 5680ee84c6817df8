// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/learned_index.h"

#include <catch2/catch.hpp>

#include <map>

#include "lib/levels/index_fixture.h"

namespace cambium {
namespace {

using namespace test;

// Keys near those of the set: themselves, a little above, a little below, shortened, and strangers.
std::string probe_near(rt::Random& random, const LeafSet& leaves, IndexKeys shape) {
  const bool at_bound = leaves.bounds.size() > 1 && random.chance(0.5);
  std::string key = at_bound ? leaves.bounds[random.between(1, leaves.bounds.size() - 1)]
                             : leaves.keys[random.below(leaves.keys.size())];
  switch (random.below(8)) {
    case 0:
      key.push_back('\0');
      break;
    case 1:
      key.push_back('\xff');
      break;
    case 2:
      if (key.size() > 1) key.pop_back();
      break;
    case 3:
      key.back() = static_cast<char>(key.back() - 1);
      break;
    case 4:
      key.back() = static_cast<char>(key.back() + 1);
      break;
    case 5:
      key[random.below(key.size())] = static_cast<char>(random.below(256));
      break;
    case 6:
      key = index_key(random, shape, random.below(5000));
      break;
    default:
      break;
  }
  return key;
}

void check_answer(const LeafSet& leaves, const Index& index, const std::string& key) {
  const std::uint32_t wanted = leaves.leaf_of(key);
  const LearnedSearch search = index.search(key);
  const LeafRange range = search.range();
  REQUIRE(range.first <= wanted);
  REQUIRE(wanted <= range.last);
  REQUIRE(range.last < leaves.bounds.size());
  REQUIRE(range.last - range.first <= format::kSharedHeadMax);
  REQUIRE(search.prediction().last - search.prediction().first <= 2 * index.view().epsilon());
}

TEST_CASE("learned index: answers as a plain search of the bounds does, for keys of every shape", "[F19]") {
  const auto shape = static_cast<IndexKeys>(GENERATE(range(0u, kIndexKeyShapes)));
  const std::uint64_t seed = GENERATE(1u, 2u, 3u);
  rt::Random random(seed * 100 + static_cast<unsigned>(shape));
  CAPTURE(static_cast<unsigned>(shape), seed);
  const std::size_t counts[] = {40, 3'000, 20'000};
  const LeafSet leaves = cut_into_leaves(random, index_keys(random, shape, counts[seed - 1]), seed == 3 ? 6 : 30);
  const Index index = build_index(leaves.bounds);
  // These have more keys with the same eight bytes than leaves may share, when there are many: branches are for them.
  const bool many = counts[seed - 1] > 10'000;
  const bool may_share =
      shape == IndexKeys::prefixes || shape == IndexKeys::ones || (shape == IndexKeys::dictionary && many);
  if (may_share && index.fit == LearnedFit::shared_heads) return;
  REQUIRE(index.fit == LearnedFit::good);
  REQUIRE(validate_learned_root(index.root.data()) == nullptr);
  for (std::uint32_t i = 0; i < index.directory.size(); ++i) {
    REQUIRE(validate_learned_directory(index.directory[i].data(), index.view(), i) == nullptr);
    REQUIRE(index.view().directory_checksum(i) == format::header_of(index.directory[i].data()).checksum);
  }
  for (std::size_t i = 0; i < leaves.bounds.size(); ++i) {
    check_answer(leaves, index, leaves.first_key(i));
    if (i > 0) check_answer(leaves, index, leaves.bounds[i]);
    const auto leaf = static_cast<std::uint32_t>(i);
    REQUIRE(leaf_checksum(index.directory[directory_page_of(leaf)].data(), leaf) == made_up_checksum(i));
  }
  for (int i = 0; i < 5'000; ++i) check_answer(leaves, index, probe_near(random, leaves, shape));
}

TEST_CASE("learned index: one to three leaves", "[F19]") {
  const std::vector<std::vector<std::string>> sets = {{""},
                                                      {"", "m"},
                                                      {"", std::string(1, '\0')},
                                                      {"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
                                                      {"", "a", "b"},
                                                      {"", "abc", "abcd"},
                                                      {"", "a", std::string(1024, 'a')}};
  for (const auto& bounds : sets) {
    CAPTURE(bounds.size(), bounds.back());
    const Index index = build_index(bounds);
    if (bounds.size() == 3 && index.fit == LearnedFit::shared_heads) continue;
    REQUIRE(index.fit == LearnedFit::good);
    REQUIRE(validate_learned_root(index.root.data()) == nullptr);
    const LeafSet leaves{.keys = bounds, .first = {}, .bounds = bounds};
    std::vector<std::string> probes = {std::string(1, '\0'),     "a", "abc", "abcde", "b", "m", "ma", "l\xff",
                                       std::string(1024, '\xff')};
    probes.insert(probes.end(), bounds.begin() + 1, bounds.end());
    for (const std::string& key : probes) {
      const LeafRange range = index.search(key).range();
      CHECK(range.first <= leaves.leaf_of(key));
      CHECK(leaves.leaf_of(key) <= range.last);
      CHECK(range.last < bounds.size());
    }
  }
}

TEST_CASE("learned index: keys of eight bytes after the common prefix are told apart without reading a leaf") {
  rt::Random random(11);
  for (const IndexKeys shape : {IndexKeys::sequential, IndexKeys::clustered, IndexKeys::powers}) {
    const LeafSet leaves = cut_into_leaves(random, index_keys(random, shape, 5'000), 9);
    const Index index = build_index(leaves.bounds);
    REQUIRE(index.fit == LearnedFit::good);
    for (const std::string& key : leaves.keys) {
      const LeafRange range = index.search(key).range();
      REQUIRE(range == LeafRange{leaves.leaf_of(key), leaves.leaf_of(key)});
    }
  }
}

TEST_CASE("learned index: a head that several leaves share yields all of them, and their neighbour below") {
  std::vector<std::string> bounds = {""};
  for (int i = 0; i < 1000; ++i) {
    bounds.push_back(number_key(static_cast<std::uint64_t>(i) << 40));
    for (int tail = 0; i % 100 == 50 && tail < 5; ++tail) {
      bounds.push_back(bounds.back().substr(0, 8) + std::string(2, '\0') + static_cast<char>('a' + tail));
    }
  }
  const Index index = build_index(bounds);
  REQUIRE(index.fit == LearnedFit::good);
  const LeafSet leaves{.keys = bounds, .first = {}, .bounds = bounds};
  std::map<std::uint32_t, int> widths;
  for (std::size_t i = 1; i < bounds.size(); ++i) {
    const LeafRange range = index.search(bounds[i]).range();
    CHECK(range.first <= i);
    CHECK(i <= range.last);
    ++widths[range.last - range.first + 1];
    // Any key with other eight bytes is settled by its head.
    const std::uint32_t next = static_cast<std::uint32_t>(leaves.leaf_of(bounds[i].substr(0, 7) + "\x01zz"));
    CHECK(index.search(bounds[i].substr(0, 7) + "\x01zz").range() == LeafRange{next, next});
  }
  CHECK(widths == std::map<std::uint32_t, int>{{2, 990}, {7, 60}});
}

TEST_CASE("learned index: a search that starts at the end of a directory page goes on to the next") {
  std::vector<std::string> bounds = {""};
  for (std::uint64_t i = 1; i < 4 * format::kDirectoryLeaves; ++i) bounds.push_back(number_key(i * i * 1000));
  const Index index = build_index(bounds);
  REQUIRE(index.directory.size() == 4);
  for (std::uint32_t i = 1; i < bounds.size(); ++i) {
    CHECK(index.search(bounds[i]).range() == LeafRange{i, i});
    CHECK(index.search(number_key(std::uint64_t{i} * i * 1000 - 1)).range() == LeafRange{i - 1, i - 1});
  }
}

TEST_CASE("learned index: counting heads agrees with a plain count at every length") {
  rt::Random random(5);
  for (std::size_t count = 0; count <= 70; ++count) {
    std::vector<std::uint64_t> heads(count);
    for (auto& head : heads) head = random.below(100);
    std::sort(heads.begin(), heads.end());
    for (std::uint64_t head = 0; head <= 101; ++head) {
      const auto below = static_cast<std::size_t>(std::lower_bound(heads.begin(), heads.end(), head) - heads.begin());
      REQUIRE(count_wide_below(reinterpret_cast<const char*>(heads.data()), count, head) == below);
    }
  }
}

}  // namespace
}  // namespace cambium
