// SPDX-License-Identifier: MIT OR Apache-2.0
//
// One write in a write buffer: a fixed header, then the key's bytes, then the value's.
//
//   offset size field
//        0    8 sequence
//        8    8 older        the version of the same key before this one, or null
//       16    4 table
//       20    4 value_bytes
//       24    2 key_bytes
//       26    1 kind
//       27    1 flags
//       28      key, then value (or, for a value held aside, the 8-byte address of it)
//
// A layout in memory only; nothing of it reaches the disk.
//
// Invariants
//   1. An entry never moves or changes while its buffer is referenced.
//   2. Of two entries of one buffer the later one has the higher address: "newer" is one comparison.
// Lifetime   as the buffer's contents: hold a BufferPin.
#pragma once

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/endian.h"

namespace cambium {

enum class WriteKind : std::uint8_t {
  put = 1,
  del = 2,  // a tombstone: the key is absent, whatever the table below says
};

struct BufferEntry {
  static constexpr std::size_t kHeaderBytes = 28;
  static constexpr std::uint8_t kValueAside = 1;    // flags; the others are reserved (expiry) and 0
  static constexpr std::uint8_t kAskedDurable = 2;  // whoever wrote it waits for its durability: so do readers
  static constexpr std::uint8_t kBatchGoesOn = 4;   // the next entry is of the same batch

  Sequence sequence;
  const BufferEntry* older;
  TableId table;
  std::uint32_t value_bytes;
  std::uint16_t key_bytes;
  WriteKind kind;
  std::uint8_t flags;
  char key_start[4];  // the key begins in what would be padding: 4 bytes less for every entry

  [[nodiscard]] Bytes key() const noexcept { return {payload(), key_bytes}; }

  [[nodiscard]] Bytes value() const noexcept {
    const char* const tail = payload() + key_bytes;
    if ((flags & kValueAside) == 0) return {tail, value_bytes};
    const char* aside = nullptr;
    std::memcpy(&aside, static_cast<const void*>(tail), sizeof aside);
    return {aside, value_bytes};
  }

  /// What the entry takes in the arena: entries lie back to back, so this leads to the next one.
  [[nodiscard]] std::size_t arena_bytes() const noexcept {
    const bool aside = (flags & kValueAside) != 0;
    return arena_bytes_for(key_bytes, aside ? sizeof(char*) : value_bytes);
  }

  /// Requires: this is not the last entry of its buffer.
  [[nodiscard]] const BufferEntry* next_in_arena() const noexcept {
    return reinterpret_cast<const BufferEntry*>(reinterpret_cast<const char*>(this) + arena_bytes());
  }

  [[nodiscard]] static constexpr std::size_t arena_bytes_for(std::size_t key_bytes, std::size_t tail_bytes) noexcept {
    const std::size_t bytes = (kHeaderBytes + key_bytes + tail_bytes + 7) & ~std::size_t{7};
    return bytes < sizeof(BufferEntry) ? sizeof(BufferEntry) : bytes;
  }

 private:
  // Through the address of the whole entry, not of the 4-byte array: the payload goes on behind it.
  [[nodiscard]] const char* payload() const noexcept { return reinterpret_cast<const char*>(this) + kHeaderBytes; }
};
static_assert(sizeof(BufferEntry) == 32 && alignof(BufferEntry) == 8);
static_assert(offsetof(BufferEntry, table) == 16 && offsetof(BufferEntry, key_bytes) == 24);
static_assert(offsetof(BufferEntry, key_start) == BufferEntry::kHeaderBytes);

/// The 8 bytes of `key` from `depth` on as an integer that orders like them; missing bytes count as 0, so
/// equal heads do not mean equal keys. Requires: depth <= key.size().
inline std::uint64_t key_head(Bytes key, std::size_t depth) noexcept {
  const std::size_t left = key.size() - depth;
  if (left >= 8) return rt::load_be64(key.data() + depth);
  if (left == 0) return 0;
  if (key.size() >= 8) return rt::load_be64(key.data() + key.size() - 8) << (8 * (8 - left));
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < left; ++i) {
    head |= std::uint64_t{static_cast<unsigned char>(key.data()[depth + i])} << (8 * (7 - i));
  }
  return head;
}

}  // namespace cambium
