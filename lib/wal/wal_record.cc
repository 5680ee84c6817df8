// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/wal_record.h"

#include <cstring>

namespace cambium {

const char* check_record_header(const format::WalRecordHeader& header) noexcept {
  if (header.entry_count == 0) return "a record without entries";
  if (header.body_bytes / wal_entry_bytes(kKeyBytesMin, 0) < header.entry_count) return "more entries than bytes";
  if (header.first_sequence == 0 || header.first_sequence > raw(kLastSequence) - header.entry_count)
    return "a sequence beyond all";
  return nullptr;
}

const char* parse_record(const format::WalRecordHeader& header, const char* body, std::vector<WalEntry>& entries) {
  entries.clear();
  std::uint32_t left = header.body_bytes;
  for (std::uint32_t i = 0; i < header.entry_count; ++i) {
    format::WalEntryHeader entry;
    if (left < sizeof entry) return "an entry beyond its record";
    std::memcpy(&entry, body, sizeof entry);
    body += sizeof entry;
    left -= static_cast<std::uint32_t>(sizeof entry);
    const bool known =
        entry.kind == WalEntryKind::put || entry.kind == WalEntryKind::del || entry.kind == WalEntryKind::merge;
    if (!known || entry.flags != 0) return "an entry of unknown kind";
    if (entry.key_bytes < kKeyBytesMin || entry.key_bytes > kKeyBytesMax) return "a key of impossible length";
    if (entry.value_bytes > kValueBytesMax) return "a value of impossible length";
    if (entry.kind == WalEntryKind::del && entry.value_bytes != 0) return "a delete with a value";
    if (left < entry.key_bytes || left - entry.key_bytes < entry.value_bytes) return "an entry beyond its record";
    entries.push_back({TableId{entry.table_id}, entry.kind, Bytes(body, entry.key_bytes),
                       Bytes(body + entry.key_bytes, entry.value_bytes)});
    body += entry.key_bytes + entry.value_bytes;
    left -= entry.key_bytes + entry.value_bytes;
  }
  return left == 0 ? nullptr : "bytes after the last entry of a record";
}

}  // namespace cambium
