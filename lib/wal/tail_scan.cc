// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/tail_scan.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/text.h"
#include "wal/log_window.h"

namespace cambium {
namespace {

using format::kWalBlockBytes;
using format::WalGroupHeader;

// The extents to look at. Their positions are those of offsets in a segment: what a group says of itself decides.
std::vector<LogExtent> extents_beyond(const WalLayout& layout, const LogMap& map, std::uint64_t end, std::size_t live) {
  std::vector<LogExtent> extents;
  const std::uint64_t segment_bytes = layout.segment_bytes();
  const std::uint64_t end_offset = layout.offset_of(end);
  if (live != 0 && end_offset != 0) {
    const std::uint64_t offset = wal_file_offset(map.chain[live - 1]) + end_offset;
    extents.push_back({end_offset, offset, segment_bytes - end_offset});
  }
  for (const LogSegment& segment : map.segments) {
    const auto live_end = map.chain.begin() + static_cast<std::ptrdiff_t>(live);
    if (std::find(map.chain.begin(), live_end, segment.first_page) != live_end) continue;
    extents.push_back(
        {kWalBlockBytes, wal_file_offset(segment.first_page) + kWalBlockBytes, segment_bytes - kWalBlockBytes});
  }
  return extents;
}

Error proven(const BlockDevice& device, const WalLayout& layout, const LogMap& map, std::uint64_t end, std::size_t live,
             const WalGroupHeader& later, std::uint64_t later_offset) {
  const bool known = live != 0 && layout.offset_of(end) != 0;
  const std::uint64_t page = known ? map.chain[live - 1] + layout.offset_of(end) / kPageBytes : 0;
  return Error(Errc::corruption,
               rt::str("the log of ", device.name(), " is damaged at position ", end,
                       known ? rt::str(", page ", page)
                             : rt::str(", in segment ", layout.ordinal_of(end), ", whose header is missing"),
                       ": the group at position ", later.position, ", page ", later_offset / kPageBytes,
                       ", says that everything before position ", later.synced_position, " was synced"),
               "restore the file from a backup; it was not changed");
}

bool ends_beyond(const LogWindow& window, const WalGroupHeader& header) noexcept {
  return window.available() < format::kWalGroupHeaderBytes + std::size_t{header.payload_bytes};
}

}  // namespace

Task<Result<std::vector<std::uint64_t>>> scan_tail(BlockDevice& device, const WalLayout& layout, const LogMap& map,
                                                   std::uint64_t end, std::size_t live, LogMemory memory) {
  std::vector<std::uint64_t> stale;
  const std::uint64_t live_ordinals_end = layout.ordinal_of(layout.start_position) + live;
  for (const LogSegment& segment : map.segments) {
    // Headers of ordinals that the log has not reached, and those that only look like one of ours.
    const bool beyond = segment.ours && (!segment.marked || segment.ordinal >= live_ordinals_end);
    if (beyond) stale.push_back(wal_file_offset(segment.first_page));
  }
  LogWindow window(device, memory.data, memory.buffer_index, extents_beyond(layout, map, end, live));
  Status status;
  for (;;) {
    if (window.available() == 0) {
      Result<bool> more = co_await window.more();
      if (!more) status = more.error();
      if (!more || !*more) break;
      co_await device.core().yield();
    }
    const auto* header = reinterpret_cast<const WalGroupHeader*>(window.data());
    const bool ours = header->position >= end && header->position <= format::kWalPositionMax &&
                      layout.offset_of(header->position) == window.position() % layout.segment_bytes() &&
                      header->log_id == layout.log_id;
    if (ours) {
      stale.push_back(window.offset());
      if (plausible(*header, layout.log_id, header->position, window.extent_left())) {
        while (ends_beyond(window, *header)) {
          Result<bool> more = co_await window.more();
          if (!more) status = more.error();
          if (!more) break;
          CAMBIUM_ASSERT(*more);  // the group ends inside its extent
          header = reinterpret_cast<const WalGroupHeader*>(window.data());
        }
        if (!status) break;
        if (format::intact_group(window.data()) && header->synced_position > end) {
          status = proven(device, layout, map, end, live, *header, window.offset());
          break;
        }
      }
    }
    window.consume(kWalBlockBytes);
  }
  co_await window.stop();
  if (!status) co_return status.error();
  co_return stale;
}

}  // namespace cambium
