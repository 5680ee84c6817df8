// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/position_marks.h"

#include <catch2/catch.hpp>

#include <vector>

namespace cambium {
namespace {

TEST_CASE("position marks: every sequence above the one asked for begins at or after the answer") {
  PositionMarks marks(0, Sequence{1});
  marks.add(4096, Sequence{1});
  marks.add(8192, Sequence{5});
  marks.add(12288, Sequence{9});
  CHECK(marks.count() == 3);
  CHECK(marks.position_of(Sequence{0}) == 4096);
  CHECK(marks.position_of(Sequence{3}) == 4096);
  CHECK(marks.position_of(Sequence{4}) == 8192);
  CHECK(marks.position_of(Sequence{7}) == 8192);
  CHECK(marks.position_of(Sequence{8}) == 12288);
  CHECK(marks.position_of(Sequence{800}) == 12288);
  marks.drop_before(8192);
  CHECK(marks.count() == 2);
  CHECK(marks.position_of(Sequence{0}) == 8192);
  marks.drop_before(10000);  // inside what a mark covers
  CHECK(marks.position_of(Sequence{6}) == 10000);
}

TEST_CASE("position marks: of too many every second one goes, and answers become earlier, never later") {
  PositionMarks marks(0, Sequence{1});
  constexpr std::uint64_t kGroups = 5000;
  for (std::uint64_t i = 0; i < kGroups; ++i) marks.add(i * 4096, Sequence{1 + i * 3});
  CHECK(marks.count() <= PositionMarks::kMarksMax);
  for (std::uint64_t sequence = 0; sequence < kGroups * 3; ++sequence) {
    const std::uint64_t group_of_next = sequence / 3;  // sequence + 1 is in it, or begins it
    REQUIRE(marks.position_of(Sequence{sequence}) <= group_of_next * 4096);
  }
  CHECK(marks.position_of(Sequence{kGroups * 3}) > (kGroups - 32) * 4096);
}

}  // namespace
}  // namespace cambium
