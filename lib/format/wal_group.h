// SPDX-License-Identifier: MIT OR Apache-2.0
// Groups of the write-ahead log: what one write writes, padded with zeros to 4 KiB, never across a segment's end.
//
//   offset size field
//   0      4    checksum         CRC-32C of bytes 4 .. 63 and of the payload
//   4      4    payload_bytes    0 is legal: such a group only says what is synced
//   8      8    log_id
//   16     8    position         of this header: tells a group from those that lay here before
//   24     8    synced_position  everything before it was durable when this group was written
//   32     8    first_sequence   of the records that end in this group; 0 when none does
//   40     8    last_sequence    likewise
//   48     4    first_record     where in the payload the first record begins that begins here; payload_bytes if none
//   52     4    flags
//   56     8    reserved         zero
//   64          payload, then zeros
//
// The payloads of consecutive groups are one stream of records; a record may span groups and segments. A record is one
// batch of writes: all or nothing.
//
//   record    u32 body_bytes | u32 entry_count | u64 first_sequence | entries ...     body_bytes: of the entries
//   entry     u8 kind | u8 flags | u16 key_bytes | u32 value_bytes | u32 table_id | key | value
//
// Entry i of a record has sequence first_sequence + i. Example: put "k" = "v" into table 1 with sequence 5:
//   0e000000 01000000 0500000000000000   01 00 0100 01000000 01000000 6b 76
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/crc32c.h"
#include "format/wal_segment.h"

namespace cambium::format {

inline constexpr std::uint32_t kWalGroupBytesMax = 256u << 10;  // header and padding included

// flags: the first group after a recovery. A record left incomplete before it was cut off, and sequences may have
// moved on to where the tables were.
inline constexpr std::uint32_t kWalGroupResumed = 1;
inline constexpr std::uint32_t kWalGroupFlags = kWalGroupResumed;

struct WalGroupHeader {
  std::uint32_t checksum;
  std::uint32_t payload_bytes;
  std::uint64_t log_id;
  std::uint64_t position;
  std::uint64_t synced_position;
  std::uint64_t first_sequence;
  std::uint64_t last_sequence;
  std::uint32_t first_record;
  std::uint32_t flags;
  std::uint64_t reserved;
};
inline constexpr std::uint32_t kWalGroupHeaderBytes = sizeof(WalGroupHeader);
static_assert(sizeof(WalGroupHeader) == 64 && std::has_unique_object_representations_v<WalGroupHeader>);
static_assert(offsetof(WalGroupHeader, log_id) == 8 && offsetof(WalGroupHeader, position) == 16);
static_assert(offsetof(WalGroupHeader, synced_position) == 24 && offsetof(WalGroupHeader, first_sequence) == 32);
static_assert(offsetof(WalGroupHeader, first_record) == 48 && offsetof(WalGroupHeader, flags) == 52);

struct WalRecordHeader {
  std::uint32_t body_bytes;
  std::uint32_t entry_count;
  std::uint64_t first_sequence;
};
static_assert(sizeof(WalRecordHeader) == 16 && std::has_unique_object_representations_v<WalRecordHeader>);

enum class WalEntryKind : std::uint8_t {
  put = 1,
  del = 2,
  merge = 3,
};

struct WalEntryHeader {
  WalEntryKind kind;
  std::uint8_t flags;  // zero; room for an expiry time
  std::uint16_t key_bytes;
  std::uint32_t value_bytes;
  std::uint32_t table_id;
};
static_assert(sizeof(WalEntryHeader) == 12 && std::has_unique_object_representations_v<WalEntryHeader>);

// What a group with that much payload takes in the file.
constexpr std::uint32_t wal_group_bytes(std::uint32_t payload_bytes) noexcept {
  return (kWalGroupHeaderBytes + payload_bytes + kWalBlockBytes - 1) / kWalBlockBytes * kWalBlockBytes;
}

// Checksum of a group: header and payload lie one after the other.
inline std::uint32_t wal_group_checksum(const char* group) noexcept {
  const auto& header = *reinterpret_cast<const WalGroupHeader*>(group);
  return rt::crc32c(group + sizeof header.checksum,
                    std::size_t{kWalGroupHeaderBytes} - sizeof header.checksum + header.payload_bytes);
}

// Whether a header may be that of a group at `position`, with `room` bytes left in its segment. Bounds what the
// checksum, which is still to be compared, will read.
inline bool plausible(const WalGroupHeader& header, std::uint64_t log_id, std::uint64_t position,
                      std::uint64_t room) noexcept {
  return header.log_id == log_id && header.position == position &&
         header.payload_bytes <= kWalGroupBytesMax - kWalGroupHeaderBytes &&
         wal_group_bytes(header.payload_bytes) <= room;
}

// Requires: plausible(), and the whole group in memory.
inline bool intact_group(const char* group) noexcept {
  const auto& header = *reinterpret_cast<const WalGroupHeader*>(group);
  return header.synced_position <= header.position && header.first_record <= header.payload_bytes &&
         header.first_sequence <= header.last_sequence && (header.flags & ~kWalGroupFlags) == 0 &&
         header.checksum == wal_group_checksum(group);
}

}  // namespace cambium::format
