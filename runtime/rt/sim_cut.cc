// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/sim_cut.h"

#include "base/assert.h"

namespace cambium {

std::string_view to_string(PowerCutPolicy policy) noexcept {
  switch (policy) {
    case PowerCutPolicy::none:
      return "none";
    case PowerCutPolicy::all:
      return "all";
    case PowerCutPolicy::random:
      return "random";
    case PowerCutPolicy::all_but_one:
      return "all_but_one";
    case PowerCutPolicy::only_one:
      return "only_one";
    case PowerCutPolicy::prefix:
      return "prefix";
    case PowerCutPolicy::suffix:
      return "suffix";
    case PowerCutPolicy::random_torn:
      return "random_torn";
  }
  CAMBIUM_UNREACHABLE();
}

namespace rt {

namespace {

using Fate = SimDiskState::Fate;

constexpr Fate keep_if(bool keep) noexcept { return keep ? Fate::keep : Fate::drop; }

// A prefix or suffix may be empty or whole; the one unit is one of those there are.
std::uint64_t choose(PowerCutPolicy policy, std::uint64_t units, Random& random) noexcept {
  const bool divides = policy == PowerCutPolicy::prefix || policy == PowerCutPolicy::suffix;
  return units == 0 ? 0 : random.below(divides ? units + 1 : units);
}

}  // namespace

PolicyCut::PolicyCut(PowerCutPolicy policy, std::uint64_t units, Random& random) noexcept
    : policy_(policy), random_(random), chosen_(choose(policy, units, random)), keep_of_eight_(1 + random.below(7)) {}

SimDiskState::Fate PolicyCut::fate(const PendingOp&, std::uint64_t) noexcept {
  const std::uint64_t unit = unit_++;
  switch (policy_) {
    case PowerCutPolicy::none:
      return Fate::drop;
    case PowerCutPolicy::all:
      return Fate::keep;
    case PowerCutPolicy::random:
      return keep_if(random_.below(8) < keep_of_eight_);
    case PowerCutPolicy::all_but_one:
      return keep_if(unit != chosen_);
    case PowerCutPolicy::only_one:
      return keep_if(unit == chosen_);
    case PowerCutPolicy::prefix:
      return keep_if(unit < chosen_);
    case PowerCutPolicy::suffix:
      return keep_if(unit >= chosen_);
    case PowerCutPolicy::random_torn: {
      if (random_.below(8) < keep_of_eight_) return Fate::keep;
      const std::uint64_t other = random_.below(4);
      return other < 2 ? Fate::tear : (other == 2 ? Fate::garble : Fate::drop);
    }
  }
  CAMBIUM_UNREACHABLE();
}

SimDiskState::Fate MaskCut::fate(const PendingOp&, std::uint64_t) noexcept {
  const bool torn = (torn_ & 1) != 0;
  const bool kept = (kept_ & 1) != 0;
  torn_ >>= 1;
  kept_ >>= 1;
  return torn ? Fate::tear : keep_if(kept);
}

SimDiskState::Fate RegionCut::fate(const PendingOp& op, std::uint64_t unit_offset) noexcept {
  if (op.kind == IoKind::resize) return Fate::keep;
  const bool inside = unit_offset >= offset_ && unit_offset - offset_ < bytes_;
  return keep_if(inside == keep_inside_);
}

}  // namespace rt
}  // namespace cambium
