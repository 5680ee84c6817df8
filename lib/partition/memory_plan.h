// SPDX-License-Identifier: MIT OR Apache-2.0
// How memory_bytes is divided: one number is the budget for everything a partition allocates in bulk. Pure.
//
//   write buffers   3 x an eighth, and an eighth of that again for sorting and merging a buffer
//   staging         up to 8 x 256 KiB for pages on their way to the device
//   compaction      2 to 6 more of them: merges of level stores, from 16 MiB on of two tables side by side
//   streams         up to 64 x 128 KiB, a sixteenth: long scans, and compaction of a dozen runs at once
//   key index       a thirty-second (tree/key_index.h)
//   row index       a forty-eighth, of the rows that lie in idle write buffers (cache/row_cache.h)
//   log             with one: 3 or 4 buffers for its groups, up to 256 KiB each
//   cache           the rest, less 1/32 of it for the cache's own tables
#pragma once

#include <algorithm>
#include <cstdint>

#include <cambium/limits.h>
#include <cambium/options.h>
#include <cambium/rt/result.h>

namespace cambium {

struct MemoryPlan {
  std::uint64_t buffer_bytes;   // one write buffer
  std::uint64_t staging_bytes;  // one staging buffer
  std::uint64_t staging_buffers;
  std::uint64_t compaction_buffers[2];  // of staging_bytes each, for each merge that may go on; 0: one less
  std::uint64_t compaction_bytes() const noexcept {
    return staging_bytes * (compaction_buffers[0] + compaction_buffers[1]);
  }
  std::uint64_t sstable_pages_max() const noexcept {  // half a write buffer, up to 16 MiB
    return std::clamp<std::uint64_t>(buffer_bytes / 2 / kPageBytes, 8, 4096);
  }
  std::uint64_t stream_piece_bytes;
  std::uint64_t stream_pieces;    // 0: long scans go through the cache
  std::uint64_t space_pages;      // staging of space map pages
  std::uint64_t wal_group_bytes;  // one staging buffer of the log
  std::uint64_t wal_groups;       // 0 = no log
  std::uint64_t wal_segment_bytes;
  std::uint64_t wal_segments_max;
  std::uint64_t wal_bytes() const noexcept { return wal_segment_bytes * wal_segments_max; }
  std::uint64_t key_index_bytes;
  std::uint64_t row_index_bytes;
  std::uint64_t cache_frames;

  // What the registered arena holds.
  std::uint64_t arena_bytes() const noexcept;

  // Errors: invalid_argument when the parts do not fit memory_bytes.
  static Result<MemoryPlan> of(const Options& options);
};

}  // namespace cambium
