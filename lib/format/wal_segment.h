// SPDX-License-Identifier: MIT OR Apache-2.0
// Segments of the write-ahead log: runs of contiguous pages, filled with zeros and synced before the log gets them.
//
// A position in the log is a byte offset that only grows: position = ordinal * segment bytes + offset. The ordinal
// numbers segments over the life of the log; the pages behind one serve later ordinals again, without being zeroed:
// log id, ordinal and position tell what is written now from what was written then.
//
//   segment   | header, 4 KiB | group | group | ... |      groups fill a segment to its end
//
// The header goes out with the first group of its segment, in one write.
//
//   offset size field
//   0      4    checksum       CRC-32C of bytes 4 .. 63
//   4      4    segment_pages
//   8      8    magic          "CAMBWAL\x01"
//   16     8    log_id         random; changes whenever a log is begun anew
//   24     8    ordinal
//   32     8    previous_end   the position at which the log left the segment before: today always that one's end
//   40     24   reserved       zero
//   64     4032 unused         zero
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/limits.h>

#include "base/crc32c.h"

namespace cambium::format {

inline constexpr std::uint64_t kWalMagic = 0x014C4157424D4143;  // "CAMBWAL\x01" read as a little-endian u64
inline constexpr std::uint32_t kWalBlockBytes = 4096;           // the unit of everything the log writes
inline constexpr std::size_t kWalSegmentsMax = 96;
inline constexpr std::uint32_t kWalSegmentPagesMin = 2;         // a header and a group
inline constexpr std::uint32_t kWalSegmentPagesMax = 1u << 14;  // 64 MiB
inline constexpr std::uint64_t kWalPositionMax = 1ull << 62;    // of a hostile file; no log gets there
static_assert(kWalBlockBytes == kPageBytes);

struct WalSegmentHeader {
  std::uint32_t checksum;
  std::uint32_t segment_pages;
  std::uint64_t magic;
  std::uint64_t log_id;
  std::uint64_t ordinal;
  std::uint64_t previous_end;
  std::uint64_t reserved[3];
};
static_assert(sizeof(WalSegmentHeader) == 64 && std::has_unique_object_representations_v<WalSegmentHeader>);
static_assert(offsetof(WalSegmentHeader, magic) == 8 && offsetof(WalSegmentHeader, log_id) == 16);
static_assert(offsetof(WalSegmentHeader, ordinal) == 24 && offsetof(WalSegmentHeader, previous_end) == 32);

inline std::uint32_t wal_checksum(const WalSegmentHeader& header) noexcept {
  return rt::crc32c(reinterpret_cast<const char*>(&header) + sizeof header.checksum,
                    sizeof header - sizeof header.checksum);
}

// Whether a header is a whole one of this log; which ordinal it has is for the caller to believe or not.
inline bool intact(const WalSegmentHeader& header, std::uint64_t log_id, std::uint32_t segment_pages) noexcept {
  return header.magic == kWalMagic && header.log_id == log_id && header.segment_pages == segment_pages &&
         header.ordinal <= kWalPositionMax / (std::uint64_t{segment_pages} * kWalBlockBytes) &&
         header.previous_end == header.ordinal * segment_pages * kWalBlockBytes &&
         header.checksum == wal_checksum(header);
}

}  // namespace cambium::format
