// SPDX-License-Identifier: MIT OR Apache-2.0
// The groups of workloads of bench_levels. Each loads its own data, freshly in every repetition, and closes both stores
// when it is done.
#pragma once

#include "harness/runner.h"
#include "lsm/lsm_options.h"
#include "lsm/subject.h"

namespace cambium::bench {

// What every group works with.
struct Bench {
  const LsmOptions& options;
  Report& report;
  const ScratchDir& scratch;
  ConcurrentStore& ours;
  ConcurrentStore& theirs;
};

void run_big_data(const Bench& bench);    // load, gets, gets during compaction, scans: on the same data
void run_overwrites(const Bench& bench);  // steady uniform overwrites
void run_ycsb(const Bench& bench);

}  // namespace cambium::bench
