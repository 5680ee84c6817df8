// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/index_choice.h"

#include <catch2/catch.hpp>

namespace cambium {
namespace {

TEST_CASE("index choice: a table gets what it asks for, whatever the cache") {
  CHECK(wants_learned(TableIndex::learned, 100, 1'000'000));
  CHECK_FALSE(wants_learned(TableIndex::plain, 1'000'000, 8));
}

TEST_CASE("index choice: left to the engine it is the plain one, but where the cache is scarce") {
  CHECK_FALSE(wants_learned(TableIndex::automatic, 1000, 1000));
  CHECK_FALSE(wants_learned(TableIndex::automatic, 64'000, 1000));
  CHECK(wants_learned(TableIndex::automatic, 65'000, 1000));
}

}  // namespace
}  // namespace cambium
