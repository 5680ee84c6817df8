// SPDX-License-Identifier: MIT OR Apache-2.0
// One compaction of a partition's file, in rounds; see compact.cc.
//
// Errors     io (poisons, as any commit); running out of free places ends it without an error.
// Suspends   everywhere; holds the commit lane for one round at a time.
#pragma once

#include <cstdint>

#include <cambium/ids.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

namespace cambium {

class PartitionState;

class Compactor {
 public:
  // `slack`: how much of the file may stay free, as a part of the pages in use.
  Compactor(PartitionState& partition, double slack) noexcept : partition_(partition), slack_(slack) {}
  Task<Status> run();

 private:
  static constexpr std::uint64_t kPagesPerRound = 8192;  // 32 MiB
  static constexpr std::uint64_t kSlackPages = 64;       // a file this small is not worth cutting
  static constexpr unsigned kRoundsMax = 1u << 16;
  // A level store moves sstable by sstable, and needs room below the limit for all of each: where there is none, a
  // limit this much of the way from the end of the file to the target is tried.
  static constexpr double kReachMin = 1.0 / 64;

  std::uint64_t spare_pages() const noexcept;
  bool excess() const noexcept;
  std::uint64_t target_pages() const noexcept;
  std::uint64_t limit_pages() const noexcept;
  Task<Status> round();
  Task<Status> move_pages(PageId limit);
  Task<Status> cut_tail();

  PartitionState& partition_;
  double slack_;
  double reach_ = 1;
  bool progress_ = false;
  bool moved_ = false;
};

}  // namespace cambium
