// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/planted_bug.h"

#if defined(CAMBIUM_PLANTED_BUGS) && CAMBIUM_PLANTED_BUGS == 1

#include <cstdlib>
#include <cstring>

#include "base/assert.h"

namespace cambium::rt {

namespace {

PlantedBug chosen() noexcept {
  const char* const wanted = std::getenv("CAMBIUM_PLANTED_BUG");
  if (wanted == nullptr || *wanted == '\0') return PlantedBug::none;
#define CAMBIUM_BUG_MATCH(name, where, hunters, story) \
  if (std::strcmp(wanted, #name) == 0) return PlantedBug::name;
  CAMBIUM_PLANTED_BUG_TABLE(CAMBIUM_BUG_MATCH)
#undef CAMBIUM_BUG_MATCH
  assert_failed("CAMBIUM_PLANTED_BUG", __FILE__, __LINE__, "no planted bug has this name");
}

}  // namespace

bool is_planted(PlantedBug bug) noexcept {
  static const PlantedBug active = chosen();
  return bug == active;
}

}  // namespace cambium::rt

#endif
