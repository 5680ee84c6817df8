// SPDX-License-Identifier: MIT OR Apache-2.0
// What fio reaches on the same file or folder, in the same minute: the device's figure beside ours.
//
// fio runs as its users run it for this purpose: io_uring, direct I/O, registered buffers and files, one
// job, and offsets drawn from a fresh seed (replayed offsets are served from a faster tier on some disks).
//
// Units      seconds; CPU is that of fio's job, user and system.
// Errors     fio missing or failing ends the program: a ceiling is measured or not printed.
#pragma once

#include <cstdint>
#include <string>

#include "harness/measure.h"

namespace cambium::bench {

struct FioRandomRead {
  std::string path;
  unsigned depth = 32;
  unsigned seconds = 3;
  std::uint64_t seed = 0;
  int core = -1;  // the core that our own thread is pinned to, or -1
};
Sample fio_random_read(const FioRandomRead& run);  // operations: 4 KiB reads; extras p50_us, p99_us

struct FioSequentialWrite {
  std::string dir;  // a scratch file is made there and removed
  unsigned block_bytes = 256 * 1024;
  unsigned depth = 4;
  unsigned seconds = 3;
  int core = -1;
};
Sample fio_sequential_write(const FioSequentialWrite& run);  // operations: blocks; extra mb_per_s

std::string fio_version();

}  // namespace cambium::bench
