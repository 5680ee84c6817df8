// SPDX-License-Identifier: MIT OR Apache-2.0
// The look beyond the end of a log: is it a torn tail, or is something lost that had been synced?
//
// Every block that may hold a group of a higher position is looked at: the rest of the last segment, and every
// segment that is not part of the log as read, whatever its header says, for a header can be lost while the groups
// behind it are not. log_survey.cc takes its proofs from the same blocks: check must not praise what a replay refuses.
//
// Errors     corruption, when a whole group says that the end had been synced.
// Suspends   scan_tail().
#pragma once

#include <cstdint>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "wal/log_map.h"
#include "wal/wal_layout.h"

namespace cambium {

struct LogMemory {
  char* data = nullptr;
  std::int32_t buffer_index = -1;
};

// `end`: where no valid group stands, canonical. `live`: how many segments of map.chain hold groups before it.
// Answers the file offsets of the blocks to erase: everything that looks like a group beyond the end, damaged ones
// included (a later write could complete one that lost a part), and the headers of segments beyond it.
Task<Result<std::vector<std::uint64_t>>> scan_tail(BlockDevice& device, const WalLayout& layout, const LogMap& map,
                                                   std::uint64_t end, std::size_t live, LogMemory memory);

}  // namespace cambium
