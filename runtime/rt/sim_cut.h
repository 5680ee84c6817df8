// SPDX-License-Identifier: MIT OR Apache-2.0
// The power-cut policies: which of a simulated disk's pending units are kept, dropped, torn or garbled.
//
// A new policy is one enumerator of PowerCutPolicy and one case here.
//
// Units      a unit is a pending sector, size change or punch, numbered in order of completion.
#pragma once

#include <cstdint>

#include <cambium/rt/sim.h>

#include "base/random.h"
#include "rt/sim_disk.h"

namespace cambium::rt {

class PolicyCut final : public SimDiskState::Cut {
 public:
  PolicyCut(PowerCutPolicy policy, std::uint64_t units, Random& random) noexcept;
  SimDiskState::Fate fate(const PendingOp& op, std::uint64_t unit_offset) noexcept override;

 private:
  PowerCutPolicy policy_;
  Random& random_;
  std::uint64_t unit_ = 0;
  std::uint64_t chosen_;         // the one unit, or the point that divides a prefix from a suffix
  std::uint64_t keep_of_eight_;  // random policies: some images keep little, some nearly everything
};

class MaskCut final : public SimDiskState::Cut {
 public:
  MaskCut(std::uint64_t kept, std::uint64_t torn) noexcept : kept_(kept), torn_(torn) {}
  SimDiskState::Fate fate(const PendingOp& op, std::uint64_t unit_offset) noexcept override;

 private:
  std::uint64_t kept_;
  std::uint64_t torn_;
};

class RegionCut final : public SimDiskState::Cut {
 public:
  RegionCut(std::uint64_t offset, std::uint64_t bytes, bool keep_inside) noexcept
      : offset_(offset), bytes_(bytes), keep_inside_(keep_inside) {}
  SimDiskState::Fate fate(const PendingOp& op, std::uint64_t unit_offset) noexcept override;

 private:
  std::uint64_t offset_;
  std::uint64_t bytes_;
  bool keep_inside_;
};

}  // namespace cambium::rt
