// SPDX-License-Identifier: MIT OR Apache-2.0
// Makes a run of pages fit to be a segment of the log: written with zeros, so that later writes change no metadata.
//
// Measured: a durable write to zeroed space is 1.4 to 2.4 times as fast as to allocated or sparse space.
//
// Units      pages of 4 KiB; slots of the write group, 256 KiB as a rule.
// Errors     those of the device.
// Suspends   zero_segment().
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <cambium/limits.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "space/write_group.h"

namespace cambium {

// The caller syncs before the log gets the segment. Requires: nobody else uses the write group meanwhile.
inline Task<Status> zero_segment(WriteGroup& writes, std::size_t slot_bytes, std::uint32_t first_page,
                                 std::uint32_t pages) {
  const std::uint64_t end = (std::uint64_t{first_page} + pages) * kPageBytes;
  for (std::uint64_t at = first_page * std::uint64_t{kPageBytes}; at != end;) {
    const std::size_t slot = co_await writes.acquire();
    const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(slot_bytes, end - at));
    std::memset(writes.data(slot), 0, bytes);
    writes.write(slot, at, bytes);
    at += bytes;
  }
  Status written = co_await writes.drain();
  co_return written;
}

}  // namespace cambium
