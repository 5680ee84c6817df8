// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/index_choice.h"

#include <catch2/catch.hpp>

namespace cambium {
namespace {

TEST_CASE("index choice: a table that wants none gets none, one that wants it gets it wherever there are leaves") {
  CHECK_FALSE(learned_pays(TableIndex::plain, 4096));
  CHECK(learned_pays(TableIndex::learned, 4096));
  CHECK(learned_pays(TableIndex::learned, 2));
  CHECK_FALSE(learned_pays(TableIndex::learned, 1));
}

}  // namespace
}  // namespace cambium
