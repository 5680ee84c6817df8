// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/row_cache.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/assert.h"
#include "base/hash.h"

namespace cambium {

// What lies in a segment, one behind the other, 16 bytes aligned: this, the key, the value.
struct RowCache::Row {
  Source source;
  std::uint32_t value_bytes;
  std::uint16_t key_bytes;
  format::EntryKind kind;
  bool found;  // since its segment was filled

  static std::size_t bytes_for(std::size_t key_bytes, std::size_t value_bytes) noexcept {
    return (sizeof(Row) + key_bytes + value_bytes + 15) & ~std::size_t{15};
  }
  std::size_t bytes() const noexcept { return bytes_for(key_bytes, value_bytes); }
  char* payload() noexcept { return reinterpret_cast<char*>(this + 1); }
  Bytes key() const noexcept { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }
  Bytes value() const noexcept { return {reinterpret_cast<const char*>(this + 1) + key_bytes, value_bytes}; }
};

namespace {

// A slot: tag from the hash (12 bits), number of the segment (28), place of the row in it in 16-byte units (24).
constexpr unsigned kTagShift = 52;
constexpr unsigned kSerialShift = 24;
constexpr std::uint32_t kSerialEnd = 1u << (kTagShift - kSerialShift);
constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kSerialShift) - 1;
constexpr std::size_t kSegmentBytesMax = (std::size_t{1} << kSerialShift) * 16;

std::uint32_t serial_in(std::uint64_t slot) noexcept {
  return static_cast<std::uint32_t>(slot >> kSerialShift) & (kSerialEnd - 1);
}
bool tag_is(std::uint64_t slot, std::uint64_t hash) noexcept {
  return slot >> kTagShift == (hash & ((1u << (64 - kTagShift)) - 1));
}
std::uint64_t key_hash(Bytes key) noexcept { return rt::hash64(key.view()); }
std::uint64_t row_hash(std::uint64_t source, std::uint64_t key_hash) noexcept {
  return rt::hash_u64(key_hash + source * 0x9E3779B97F4A7C15u);
}

}  // namespace

std::uint64_t* RowCache::line_of(std::uint64_t hash) noexcept {
  const std::size_t lines = index_.size() / kLineSlots;
  return index_.begin() + static_cast<std::size_t>((rt::uint128{hash} * lines) >> 64) * kLineSlots;
}

RowCache::Row* RowCache::row_of(std::uint64_t slot) const noexcept {
  const std::uint32_t serial = serial_in(slot);
  const Segment* const segment = by_serial_[serial % kSerials];
  if (segment == nullptr || segment->serial != serial) return nullptr;
  return reinterpret_cast<Row*>(segment->data + (slot & kPlaceMask) * 16);
}

RowCache::Found RowCache::find(Source source, std::uint64_t hash, Bytes key) noexcept {
  if (empty()) return {};
  const std::uint64_t mixed = row_hash(source, hash);
  const std::uint64_t* const slots = line_of(mixed);
  for (std::size_t i = 0; i < kLineSlots; ++i) {
    if (!tag_is(slots[i], mixed)) continue;
    Row* const row = row_of(slots[i]);
    if (row == nullptr || row->source != source || row->key() != key) continue;
    row->found = true;
    ++stats_.hits;
    return {true, row->kind, row->value()};
  }
  return {};
}

void RowCache::insert(Source source, std::uint64_t hash, Bytes key, format::EntryKind kind, Bytes value) {
  const std::size_t bytes = Row::bytes_for(key.size(), value.size());
  if (!make_room(bytes)) return;
  Segment& segment = *order_.back();
  const Row row{source, static_cast<std::uint32_t>(value.size()), static_cast<std::uint16_t>(key.size()), kind, false};
  auto* const at = new (segment.data + segment.used) Row(row);
  std::memcpy(at->payload(), key.data(), key.size());
  std::memcpy(at->payload() + key.size(), value.data(), value.size());
  place(row_hash(source, hash), segment, segment.used);
  segment.used += static_cast<std::uint32_t>(bytes);
  ++stats_.inserts;
}

// In its line: where nothing stands any more, else instead of the row that was written first.
void RowCache::place(std::uint64_t hash, const Segment& segment, std::size_t offset) noexcept {
  std::uint64_t* const slots = line_of(hash);
  std::uint64_t* oldest = slots;
  for (std::size_t i = 0; i < kLineSlots; ++i) {
    if (row_of(slots[i]) == nullptr) {
      oldest = slots + i;
      break;
    }
    if (serial_in(slots[i]) < serial_in(*oldest)) oldest = slots + i;
  }
  *oldest = hash << kTagShift | std::uint64_t{segment.serial} << kSerialShift | offset / 16;
}

// In the segment that is being filled. Some of the oldest are asked to make room; the last of them has to.
bool RowCache::make_room(std::size_t bytes) {
  for (std::size_t tried = 0;; ++tried) {
    if (!order_.empty()) {
      const Segment& filling = *order_.back();
      if (filling.serial != 0 && bytes <= filling.bytes - filling.used) return true;
    }
    if (lender_.ask != nullptr) lender_.ask(lender_.context);
    if (order_.empty() || bytes > order_.front()->bytes / 4) return false;
    Segment* const oldest = order_.front();
    order_.pop_front();
    order_.push_back(oldest);
    if (tried >= kRoomTries) oldest->used = 0;
    recycle(*oldest);
  }
}

// A new number: what slots say of the segment is void.
void RowCache::number(Segment& segment) noexcept {
  if (++last_serial_ == kSerialEnd) {  // from the beginning
    for (const auto& each : segments_) forget(*each);
    std::fill(index_.begin(), index_.end(), 0);
    std::fill(by_serial_.begin(), by_serial_.end(), nullptr);
    last_serial_ = 1;
  }
  segment.serial = last_serial_;
  Segment*& at = by_serial_[last_serial_ % kSerials];
  if (at != nullptr && at != &segment && at->serial % kSerials == last_serial_ % kSerials) forget(*at);
  at = &segment;
}

void RowCache::forget(Segment& segment) noexcept {
  segment.used = 0;
  segment.serial = 0;
}

// Keeps what was found since the segment was filled, and moves it together.
void RowCache::recycle(Segment& segment) noexcept {
  const std::uint32_t end = segment.used;
  number(segment);
  segment.used = 0;
  for (std::uint32_t at = 0; at < end;) {
    Row* const row = reinterpret_cast<Row*>(segment.data + at);
    const auto bytes = static_cast<std::uint32_t>(row->bytes());
    at += bytes;
    if (!row->found) continue;
    row->found = false;
    char* const to = segment.data + segment.used;
    std::memmove(to, row, bytes);
    const Row& moved = *reinterpret_cast<const Row*>(to);
    place(row_hash(moved.source, key_hash(moved.key())), segment, segment.used);
    segment.used += bytes;
  }
}

void RowCache::lend(char* memory, std::size_t bytes) {
  constexpr std::size_t kLeast = 4096;
  const std::size_t most = std::max(kSegmentBytesMin, bytes / kSegmentsPerLoan);
  while (bytes >= kLeast) {
    const std::size_t part = std::min({bytes, most, kSegmentBytesMax}) & ~std::size_t{15};
    segments_.push_back(std::make_unique<Segment>(Segment{memory, static_cast<std::uint32_t>(part)}));
    order_.push_front(segments_.back().get());
    bytes_lent_ += part;
    memory += part;
    bytes -= part;
  }
}

void RowCache::withdraw(const char* memory, std::size_t bytes) noexcept {
  const auto inside = [&](const Segment& segment) {
    return segment.data >= memory && segment.data < memory + bytes;  // one mapping: comparable
  };
  std::erase_if(order_, [&](const Segment* segment) { return inside(*segment); });
  for (Segment*& segment : by_serial_) {
    if (segment != nullptr && inside(*segment)) segment = nullptr;
  }
  std::erase_if(segments_, [&](const std::unique_ptr<Segment>& segment) {
    if (!inside(*segment)) return false;
    bytes_lent_ -= segment->bytes;
    return true;
  });
}

}  // namespace cambium
