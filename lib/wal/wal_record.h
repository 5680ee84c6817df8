// SPDX-License-Identifier: MIT OR Apache-2.0
// WalEntry and WalRecord: a batch of writes as the log's writer takes it and its replay hands it out; its parser.
//
// Errors     parsing answers what is wrong with the bytes, or null. Every length is bounded before it is used.
// Lifetime   entries are views: into the caller's memory on the way in, into the replay's buffers on the way out.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <cambium/ids.h>
#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

#include "format/wal_group.h"

namespace cambium {

using format::WalEntryKind;

struct WalEntry {
  TableId table{};
  WalEntryKind kind = WalEntryKind::put;
  Bytes key;
  Bytes value;  // empty for del
};

// One atomic batch. Entry i has sequence first_sequence + i.
struct WalRecord {
  Sequence first_sequence{};
  std::span<const WalEntry> entries;

  Sequence last_sequence() const noexcept { return Sequence{raw(first_sequence) + entries.size() - 1}; }
};

constexpr std::uint64_t wal_entry_bytes(std::size_t key_bytes, std::size_t value_bytes) noexcept {
  return sizeof(format::WalEntryHeader) + key_bytes + value_bytes;
}
constexpr std::uint64_t wal_body_bytes(std::span<const WalEntry> entries) noexcept {
  std::uint64_t bytes = 0;
  for (const WalEntry& entry : entries) bytes += wal_entry_bytes(entry.key.size(), entry.value.size());
  return bytes;
}
inline constexpr std::uint64_t kWalBodyBytesMax = ~std::uint32_t{0};  // of one record; beyond: split the batch

// What can be said of a record by its header alone.
const char* check_record_header(const format::WalRecordHeader& header) noexcept;

// Fills `entries` from a body of header.body_bytes. Requires: the header is checked.
const char* parse_record(const format::WalRecordHeader& header, const char* body, std::vector<WalEntry>& entries);

}  // namespace cambium
