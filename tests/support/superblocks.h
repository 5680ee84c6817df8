// SPDX-License-Identifier: MIT OR Apache-2.0
// The newest superblock of a partition at rest.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <cambium/limits.h>
#include <cambium/rt/sim.h>

#include "format/superblock.h"

namespace cambium::test {

inline format::Superblock newest_superblock(const SimDisk& disk, std::string_view path) {
  format::Superblock newest{};
  for (std::uint64_t page = 0; page < format::kSuperblockPages; ++page) {
    const std::string bytes = disk.peek(path, page * kPageBytes, kPageBytes);
    format::Superblock copy;
    std::memcpy(static_cast<void*>(&copy), bytes.data(), sizeof copy);
    if (copy.page.generation >= newest.page.generation) newest = copy;
  }
  return newest;
}

inline std::uint64_t features_of(const SimDisk& disk, std::string_view path) {
  return newest_superblock(disk, path).features_needed;
}

}  // namespace cambium::test
