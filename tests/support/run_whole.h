// SPDX-License-Identifier: MIT OR Apache-2.0
// run_whole(): one workload on a simulated disk, from the first turn to the last: how the files that tests and fuzzers
// damage are made. Nothing about it is random, so that the file is the same every time.
//
// Errors     asserted: what is to be damaged has to be whole.
#pragma once

#include <memory>

#include <cambium/rt/core.h>
#include <cambium/rt/sim.h>
#include <cambium/rt/task.h>

#include "base/assert.h"

namespace cambium::test {

inline void run_whole(SimDisk& disk, Task<Status> (*workload)(Core&)) {
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  const Status done = core->run(workload(*core));
  CAMBIUM_ASSERT_MSG(done, "the undamaged file cannot be made");
  core->drain();
}

}  // namespace cambium::test
