// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The write buffer: what was written and is not in a table yet. An append-only arena plus a hash index.
//
// The write path adds to the active buffer, the read path asks buffers before tables, the flusher drains
// frozen ones (nothing here knows which is which: frozen means nobody adds). One buffer serves all tables.
// The order scans and flushes need is built beside it: ordered_runs.h.
//
// Why a hash: measured at 1 M entries of 16+100 bytes, a hash put costs 37-48 ns and a get 66 ns; the best
// ordered structure (ART) 112-263 and 144-281 (LIMITS, "Write-buffer index").
//
// Invariants
//   1. Entries are appended, never moved, changed or removed; sequences never fall in append order.
//   2. The index leads to the newest version of each key; `older` leads on, newest to oldest.
//   3. Index and arena together never exceed capacity_bytes, with one exception: an empty buffer takes any
//      one entry, so a value larger than the buffer can be written at all. It is then full.
//   4. At most 7/8 of the index is used: a probe always ends, nearly always in its first cache line.
//   5. add() and find() allocate nothing, except the memory of a value too large for the arena.
//
// Units      bytes. Of the capacity 1/8 is index: entries of 16+100 bytes load it to 0.39; entries of less
//            than about 64 bytes fill the index before the arena.
// Errors     a constructor without memory leaves valid() false; reserve_value() says so for large values.
// Lifetime   referenced (snapshots, values handed out, cursors, the flusher) => not reset, not destroyed;
//            both are asserted. One thread.
#pragma once

#include <cambium/ids.h>
#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/assert.h"
#include "base/wide.h"
#include "buffer/buffer_entry.h"
#include "buffer/memory_block.h"

namespace cambium {

/// A key with the table it belongs to: the buffer's order is by table, then by key.
struct TableKey {
  TableId table;
  Bytes key;
};

class WriteBuffer {
 public:
  static constexpr std::size_t kCapacityBytesMin = std::size_t{16} << 10;
  static constexpr std::size_t kCapacityBytesMax = std::size_t{256} << 30;

  /// Called when the last reference is dropped, for an owner that waits to recycle the buffer.
  struct IdleHook {
    void (*call)(void* context, WriteBuffer& buffer) noexcept = nullptr;
    void* context = nullptr;
  };

  /// Maps the memory; pages are committed as they are touched. Requires: a capacity within the limits above.
  explicit WriteBuffer(std::size_t capacity_bytes);
  ~WriteBuffer();

  WriteBuffer(const WriteBuffer&) = delete;
  WriteBuffer& operator=(const WriteBuffer&) = delete;

  /// False when the system had no memory; then nothing else may be called.
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(memory_); }

  // --- room -------------------------------------------------------------------------------------------

  /// Whether add() may be called for an entry of this size.
  [[nodiscard]] bool fits(std::size_t key_bytes, std::size_t value_bytes) const noexcept {
    return fits_batch(1, cost_bytes(key_bytes, value_bytes));
  }
  /// Whether `entries` adds fit whose cost_bytes() add up to `cost`: a batch goes into one buffer.
  [[nodiscard]] bool fits_batch(std::size_t entries, std::size_t cost) const noexcept {
    if (entries > keys_max_ - keys_) return false;
    return cost <= room_bytes() || (empty() && entries == 1);
  }
  /// Whether an empty buffer holds the entry within its capacity. If not, it still takes it (invariant 3),
  /// but the budget is exceeded by it; whether to allow that is the caller's decision.
  [[nodiscard]] bool fits_empty(std::size_t key_bytes, std::size_t value_bytes) const noexcept {
    return cost_bytes(key_bytes, value_bytes) <= arena_bytes_;
  }
  /// What an entry takes of the room.
  [[nodiscard]] std::size_t cost_bytes(std::size_t key_bytes, std::size_t value_bytes) const noexcept {
    if (value_bytes <= inline_value_bytes_max_) return BufferEntry::arena_bytes_for(key_bytes, value_bytes);
    return BufferEntry::arena_bytes_for(key_bytes, sizeof(char*)) + MemoryBlock::footprint_bytes(value_bytes);
  }
  /// Obtains the memory of a large value before anything else is done with it (such as logging it).
  /// True at once for values that live in the arena. False: the system has no memory, nothing changed.
  [[nodiscard]] bool reserve_value(std::size_t value_bytes);

  // --- writing and reading ----------------------------------------------------------------------------

  [[nodiscard]] static std::uint64_t hash_of(TableId table, Bytes key) noexcept;

  /// Starts loading what add() and find() of this hash touch first: call it a few keys ahead.
  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(index_ + line_of(hash) * kLineSlots); }

  /// Appends a version; it becomes the newest of its key. The bytes are copied.
  /// Requires: fits(); 1 to 1,024 key bytes; at most 1 GiB of value, none for del; sequence >= last_sequence().
  const BufferEntry& add(TableId table, Bytes key, Bytes value, WriteKind kind, Sequence sequence,
                         std::uint8_t flags = 0) {
    return add(hash_of(table, key), table, key, value, kind, sequence, flags);
  }
  const BufferEntry& add(std::uint64_t hash, TableId table, Bytes key, Bytes value, WriteKind kind, Sequence sequence,
                         std::uint8_t flags = 0);
  /// What is added next belongs to the same batch as this entry, the newest: a flush never ends between the two.
  void goes_on(const BufferEntry& entry) noexcept {
    CAMBIUM_ASSERT(entry.sequence == last_sequence_);
    const_cast<BufferEntry&>(entry).flags |= BufferEntry::kBatchGoesOn;
  }

  /// The newest version with sequence <= limit; null if there is none. A tombstone is a version.
  /// Walks the newer versions of the key one by one when `limit` is below them.
  [[nodiscard]] const BufferEntry* find(TableId table, Bytes key, Sequence limit) const noexcept {
    if (!may_contain(table, key)) {
      ++range_skips_;
      return nullptr;
    }
    return find_hashed(hash_of(table, key), table, key, limit);
  }
  /// The same without the range filter, for callers that prefetched by hash.
  [[nodiscard]] const BufferEntry* find_hashed(std::uint64_t hash, TableId table, Bytes key,
                                               Sequence limit) const noexcept {
    const BufferEntry* entry = newest(hash, table, key);
    while (entry != nullptr && entry->sequence > limit) entry = entry->older;
    return entry;
  }

  /// False only if the key is outside [min_key(), max_key()]: no probe needed.
  [[nodiscard]] bool may_contain(TableId table, Bytes key) const noexcept {
    if (min_ == nullptr) return false;
    if (table == min_->table && table == max_->table) {
      const std::uint64_t head = key_head(key, 0);
      if (head > min_head_ && head < max_head_) return true;
      if (head < min_head_ || head > max_head_) return false;
    }
    return !before(table, key, *min_) && !after(table, key, *max_);
  }

  // --- contents ---------------------------------------------------------------------------------------

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }     // entries: versions count
  [[nodiscard]] std::size_t key_count() const noexcept { return keys_; }  // distinct keys
  [[nodiscard]] std::size_t capacity_bytes() const noexcept { return capacity_bytes_; }
  [[nodiscard]] std::size_t bytes_used() const noexcept { return arena_used_ + aside_bytes_; }
  [[nodiscard]] std::size_t room_bytes() const noexcept {
    return bytes_used() < arena_bytes_ ? arena_bytes_ - bytes_used() : 0;
  }
  [[nodiscard]] std::uint64_t range_skips() const noexcept { return range_skips_; }

  /// Requires: not empty.
  [[nodiscard]] TableKey min_key() const noexcept {
    CAMBIUM_ASSERT(min_ != nullptr);
    return {min_->table, min_->key()};
  }
  [[nodiscard]] TableKey max_key() const noexcept {
    CAMBIUM_ASSERT(max_ != nullptr);
    return {max_->table, max_->key()};
  }
  /// 0 while empty.
  [[nodiscard]] Sequence first_sequence() const noexcept { return first_sequence_; }
  [[nodiscard]] Sequence last_sequence() const noexcept { return last_sequence_; }

  /// The entries in append order: null at the end (a later add() continues from the last one).
  [[nodiscard]] const BufferEntry* first() const noexcept { return count_ == 0 ? nullptr : entry_at(arena_); }
  [[nodiscard]] const BufferEntry* after(const BufferEntry& entry) const noexcept {
    const BufferEntry* const next = entry.next_in_arena();
    return next == entry_at(arena_ + arena_used_) ? nullptr : next;
  }

  // --- life -------------------------------------------------------------------------------------------

  void retain() noexcept { ++references_; }
  void release() noexcept {
    CAMBIUM_ASSERT_MSG(references_ > 0, "released more often than retained");
    if (--references_ == 0 && idle_hook_.call != nullptr) idle_hook_.call(idle_hook_.context, *this);
  }
  [[nodiscard]] std::size_t references() const noexcept { return references_; }
  void set_idle_hook(IdleHook hook) noexcept { idle_hook_ = hook; }

  /// Memory that its owner may use for something else until reset(): nothing of the contents may be read then, only
  /// numbers of them. Requires: references() == 0.
  [[nodiscard]] std::span<char> lend() noexcept;

  /// Forgets everything and keeps the memory: refilling faults no page in. Takes microseconds at any size
  /// (the index is not cleared, see epoch_). Requires: references() == 0.
  void reset() noexcept;

 private:
  // A slot: epoch (8 bits), tag from the hash (20), position of the entry in 8-byte units (36).
  static constexpr unsigned kEpochShift = 56;
  static constexpr unsigned kTagShift = 36;
  static constexpr std::uint64_t kPositionMask = (std::uint64_t{1} << kTagShift) - 1;
  static constexpr std::uint64_t kTagMask = (std::uint64_t{1} << (kEpochShift - kTagShift)) - 1;
  static constexpr unsigned kFirstSlotShift = kEpochShift - kTagShift;  // the hash bits above the tag's
  static constexpr std::size_t kEpochs = 255;                           // 1..255; 0 is the never-written slot
  static constexpr std::size_t kLineSlots = 8;
  static_assert(kCapacityBytesMax / 8 <= kPositionMask);

  // The line comes from the top of the hash, the tag from its bottom: they must not be correlated.
  [[nodiscard]] std::size_t line_of(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>((rt::uint128{hash} * lines_) >> 64);
  }
  [[nodiscard]] std::uint64_t mark_of(std::uint64_t hash) const noexcept {
    return (std::uint64_t{epoch_} << kEpochShift) | ((hash & kTagMask) << kTagShift);
  }
  static const BufferEntry* entry_at(const char* at) noexcept { return reinterpret_cast<const BufferEntry*>(at); }
  [[nodiscard]] const BufferEntry* entry_of(std::uint64_t slot) const noexcept {
    return entry_at(reinterpret_cast<const char*>(index_) + (slot & kPositionMask) * 8);
  }
  static bool before(TableId table, Bytes key, const BufferEntry& entry) noexcept {
    return table != entry.table ? table < entry.table : compare(key, entry.key()) < 0;
  }
  static bool after(TableId table, Bytes key, const BufferEntry& entry) noexcept {
    return table != entry.table ? table > entry.table : compare(key, entry.key()) > 0;
  }

  std::uint64_t* slot_for(std::uint64_t hash, TableId table, Bytes key) const noexcept;
  const BufferEntry* newest(std::uint64_t hash, TableId table, Bytes key) const noexcept;
  char* take_aside(std::size_t value_bytes);
  BufferEntry* append(TableId table, Bytes key, Bytes value, WriteKind kind, Sequence sequence);
  void widen_range(const BufferEntry& entry) noexcept;

  std::uint64_t* index_ = nullptr;  // the block begins with the index, so position 0 is never an entry
  std::size_t lines_ = 0;
  char* arena_ = nullptr;
  std::size_t arena_bytes_ = 0;
  std::size_t arena_used_ = 0;
  std::size_t keys_ = 0;
  std::size_t keys_max_ = 0;
  std::size_t count_ = 0;
  const BufferEntry* min_ = nullptr;
  const BufferEntry* max_ = nullptr;
  std::uint64_t min_head_ = 0;  // key_head(min_, 0), so that most range tests touch no key
  std::uint64_t max_head_ = 0;
  Sequence first_sequence_{0};
  Sequence last_sequence_{0};
  // A slot belongs to the contents only if it carries this number, so reset() need not clear the index:
  // it clears 1/255 of it, and by the time the number comes round again everything has been cleared.
  std::uint8_t epoch_ = 1;
  std::size_t aside_bytes_ = 0;
  std::size_t inline_value_bytes_max_ = 0;
  std::size_t references_ = 0;
  mutable std::uint64_t range_skips_ = 0;
  IdleHook idle_hook_;
  std::size_t capacity_bytes_;
  MemoryBlock memory_;
  std::vector<MemoryBlock> aside_;
  MemoryBlock reserved_;  // obtained by reserve_value() for the next large value
  std::size_t reserved_bytes_ = 0;
};

}  // namespace cambium
