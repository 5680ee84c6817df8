// SPDX-License-Identifier: MIT OR Apache-2.0
// Making the file of a partition, so that one whose making was interrupted is told from everything else.
//
// A write can be torn, a change of length cannot: while a partition is being made, its file has a length that no
// finished one has, and that length is the mark. It is durable, over zeros, before anything is written, and changes to
// the proper one when both superblocks are.
//
//   begin_creation   zeros of kUnfinishedBytes, synced          crash: an empty file, or zeros
//   (the caller)     space map and superblocks, each synced     crash: the mark, and parts of the first pages
//   end_creation     kFirstFilePages pages                      crash: a partition, if need be with a tail to cut
//
// Invariants
//   1. Nothing that a user stored is ever in a file with the mark: the sync of the first commit covers the cut before
//      the superblock that refers to it is written.
//
// Suspends   every function.
#pragma once

#include <cstdint>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "format/space_page.h"

namespace cambium {

inline constexpr std::uint64_t kFirstFilePages = 64;
// No multiple of any sector. The odd bytes at its end are the only ones that creation_interrupted() cannot look at.
inline constexpr std::uint64_t kUnfinishedBytes = kFirstFilePages * kPageBytes + 13;

// Whatever was in the file is gone. Requires: it is new, or creation_interrupted().
Task<Status> begin_creation(BlockDevice& device);
// Requires: both superblocks are durable. Also where a file with a whole superblock still has the mark.
Task<Status> end_creation(BlockDevice& device);

// Whether the file holds nothing but what an interrupted creation left: no bytes; or zeros, in whole pages, no more
// than a new partition has; or the mark, no whole superblock, and zeros outside the pages that creation writes.
// Changes nothing. `page_buffer`: kSuperblockPages pages, aligned for the device.
Task<Result<bool>> creation_interrupted(BlockDevice& device, char* page_buffer);

}  // namespace cambium
