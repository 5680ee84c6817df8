// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/node_builder.h"

#include <bit>
#include <cstring>
#include <iterator>

#include "base/assert.h"
#include "base/endian.h"
#include "node/head_search.h"

namespace cambium::node {

std::size_t common_prefix(Bytes a, Bytes b) noexcept {
  const std::size_t limit = a.size() < b.size() ? a.size() : b.size();
  std::size_t i = 0;
  for (; i + 8 <= limit; i += 8) {
    const std::uint64_t difference = rt::load_le64(a.data() + i) ^ rt::load_le64(b.data() + i);
    if (difference != 0) return i + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
  }
  while (i < limit && a.data()[i] == b.data()[i]) ++i;
  return i;
}

void NodeSize::add(const NodeEntry& entry) noexcept {
  ++count_;
  if (leaf_) {
    other_bytes_ += format::kLeafEntryOverhead + entry.value.size() + (entry.expiry != 0 ? format::kExpiryBytes : 0);
  } else {
    other_bytes_ += format::kBranchEntryOverhead;
    if (count_ == 1) {  // the first separator of a branch is open
      bytes_ = measure();
      return;
    }
  }
  const std::size_t key_bytes = entry.key.size();
  if (keys_ == 0) {
    first_key_ = entry.key;
    prefix_ = key_bytes;
  } else {
    const std::size_t common = common_prefix(first_key_, entry.key);
    if (common < prefix_) {  // every suffix grows by as much
      const std::size_t shift = prefix_ - common;
      for (std::size_t i = std::size(short_keys_); i-- != 0;) short_keys_[i] = i >= shift ? short_keys_[i - shift] : 0;
      prefix_ = common;
    }
  }
  ++keys_;
  key_bytes_ += key_bytes;
  if (key_bytes - prefix_ <= format::kHeadBytes) ++short_keys_[key_bytes - prefix_];
  bytes_ = measure();
}

// Most entries of a leaf share its prefix and have more of a key than a head holds: they add what they take.
bool NodeSize::add_within(const NodeEntry& entry, std::size_t limit) noexcept {
  const std::size_t key_bytes = entry.key.size();
  const bool usual = leaf_ && keys_ != 0 && entry.expiry == 0 && key_bytes > prefix_ + format::kHeadBytes &&
                     (prefix_ == 0 || common_prefix(first_key_, entry.key) >= prefix_);
  if (!usual) {
    NodeSize grown = *this;
    grown.add(entry);
    if (grown.bytes() > limit) return false;
    *this = grown;
    return true;
  }
  const std::size_t other_bytes = format::kLeafEntryOverhead + entry.value.size();
  const std::size_t grown_bytes = bytes_ + other_bytes + (key_bytes - prefix_ - format::kHeadBytes);
  if (grown_bytes > limit) return false;
  ++count_;
  ++keys_;
  key_bytes_ += key_bytes;
  other_bytes_ += other_bytes;
  bytes_ = grown_bytes;
  return true;
}

std::size_t NodeSize::measure() const noexcept {
  // A head holds the first four bytes of each suffix; what is left of it goes to the heap.
  std::size_t unused_heads = 0;
  std::size_t in_heads = 0;
  for (std::size_t i = 0; i < std::size(short_keys_); ++i) {
    unused_heads += short_keys_[i] * (format::kHeadBytes - i);
    in_heads += short_keys_[i];
  }
  const std::size_t tails = key_bytes_ - keys_ * (prefix_ + format::kHeadBytes) + unused_heads;
  const std::size_t lengths = leaf_ ? 0 : (keys_ - in_heads) * sizeof(std::uint16_t);
  return format::heads_offset(prefix_) + other_bytes_ + tails + lengths;
}

namespace {

// Writes one page front to back for the arrays and back to front for the heap.
class PageFiller {
 public:
  PageFiller(char* page, std::size_t prefix, std::size_t count, bool leaf) noexcept
      : page_(page),
        prefix_(prefix),
        heads_(page + format::heads_offset(prefix)),
        children_(heads_ + format::kHeadBytes * count),
        slots_(children_ + (leaf ? 0 : sizeof(format::ChildPointer) * count)),
        arrays_end_(static_cast<std::size_t>(slots_ - page) + 2 * count) {}

  void put_leaf(std::size_t index, const NodeEntry& entry) noexcept {
    const Suffix suffix = put_head(index, entry.key);
    std::size_t bytes = format::kLeafEntryHeaderBytes + suffix.tail_bytes + entry.value.size();
    if (entry.expiry != 0) bytes += format::kExpiryBytes;
    char* at = take(bytes);
    auto info = static_cast<std::uint16_t>(suffix.bytes | static_cast<unsigned>(entry.kind) << format::kKindShift);
    if (entry.expiry != 0) info = static_cast<std::uint16_t>(info | format::kExpiryFlag);
    rt::store_le16(slots_ + 2 * index, static_cast<std::uint16_t>(heap_));
    rt::store_le16(at, info);
    rt::store_le16(at + 2, static_cast<std::uint16_t>(entry.value.size()));
    at += format::kLeafEntryHeaderBytes;
    if (entry.expiry != 0) {
      rt::store_le64(at, entry.expiry);
      at += format::kExpiryBytes;
    }
    std::memcpy(at, suffix.tail, suffix.tail_bytes);
    std::memcpy(at + suffix.tail_bytes, entry.value.data(), entry.value.size());
  }

  void put_branch(std::size_t index, const NodeEntry& entry) noexcept {
    std::memcpy(children_ + index * sizeof entry.child, &entry.child, sizeof entry.child);
    if (index == 0) {
      rt::store_le32(heads_, 0);
      rt::store_le16(slots_, 0);
      return;
    }
    const Suffix suffix = put_head(index, entry.key);
    if (suffix.tail_bytes == 0) {
      rt::store_le16(slots_ + 2 * index, static_cast<std::uint16_t>(suffix.bytes));
      return;
    }
    char* at = take(sizeof(std::uint16_t) + suffix.tail_bytes);
    rt::store_le16(slots_ + 2 * index, static_cast<std::uint16_t>(heap_));
    rt::store_le16(at, static_cast<std::uint16_t>(suffix.bytes));
    std::memcpy(at + 2, suffix.tail, suffix.tail_bytes);
  }

  // Zeroes what is between arrays and heap, and returns where the heap begins.
  std::uint16_t finish() noexcept {
    std::memset(page_ + arrays_end_, 0, heap_ - arrays_end_);
    return static_cast<std::uint16_t>(heap_);
  }

 private:
  struct Suffix {
    std::size_t bytes;
    const char* tail;
    std::size_t tail_bytes;
  };
  Suffix put_head(std::size_t index, Bytes key) noexcept {
    const char* suffix = key.data() + prefix_;
    const std::size_t bytes = key.size() - prefix_;
    rt::store_le32(heads_ + format::kHeadBytes * index, head_of(suffix, bytes));
    if (bytes <= format::kHeadBytes) return {bytes, suffix, 0};
    return {bytes, suffix + format::kHeadBytes, bytes - format::kHeadBytes};
  }
  char* take(std::size_t bytes) noexcept {
    CAMBIUM_ASSERT(heap_ >= arrays_end_ + bytes);  // else NodeSize is wrong
    heap_ -= bytes;
    return page_ + heap_;
  }

  char* page_;
  std::size_t prefix_;
  char* heads_;
  char* children_;
  char* slots_;
  std::size_t arrays_end_;
  std::size_t heap_ = kPageBytes;
};

}  // namespace

void build_node(char* page, const NodeIdentity& identity, std::span<const NodeEntry> entries) noexcept {
  const bool leaf = identity.level == 0;
  const std::size_t count = entries.size();
  CAMBIUM_ASSERT(count != 0 && count <= format::kNodeCountMax);
  // Entries ascend, so what the first and the last share, all of them share. A branch's first key is left out.
  const std::size_t first = leaf ? 0 : 1;
  const std::size_t prefix = count > first ? common_prefix(entries[first].key, entries[count - 1].key) : 0;

  auto& header = *reinterpret_cast<format::NodeHeader*>(page);
  header.page = {.checksum = 0,
                 .type = leaf ? format::PageType::leaf : format::PageType::branch,
                 .level = static_cast<std::uint8_t>(identity.level),
                 .count = static_cast<std::uint16_t>(count),
                 .page_id = raw(identity.page),
                 .generation = raw(identity.generation),
                 .file_id = identity.file_id};
  header.prefix_bytes = static_cast<std::uint16_t>(prefix);
  header.reserved = 0;
  if (prefix != 0) std::memcpy(page + sizeof header, entries[first].key.data(), prefix);
  const std::size_t heads = format::heads_offset(prefix);
  std::memset(page + sizeof header + prefix, 0, heads - sizeof header - prefix);

  PageFiller filler(page, prefix, count, leaf);
  for (std::size_t i = 0; i < count; ++i) {
    if (leaf) {
      filler.put_leaf(i, entries[i]);
    } else {
      filler.put_branch(i, entries[i]);
    }
  }
  header.heap_begin = filler.finish();
}

}  // namespace cambium::node
