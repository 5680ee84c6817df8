// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads and writes the superblock: two slots of two copies in the first four pages of the file.
//
// Errors     unsupported: not a Cambium file, newer format, unknown features; corruption: it is one, but no slot is
//            whole. Never reformats, never repairs.
// Suspends   every function.
#pragma once

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "format/superblock.h"

namespace cambium {

struct LoadedSuperblock {
  format::Superblock record;
  unsigned slot = 0;     // where the newest generation is
  Generation other{};    // generation of the other slot; 0 when it is damaged or was never written
  bool damaged = false;  // some copy failed its checksum: reported, and mended by the next commit
};

// Whether any of the four pages is a whole superblock, of whatever version.
bool holds_superblock(const char* pages) noexcept;

// `page_buffer`: kPageBytes * 4, aligned for the device.
Task<Result<LoadedSuperblock>> load_superblock(BlockDevice& device, char* page_buffer);

// Is this, read from page `page` (0-3), a whole copy of a superblock?
bool intact_superblock(const format::Superblock& record, unsigned page) noexcept;

// Can this build read such a file, as far as its features go? Errors: unsupported, which says what is missing.
Status knows_features(const BlockDevice& device, const format::Superblock& record);

// Seals and writes both copies of a slot. The caller syncs.
Task<Status> write_superblock(BlockDevice& device, const format::Superblock& record, unsigned slot, char* page_buffer);

}  // namespace cambium
