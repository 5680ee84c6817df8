// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/key_hashes.h"

#include <catch2/catch.hpp>

#include <string>

#include "base/hash.h"

namespace cambium {
namespace {

TEST_CASE("key hashes: a filter filled from them has the bytes of one filled directly, in steps of any size") {
  constexpr std::size_t piece = KeyHashes::kPieceHashes;
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, piece - 1, piece, piece + 1, 3 * piece + 5}) {
    CAPTURE(count);
    const FilterShape shape = FilterShape::for_keys(count, 10);
    FilterBuilder direct(shape);
    FilterBuilder drained(shape);
    KeyHashes hashes;
    for (std::size_t i = 0; i < count; ++i) {
      hashes.add(rt::hash_u64(i));
      direct.add(rt::hash_u64(i));
    }
    CHECK(hashes.count() == count);
    CHECK(hashes.memory_bytes() == (count + piece - 1) / piece * piece * 8);
    std::size_t steps = 0;
    while (!hashes.drain_some(drained, 1)) ++steps;
    CHECK(steps <= 3);
    CHECK(hashes.count() == 0);
    CHECK(hashes.memory_bytes() == 0);
    CHECK(hashes.drain_some(drained, 1));
    for (std::uint32_t i = 0; i < shape.pages; ++i) {
      std::string a(kPageBytes, 'a');
      std::string b(kPageBytes, 'b');
      direct.write_page(i, {PageId{i}, Generation{1}, 1, 0}, a.data());
      drained.write_page(i, {PageId{i}, Generation{1}, 1, 0}, b.data());
      REQUIRE(a == b);
    }
  }
}

}  // namespace
}  // namespace cambium
