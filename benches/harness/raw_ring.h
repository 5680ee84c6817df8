// SPDX-License-Identifier: MIT OR Apache-2.0
// A bare io_uring loop of random 4 KiB reads: what a read costs when no engine is around it.
//
// Registered file and buffers, SINGLE_ISSUER and DEFER_TASKRUN, one thread, a fixed depth; it looks for
// completions for `spin_us` and then blocks, as the engine's own loop does. Written against liburing and
// not against the engine's runtime, so that a fault of the latter cannot hide in both figures.
//
// Units      depth in reads in flight; spin_us microseconds, 0 blocks at once.
// Errors     a short read or a refused ring ends the program.
#pragma once

#include <cstdint>
#include <string>

#include "harness/measure.h"

namespace cambium::bench {

struct RawRingRead {
  std::string path;
  unsigned depth = 32;
  double seconds = 3;
  unsigned spin_us = 50;
  std::uint64_t seed = 0;
};
Sample raw_ring_read(const RawRingRead& run);  // extras: p50_us, p99_us, enters_per_read

}  // namespace cambium::bench
