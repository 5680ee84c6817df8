// SPDX-License-Identifier: MIT OR Apache-2.0
// LogMap: which segment of a log holds which ordinal, as their headers say.
//
// Errors     corruption: a layout that no log has, a segment claimed twice, a start that lies in no segment.
// Suspends   read_log_map().
#pragma once

#include <cstdint>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "wal/wal_layout.h"

namespace cambium {

struct LogSegment {
  std::uint32_t first_page = 0;
  bool marked = false;  // its header is whole, and of this log
  bool ours = false;    // the header names this log, whole or not
  std::uint64_t ordinal = 0;
};

struct LogMap {
  std::vector<LogSegment> segments;  // in the order of the layout
  // First pages of the ordinals from that of the start position on, as far as there is one for each.
  std::vector<std::uint32_t> chain;
};

inline constexpr std::size_t kLogMapMemoryBytes = format::kWalSegmentsMax * format::kWalBlockBytes;

// Bounds everything that the layout says before it is used.
Status check_layout(const BlockDevice& device, const WalLayout& layout);

// Reads all headers at once. Requires: the layout is checked. `memory`: kLogMapMemoryBytes, aligned for the device.
Task<Result<LogMap>> read_log_map(BlockDevice& device, const WalLayout& layout, char* memory,
                                  std::int32_t buffer_index);

}  // namespace cambium
