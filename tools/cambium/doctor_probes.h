// SPDX-License-Identifier: MIT OR Apache-2.0
// What doctor looks at: each probe asks the system one question and names the remedy where the answer is bad.
//
// Invariants
//   1. A probe never throws, never ends the process, and leaves no file behind.
//   2. `warn` costs speed or safety margins; `fail` means that partitions will not work here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cambium::cli {

enum class Level : std::uint8_t { ok, warn, fail };

struct Finding {
  std::string name;
  Level level = Level::ok;
  std::string text;
  std::string fix = {};  // empty when level is ok
};

// system: doctor_system.cc
Finding probe_kernel();
Finding probe_io_uring();
Finding probe_ring_features();
Finding probe_memlock();
Finding probe_cgroup_memory();
Finding probe_huge_pages();
Finding probe_governor();

// storage: doctor_storage.cc. All of what can be said of a directory, in order.
std::vector<Finding> probe_storage(const std::string& directory);

// The first line of a small file of /proc or /sys; empty when there is none.
std::string first_line_of(const std::string& path);

}  // namespace cambium::cli
