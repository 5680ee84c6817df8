// SPDX-License-Identifier: MIT OR Apache-2.0
// Pages of a learned index that somebody tampered with: refused at the door, or answered within bounds.
#include <catch2/catch.hpp>

#include <cstring>

#include "base/endian.h"
#include "lib/levels/index_fixture.h"

namespace cambium {
namespace {

using namespace test;

// Asks around; the search itself throws should it want a page that is not there, or a third one.
void check_bounded(const Index& index, rt::Random& random, int probes) {
  const std::uint32_t leaves = index.view().leaf_count();
  for (int i = 0; i < probes; ++i) {
    const LeafRange range = index.search(index_key(random, IndexKeys::clustered, 0)).range();
    REQUIRE(range.first <= range.last);
    REQUIRE(range.last < leaves);
    REQUIRE(range.last - range.first <= format::kSharedHeadMax);
  }
}

bool valid(const Index& index) {
  if (validate_learned_root(index.root.data()) != nullptr) return false;
  if (index.directory.size() != index.view().directory_pages()) return false;
  for (std::uint32_t i = 0; i < index.directory.size(); ++i) {
    if (validate_learned_directory(index.directory[i].data(), index.view(), i) != nullptr) return false;
  }
  return true;
}

Index clustered_index(rt::Random& random) {
  const LeafSet leaves = cut_into_leaves(random, index_keys(random, IndexKeys::clustered, 10'000), 10);
  Index index = build_index(leaves.bounds);
  REQUIRE(index.fit == LearnedFit::good);
  REQUIRE(index.directory.size() > 2);
  return index;
}

TEST_CASE("learned index: damaged bytes are refused or answered within bounds", "[F19]") {
  const std::uint64_t seed = GENERATE(1u, 2u, 3u, 4u);
  CAPTURE(seed);
  rt::Random random(seed);
  const Index whole = clustered_index(random);
  int answered = 0;
  for (int round = 0; round < 3'000; ++round) {
    Index damaged = whole;
    std::string& page = random.chance(0.7) ? damaged.root : damaged.directory[random.below(damaged.directory.size())];
    for (std::uint64_t n = random.between(1, 3); n != 0; --n) {
      // Mostly where the fields are; single bits, whole words, extremes.
      const std::size_t at = random.chance(0.3) ? random.below(64) & ~std::size_t{7} : random.below(kPageBytes / 8) * 8;
      const std::uint64_t old = rt::load_le64(page.data() + at);
      const std::uint64_t values[] = {
          old ^ (std::uint64_t{1} << random.below(64)), random.next(), 0, ~std::uint64_t{0}, old + 1, old - 1};
      rt::store_le64(page.data() + at, values[random.below(6)]);
    }
    if (!valid(damaged)) continue;
    ++answered;
    check_bounded(damaged, random, 50);
  }
  CHECK(answered > 100);  // else this test tests nothing
}

TEST_CASE("learned index: any numbers that are in order are answered within bounds") {
  rt::Random random(9);
  const Index whole = clustered_index(random);
  for (int round = 0; round < 300; ++round) {
    Index forged = whole;
    char* starts = forged.root.data() + sizeof(format::LearnedRootHeader);
    const std::size_t count = forged.view().segment_count();
    for (std::size_t i = 0; i < count; ++i) rt::store_le64(starts + 8 * (count + i), random.next());  // slopes
    for (std::string& page : forged.directory) {
      std::vector<std::uint64_t> heads(format::header_of(page.data()).count);
      for (auto& head : heads) head = random.chance(0.5) ? random.below(40'000) : random.next();
      std::sort(heads.begin(), heads.end());
      if (&page == &forged.directory[0]) heads[0] = 0;
      std::memcpy(page.data() + format::kDirectoryHeads, heads.data(), 8 * heads.size());
    }
    REQUIRE(valid(forged));
    check_bounded(forged, random, 100);
  }
}

TEST_CASE("learned index: each rule of a root and of a directory page is held") {
  rt::Random random(3);
  const Index whole = clustered_index(random);
  REQUIRE(valid(whole));
  const auto root_with = [&](auto&& change) {
    Index index = whole;
    change(*reinterpret_cast<format::LearnedRootHeader*>(index.root.data()));
    return validate_learned_root(index.root.data());
  };
  const auto directory_with = [&](auto&& change) {
    Index index = whole;
    change(*reinterpret_cast<format::LearnedDirectoryHeader*>(index.directory[1].data()));
    return validate_learned_directory(index.directory[1].data(), index.view(), 1);
  };
  using Root = format::LearnedRootHeader;
  using Directory = format::LearnedDirectoryHeader;
  CHECK(root_with([](Root& h) { h.page.type = format::PageType::branch; }) != nullptr);
  CHECK(root_with([](Root& h) { h.page.level = 0; }) != nullptr);
  CHECK(root_with([](Root& h) { h.page.count = 0; }) != nullptr);
  CHECK(root_with([](Root& h) { h.page.count = 0xffff; }) != nullptr);
  CHECK(root_with([](Root& h) { h.leaf_count = 0; }) != nullptr);
  CHECK(root_with([](Root& h) { h.leaf_count = 0xffffffff; }) != nullptr);
  CHECK(root_with([](Root& h) { h.directory_pages = 1; }) != nullptr);
  CHECK(root_with([](Root& h) { h.prefix_bytes = 1025; }) != nullptr);
  CHECK(root_with([](Root& h) { h.epsilon = 0; }) != nullptr);
  CHECK(root_with([](Root& h) { h.epsilon = format::kEpsilonMax + 1; }) != nullptr);
  CHECK(root_with([](Root& h) { h.shared_max = format::kSharedHeadMax + 1; }) != nullptr);
  CHECK(root_with([](Root& h) { h.bound_bytes_max = 10; }) != nullptr);
  CHECK(root_with([](Root& h) { h.reserved0[1] = 1; }) != nullptr);
  CHECK(root_with([](Root& h) { h.reserved1[1] = 1; }) != nullptr);
  CHECK(directory_with([](Directory& h) { h.page.type = format::PageType::leaf; }) != nullptr);
  CHECK(directory_with([](Directory& h) { h.page.level = 1; }) != nullptr);
  CHECK(directory_with([](Directory& h) { h.page.count = 1; }) != nullptr);
  CHECK(directory_with([](Directory& h) { h.index = 2; }) != nullptr);
  CHECK(directory_with([](Directory& h) { h.reserved0 = 1; }) != nullptr);
  CHECK(directory_with([](Directory& h) { h.reserved1[2] = 1; }) != nullptr);
  CHECK(validate_learned_directory(whole.directory[0].data(), whole.view(), 0xffffffff) != nullptr);
}

}  // namespace
}  // namespace cambium
