// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/head_search.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace cambium {
namespace {

TEST_CASE("head search: counts equal lower and upper bound for every length, with duplicates and the top bit") {
  rt::Random random(1);
  for (std::size_t count = 0; count < 410; ++count) {
    std::vector<std::uint32_t> heads(count);
    const std::uint64_t spread = random.chance(0.5) ? 20 : std::uint64_t{1} << 32;
    const auto base = static_cast<std::uint32_t>(random.next());
    for (std::uint32_t& head : heads) head = static_cast<std::uint32_t>(base + random.below(spread));
    std::sort(heads.begin(), heads.end());
    std::vector<std::uint32_t> padded = heads;
    padded.resize(count + 16, 0);  // whatever follows must not count
    for (unsigned i = 0; i < 40; ++i) {
      std::uint32_t probe = i == 0 ? 0 : (i == 1 ? 0xffffffffu : static_cast<std::uint32_t>(random.next()));
      if (count != 0 && i % 2 == 0)
        probe = heads[random.below(count)] + static_cast<std::uint32_t>(random.below(3)) - 1;
      const auto below = std::lower_bound(heads.begin(), heads.end(), probe) - heads.begin();
      const auto not_above = std::upper_bound(heads.begin(), heads.end(), probe) - heads.begin();
      REQUIRE(node::count_below(padded.data(), count, probe) == static_cast<std::size_t>(below));
      REQUIRE(node::count_not_above(padded.data(), count, probe) == static_cast<std::size_t>(not_above));
    }
  }
}

TEST_CASE("head search: heads order as the bytes they stand for, short ones padded with zeros") {
  rt::Random random(2);
  for (unsigned round = 0; round < 10'000; ++round) {
    std::string a(random.below(7), '\0');
    std::string b(random.below(7), '\0');
    random.bytes(a.data(), a.size());
    random.bytes(b.data(), b.size());
    const std::uint32_t x = node::head_of(a.data(), a.size());
    const std::uint32_t y = node::head_of(b.data(), b.size());
    if (x < y) REQUIRE(a < b);
    std::string padded = a.substr(0, 4);
    padded.resize(4, '\0');
    REQUIRE(x == rt::load_be32(padded.data()));
  }
}

}  // namespace
}  // namespace cambium
