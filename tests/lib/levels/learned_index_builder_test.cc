// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/learned_index_builder.h"

#include <catch2/catch.hpp>

#include "lib/levels/index_fixture.h"

namespace cambium {
namespace {

using namespace test;

std::vector<std::string> numbered(std::size_t leaves, std::uint64_t gap) {
  std::vector<std::string> bounds = {""};
  for (std::size_t i = 1; i < leaves; ++i) bounds.push_back(number_key(i * gap));
  return bounds;
}

LearnedIndexBuilder planned(const std::vector<std::string>& bounds) {
  LearnedIndexBuilder builder;
  for (const std::string& bound : bounds) builder.add(bound, 1);
  while (!builder.plan_some(1000)) continue;
  return builder;
}

TEST_CASE("learned index builder: numbers in a row are one segment, and the index is smaller than branches", "[F19]") {
  const LearnedIndexBuilder builder = planned(numbered(16'000, 33));
  CHECK(builder.fit() == LearnedFit::good);
  CHECK(builder.segment_count() == 1);
  CHECK(builder.epsilon() == 8);
  CHECK(builder.pages() == 16'000 / 336 + 2);
  CHECK(builder.worth(100));
  CHECK_FALSE(builder.worth(builder.pages()));
}

TEST_CASE("learned index builder: bytes do not depend on the steps of planning") {
  rt::Random random(1);
  const LeafSet leaves = cut_into_leaves(random, index_keys(random, IndexKeys::dictionary, 5'000), 5);
  const Index at_once = build_index(leaves.bounds);
  REQUIRE(at_once.fit == LearnedFit::good);
  for (const std::size_t step : {0u, 1u, 7u, 1000u}) {
    const Index stepped = build_index(leaves.bounds, step);
    CHECK(stepped.root == at_once.root);
    CHECK(stepped.directory == at_once.directory);
  }
}

TEST_CASE("learned index builder: epsilon grows until the segments fit, then the builder gives up") {
  rt::Random random(2);
  const auto uneven = [&](std::size_t leaves, std::size_t run, std::uint64_t spread) {
    std::vector<std::string> bounds = {""};
    std::uint64_t at = 0;
    for (std::size_t i = 1; i < leaves; ++i) {
      if (i % run == 0) at += std::uint64_t{1} << (20 + random.below(spread));
      bounds.push_back(number_key(at += random.between(1, 40)));
    }
    return bounds;
  };
  const LearnedIndexBuilder some = planned(uneven(12'000, 40, 20));
  CHECK(some.fit() == LearnedFit::good);
  CHECK(some.epsilon() > 8);
  const LearnedIndexBuilder worst = planned(uneven(200'000, 700, 20));
  CHECK(worst.fit() == LearnedFit::irregular);
  CHECK_FALSE(worst.worth(1'000'000));
}

TEST_CASE("learned index builder: gives up where bounds agree in prefix and eight bytes more") {
  std::vector<std::string> bounds = {"", "a"};
  for (int i = 0; i < 100; ++i) bounds.push_back("b" + std::string(20, 'x') + std::to_string(1000 + i));
  CHECK(planned(bounds).fit() == LearnedFit::shared_heads);
  // Without the one that shortens the common prefix they are as good as any.
  bounds.erase(bounds.begin() + 1);
  CHECK(planned(bounds).fit() == LearnedFit::good);
}

TEST_CASE("learned index builder: gives up beyond the leaves whose directory the root can hold") {
  LearnedIndexBuilder builder;
  for (std::uint64_t i = 0; i < 340'000; ++i) builder.add(u64_key(i), 0);
  CHECK(builder.plan_some(1));
  CHECK(builder.fit() == LearnedFit::too_many_leaves);
  CHECK(planned(numbered(330'000, 1)).fit() == LearnedFit::good);
}

TEST_CASE("learned index builder: heads taken behind longer prefixes are made good") {
  // The common prefix loses one byte after the other, in steps of all sizes.
  for (const std::size_t step : {1u, 3u, 7u, 8u, 9u, 20u}) {
    std::vector<std::string> bounds = {""};
    for (std::size_t length = 60; length > step; length -= step) {
      bounds.push_back(std::string(length, 'a') + "b" + std::string(length % 11, 'c'));
    }
    LearnedIndexBuilder builder;
    for (const std::string& bound : bounds) builder.add(bound, 0);
    while (!builder.plan_some(1)) continue;
    if (builder.fit() != LearnedFit::good) continue;
    std::string page(kPageBytes, '\0');
    builder.write_directory_page(0, {PageId{1}, Generation{1}, 1, 0}, page.data());
    const std::size_t prefix = node::common_prefix(bounds[1], bounds.back());
    for (std::size_t i = 1; i < bounds.size(); ++i) {
      CAPTURE(step, i);
      const std::string suffix = bounds[i].substr(prefix);
      CHECK(rt::load_le64(page.data() + format::kDirectoryHeads + 8 * i) == wide_head_of(suffix.data(), suffix.size()));
    }
  }
}

}  // namespace
}  // namespace cambium
