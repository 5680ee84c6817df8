// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/write_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.h"
#include "base/sanitizer.h"

namespace cambium {

WriteBuffer::WriteBuffer(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {
  CAMBIUM_ASSERT(capacity_bytes >= kCapacityBytesMin && capacity_bytes <= kCapacityBytesMax);
  memory_ = MemoryBlock::make(capacity_bytes);
  if (!memory_) return;
  constexpr std::size_t kLineBytes = kLineSlots * sizeof(std::uint64_t);
  lines_ = capacity_bytes / 8 / kLineBytes;
  index_ = reinterpret_cast<std::uint64_t*>(memory_.data());
  // A mapping is zero already, and clearing it would touch all of it at once.
  if (capacity_bytes < rt::kHugePageBytes) std::memset(index_, 0, lines_ * kLineBytes);
  keys_max_ = lines_ * kLineSlots / 8 * 7;
  arena_ = reinterpret_cast<char*>(index_) + lines_ * kLineBytes;
  arena_bytes_ = (capacity_bytes - lines_ * kLineBytes) & ~std::size_t{7};
  // Aside go values that would waste too much of the arena's end. From 2 MiB on they have huge pages of
  // their own; below that only a small buffer puts values aside, on the heap.
  inline_value_bytes_max_ = std::min(rt::kHugePageBytes - 1, arena_bytes_ / 4);
  // Any entry fits into an empty arena, its value aside if need be (invariant 3 of the header).
  CAMBIUM_ASSERT(BufferEntry::arena_bytes_for(kKeyBytesMax, inline_value_bytes_max_) <= arena_bytes_);
  rt::asan_poison(arena_, arena_bytes_);
}

WriteBuffer::~WriteBuffer() {
  CAMBIUM_ASSERT_MSG(references_ == 0, "a write buffer is destroyed while something reads it");
  rt::asan_unpoison(arena_, arena_bytes_);  // the memory goes back to an allocator that knows nothing of it
}

std::uint64_t WriteBuffer::hash_of(TableId table, Bytes key) noexcept {
  return rt::hash64(key.data(), key.size(), raw(table));
}

bool WriteBuffer::reserve_value(std::size_t value_bytes) {
  if (value_bytes <= inline_value_bytes_max_) return true;
  if (reserved_ && reserved_bytes_ == value_bytes) return true;
  reserved_ = MemoryBlock();  // before the new one is made: never both at a time
  reserved_ = MemoryBlock::make(value_bytes);
  reserved_bytes_ = reserved_ ? value_bytes : 0;
  return static_cast<bool>(reserved_);
}

char* WriteBuffer::take_aside(std::size_t value_bytes) {
  CAMBIUM_ASSERT_MSG(reserve_value(value_bytes), "no memory for a large value: call reserve_value() first");
  aside_.push_back(std::move(reserved_));
  reserved_bytes_ = 0;
  aside_bytes_ += MemoryBlock::footprint_bytes(value_bytes);
  return reinterpret_cast<char*>(aside_.back().data());
}

// Where the key's slot is, or the empty slot where it would be.
inline std::uint64_t* WriteBuffer::slot_for(std::uint64_t hash, TableId table, Bytes key) const noexcept {
  const std::uint64_t mark = mark_of(hash);
  // Each hash begins somewhere else in its line, so the first slot looked at is mostly the right one: a
  // branch guessed well lets the next lookup's cache misses overlap with this one's.
  const std::size_t first = (hash >> kFirstSlotShift) % kLineSlots;
  std::size_t line = line_of(hash);
  for (;;) {
    std::uint64_t* const slots = index_ + line * kLineSlots;
    for (std::size_t n = 0; n < kLineSlots; ++n) {
      const std::size_t i = (first + n) % kLineSlots;
      const std::uint64_t slot = slots[i];
      if ((slot ^ mark) <= kPositionMask) {  // epoch and tag agree
        const BufferEntry& entry = *entry_of(slot);
        if (entry.table == table && entry.key() == key) return slots + i;
      } else if ((slot >> kEpochShift) != epoch_) {
        return slots + i;
      }
    }
    line = line + 1 == lines_ ? 0 : line + 1;
  }
}

const BufferEntry* WriteBuffer::newest(std::uint64_t hash, TableId table, Bytes key) const noexcept {
  const std::uint64_t slot = *slot_for(hash, table, key);
  return (slot >> kEpochShift) == epoch_ ? entry_of(slot) : nullptr;
}

inline BufferEntry* WriteBuffer::append(TableId table, Bytes key, Bytes value, WriteKind kind, Sequence sequence) {
  const bool aside = value.size() > inline_value_bytes_max_;
  const std::size_t tail_bytes = aside ? sizeof(char*) : value.size();
  const std::size_t bytes = BufferEntry::arena_bytes_for(key.size(), tail_bytes);
  char* const at = arena_ + arena_used_;
  rt::asan_unpoison(at, BufferEntry::kHeaderBytes + key.size() + tail_bytes);
  auto* const entry = reinterpret_cast<BufferEntry*>(at);
  entry->sequence = sequence;
  entry->table = table;
  entry->value_bytes = static_cast<std::uint32_t>(value.size());
  entry->key_bytes = static_cast<std::uint16_t>(key.size());
  entry->kind = kind;
  entry->flags = aside ? BufferEntry::kValueAside : std::uint8_t{0};
  char* const payload = at + BufferEntry::kHeaderBytes;
  std::memcpy(payload, key.data(), key.size());
  if (aside) {
    char* const block = take_aside(value.size());
    std::memcpy(block, value.data(), value.size());
    std::memcpy(payload + key.size(), &block, sizeof block);
  } else if (!value.empty()) {
    std::memcpy(payload + key.size(), value.data(), value.size());
  }
  arena_used_ += bytes;
  return entry;
}

inline void WriteBuffer::widen_range(const BufferEntry& entry) noexcept {
  const std::uint64_t head = key_head(entry.key(), 0);
  // The usual case needs no key: one table, head strictly inside.
  if (min_ != nullptr && entry.table == min_->table && entry.table == max_->table && head > min_head_ &&
      head < max_head_) {
    return;
  }
  if (min_ == nullptr || before(entry.table, entry.key(), *min_)) {
    min_ = &entry;
    min_head_ = head;
  }
  if (max_ == nullptr || after(entry.table, entry.key(), *max_)) {
    max_ = &entry;
    max_head_ = head;
  }
}

const BufferEntry& WriteBuffer::add(std::uint64_t hash, TableId table, Bytes key, Bytes value, WriteKind kind,
                                    Sequence sequence, std::uint8_t flags) {
  CAMBIUM_ASSERT(key.size() >= kKeyBytesMin && key.size() <= kKeyBytesMax);
  CAMBIUM_ASSERT(value.size() <= kValueBytesMax && (kind == WriteKind::put || value.empty()));
  CAMBIUM_ASSERT_MSG(fits(key.size(), value.size()), "the write path must wait for room");
  CAMBIUM_ASSERT_MSG(sequence >= last_sequence_, "writes enter a buffer in sequence order");
  prefetch(hash);  // its cache miss overlaps with the copying
  BufferEntry* const entry = append(table, key, value, kind, sequence);
  entry->flags = static_cast<std::uint8_t>(entry->flags | flags);
  std::uint64_t* const slot = slot_for(hash, table, key);
  if ((*slot >> kEpochShift) == epoch_) {
    entry->older = entry_of(*slot);
  } else {
    entry->older = nullptr;
    ++keys_;
    widen_range(*entry);
  }
  const auto position = static_cast<std::size_t>(reinterpret_cast<char*>(entry) - reinterpret_cast<char*>(index_));
  *slot = mark_of(hash) | (position / 8);
  if (count_++ == 0) first_sequence_ = sequence;
  last_sequence_ = sequence;
  return *entry;
}

std::span<char> WriteBuffer::lend() noexcept {
  CAMBIUM_ASSERT_MSG(references_ == 0, "a write buffer is lent while something reads it");
  rt::asan_unpoison(arena_, arena_bytes_);
  return {arena_, arena_bytes_};
}

void WriteBuffer::reset() noexcept {
  CAMBIUM_ASSERT_MSG(references_ == 0, "a write buffer is reset while something reads it");
  const std::size_t slots = lines_ * kLineSlots;
  const std::size_t from = slots * (epoch_ - 1u) / kEpochs;
  const std::size_t to = slots * epoch_ / kEpochs;
  std::memset(index_ + from, 0, (to - from) * sizeof(std::uint64_t));
  epoch_ = epoch_ == kEpochs ? std::uint8_t{1} : static_cast<std::uint8_t>(epoch_ + 1);
  rt::asan_poison(arena_, arena_bytes_);
  aside_.clear();
  reserved_ = MemoryBlock();
  reserved_bytes_ = 0;
  arena_used_ = aside_bytes_ = keys_ = count_ = 0;
  min_ = max_ = nullptr;
  min_head_ = max_head_ = 0;
  first_sequence_ = last_sequence_ = Sequence{0};
  range_skips_ = 0;
}

}  // namespace cambium
