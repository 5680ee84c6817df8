// SPDX-License-Identifier: MIT OR Apache-2.0
// A bare io_uring loop of durable writes: what the durability of a group of records costs when no engine is around it.
//
// One file, filled with zeros and synced beforehand, written from its begin to its end and again from the begin; each
// write is RWF_DSYNC, and the next one leaves when it has completed. The ring is set up, and waited for, as in
// raw_ring.h: it looks for completions for `spin_us`, yielding, and then blocks, as the engine's own loop does.
//
// Units      bytes_per_write: multiples of 4 KiB; the operations counted are records, `records_per_write` in each
// write. Errors     a short write or a refused ring ends the program.
#pragma once

#include <cstdint>
#include <string>

#include "harness/measure.h"

namespace cambium::bench {

struct RawSync {
  std::string dir;  // a scratch file is made there and removed
  unsigned bytes_per_write = 4096;
  unsigned records_per_write = 1;
  double seconds = 1;
  unsigned spin_us = 50;
};
Sample raw_sync_write(const RawSync& run);  // extras: p50_us, p99_us of a write

}  // namespace cambium::bench
