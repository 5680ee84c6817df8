// SPDX-License-Identifier: MIT OR Apache-2.0
// A read view of one tree node in memory: search, entries, children. Pure: no I/O, no allocation.
//
// Sits on format/node_page.h (the bytes); used by tree, levels and the checkers. The page was validated once when it
// came from the device (validate_node), so nothing here checks bounds again.
//
// Invariants
//   1. Keys are strictly ascending; a branch's key 0 is open (below everything).
//
// Lifetime   a view is a pointer: valid while the page is pinned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <cambium/ids.h>
#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

#include "base/assert.h"
#include "base/endian.h"
#include "format/node_page.h"
#include "node/head_search.h"
#include "node/short_compare.h"

namespace cambium::node {

struct LeafEntry {
  format::EntryKind kind;
  std::uint64_t expiry;  // 0 = never
  Bytes value;           // in the page; for an overflow entry the OverflowReference
};

class NodeView {
 public:
  explicit NodeView(const char* page) noexcept : page_(page) {}

  const char* page() const noexcept { return page_; }
  std::size_t count() const noexcept { return header().page.count; }
  unsigned level() const noexcept { return header().page.level; }
  bool is_leaf() const noexcept { return header().page.type == format::PageType::leaf; }
  Generation generation() const noexcept { return Generation{header().page.generation}; }
  PageId id() const noexcept { return PageId{header().page.page_id}; }
  Bytes prefix() const noexcept { return Bytes(page_ + sizeof(format::NodeHeader), header().prefix_bytes); }
  std::size_t free_bytes() const noexcept { return header().heap_begin - (slots_offset() + 2 * count()); }

  // ---- leaf -------------------------------------------------------------------------------------------------

  // Index of the first entry whose key is not below `key`; `equal` says whether it is that key.
  std::size_t leaf_lower_bound(Bytes key, bool& equal) const noexcept {
    equal = false;
    const std::size_t n = count();
    const int side = compare_prefix(key);
    if (side != 0) return side < 0 ? 0 : n;
    const std::size_t prefix = header().prefix_bytes;
    const char* suffix = key.data() + prefix;
    const std::size_t suffix_bytes = key.size() - prefix;
    const std::uint32_t head = head_of(suffix, suffix_bytes);
    const std::uint32_t* h = heads();
    std::size_t i = count_below(h, n, head);
    if (i == n || h[i] != head) return i;
    std::size_t end = i + 1;
    if (end < n && h[end] == head) end = i + count_not_above(h + i, n - i, head);
    while (i < end) {  // binary search among equal heads, by the rest of the key
      const std::size_t middle = i + (end - i) / 2;
      const int order = compare_leaf_suffix(middle, suffix, suffix_bytes);
      if (order == 0) {
        equal = true;
        return middle;
      }
      if (order < 0) {
        i = middle + 1;
      } else {
        end = middle;
      }
    }
    return i;
  }

  // The offset at which the record of the entry for `key` probably is: to prefetch before leaf_lower_bound() looks at
  // it.
  std::size_t leaf_record_hint(Bytes key) const noexcept {
    const std::size_t prefix = header().prefix_bytes;
    if (key.size() < prefix) return 0;
    const std::size_t i = count_below(heads(), count(), head_of(key.data() + prefix, key.size() - prefix));
    return slot(i < count() ? i : count() - 1);
  }

  // Is entry `index`, whose record is said to be at `offset`, that of `key`? For places remembered from elsewhere:
  // any numbers are answered truly.
  bool leaf_entry_at(std::size_t index, std::size_t offset, Bytes key, LeafEntry& entry) const noexcept {
    const std::size_t prefix = header().prefix_bytes;
    const std::size_t n = count();
    const char* heads = page_ + format::heads_offset(prefix);
    const char* slots = heads + format::kHeadBytes * n;
    if (index >= n || rt::load_le16(slots + 2 * index) != offset) return false;
    const char* record = page_ + offset;
    const std::uint16_t info = rt::load_le16(record);
    const std::size_t suffix_bytes = info & format::kSuffixMask;
    if (prefix + suffix_bytes != key.size() || !has_prefix(key)) return false;
    const char* suffix = key.data() + prefix;
    if (rt::load_le32(heads + format::kHeadBytes * index) != head_of(suffix, suffix_bytes)) return false;
    const std::size_t tail = tail_bytes(suffix_bytes);
    entry.expiry = 0;
    const char* at = record + format::kLeafEntryHeaderBytes;
    if ((info & format::kExpiryFlag) != 0) [[unlikely]] {
      entry.expiry = rt::load_le64(at);
      at += format::kExpiryBytes;
    }
    if (!short_equal(at, suffix + format::kHeadBytes, tail)) return false;
    entry.kind = static_cast<format::EntryKind>((info >> format::kKindShift) & format::kKindMask);
    entry.value = Bytes(at + tail, rt::load_le16(record + 2));
    return true;
  }
  std::size_t leaf_record_offset(std::size_t index) const noexcept { return slot(index); }

  LeafEntry leaf_entry(std::size_t index) const noexcept {
    const char* record = page_ + slot(index);
    const std::uint16_t info = rt::load_le16(record);
    const std::uint16_t value_bytes = rt::load_le16(record + 2);
    const char* at = record + format::kLeafEntryHeaderBytes;
    std::uint64_t expiry = 0;
    if ((info & format::kExpiryFlag) != 0) [[unlikely]] {
      expiry = rt::load_le64(at);
      at += format::kExpiryBytes;
    }
    at += tail_bytes(info & format::kSuffixMask);
    const auto kind = static_cast<format::EntryKind>((info >> format::kKindShift) & format::kKindMask);
    return {kind, expiry, Bytes(at, value_bytes)};
  }

  // Writes the whole key of a leaf entry to `out` (kKeyBytesMax + kKeySlack bytes) and returns its length.
  std::size_t leaf_key(std::size_t index, char* out) const noexcept {
    LeafEntry entry;
    return leaf_key_and_entry(index, out, entry);
  }
  // leaf_key() and leaf_entry() in one pass over the record.
  inline std::size_t leaf_key_and_entry(std::size_t index, char* out, LeafEntry& entry) const noexcept;
  // Reads one entry after another: what it takes from the header is read once.
  class LeafReader;
  static constexpr std::size_t kKeySlack = 16;  // bytes after a key that writing it may touch

  // ---- branch -----------------------------------------------------------------------------------------------

  // The child whose range holds `key`.
  std::size_t child_index(Bytes key) const noexcept { return upper_separator(key, true) - 1; }
  // The child that holds the largest key below `key`.
  std::size_t child_index_below(Bytes key) const noexcept { return upper_separator(key, false) - 1; }

  format::ChildPointer child(std::size_t index) const noexcept {
    format::ChildPointer pointer;
    std::memcpy(&pointer, children() + index * sizeof pointer, sizeof pointer);
    return pointer;
  }
  // Writes separator `index` to `out` and returns its length; that of child 0 is empty.
  std::size_t separator(std::size_t index, char* out) const noexcept {
    if (index == 0) return 0;
    const std::uint16_t prefix = header().prefix_bytes;
    std::memcpy(out, page_ + sizeof(format::NodeHeader), prefix);
    std::size_t suffix_bytes = 0;
    const char* tail = branch_tail(index, suffix_bytes);
    return prefix + expand_suffix(index, suffix_bytes, tail, out + prefix);
  }

  // Of separator `index`, in bytes.
  std::size_t separator_bytes(std::size_t index) const noexcept {
    std::size_t suffix_bytes = 0;
    if (index != 0) static_cast<void>(branch_tail(index, suffix_bytes));
    return index == 0 ? 0 : header().prefix_bytes + suffix_bytes;
  }
  // Asks for the line that tells how long separators `index` and `index` + 1 are.
  void warm_separator(std::size_t index) const noexcept {
    __builtin_prefetch(children() + sizeof(format::ChildPointer) * count() + 2 * index);
  }

  // The heads are searched first, then (in a branch) the child pointer is read: what to prefetch.
  const std::uint32_t* heads() const noexcept {
    return reinterpret_cast<const std::uint32_t*>(page_ + format::heads_offset(header().prefix_bytes));
  }

 private:
  const format::NodeHeader& header() const noexcept { return *reinterpret_cast<const format::NodeHeader*>(page_); }
  static std::size_t tail_bytes(std::size_t suffix_bytes) noexcept {
    return suffix_bytes > format::kHeadBytes ? suffix_bytes - format::kHeadBytes : 0;
  }
  const char* children() const noexcept { return reinterpret_cast<const char*>(heads() + count()); }
  std::size_t slots_offset() const noexcept {
    const std::size_t per_entry = format::kHeadBytes + (is_leaf() ? 0 : sizeof(format::ChildPointer));
    return format::heads_offset(header().prefix_bytes) + per_entry * count();
  }
  std::uint16_t slot(std::size_t index) const noexcept {
    return rt::load_le16(page_ + format::heads_offset(header().prefix_bytes) + format::kHeadBytes * count() +
                         2 * index);
  }
  std::uint16_t branch_slot(std::size_t index) const noexcept {
    return rt::load_le16(children() + sizeof(format::ChildPointer) * count() + 2 * index);
  }
  const char* branch_tail(std::size_t index, std::size_t& suffix_bytes) const noexcept {
    const std::uint16_t at = branch_slot(index);
    if (at <= format::kHeadBytes) {
      suffix_bytes = at;
      return nullptr;
    }
    suffix_bytes = rt::load_le16(page_ + at);
    return page_ + at + 2;
  }

  // Where `key` lies against the common prefix: below it, within it (0), or above.
  int compare_prefix(Bytes key) const noexcept {
    const std::size_t prefix = header().prefix_bytes;
    const char* stored = page_ + sizeof(format::NodeHeader);
    if (prefix <= 8 && key.size() >= 8) [[likely]] {  // in one comparison, whatever the length of the prefix
      const std::uint64_t mask = prefix_mask(prefix);
      return order_of(rt::load_be64(key.data()) & mask, rt::load_be64(stored) & mask);
    }
    const int order = short_compare(key.data(), stored, key.size() < prefix ? key.size() : prefix);
    if (order != 0) return order;
    return key.size() < prefix ? -1 : 0;
  }
  // Requires: key.size() >= prefix.
  bool has_prefix(Bytes key) const noexcept {
    const std::size_t prefix = header().prefix_bytes;
    const char* stored = page_ + sizeof(format::NodeHeader);
    if (prefix <= 8 && key.size() >= 8) [[likely]]
      return ((rt::load_be64(key.data()) ^ rt::load_be64(stored)) & prefix_mask(prefix)) == 0;
    return std::memcmp(key.data(), stored, prefix) == 0;
  }
  static std::uint64_t prefix_mask(std::size_t bytes) noexcept {
    return bytes == 0 ? 0 : ~std::uint64_t{0} << (64 - 8 * bytes);
  }
  // Order of a stored suffix (head equal to the probe's) against the probe's.
  static int compare_tails(const char* tail, std::size_t suffix_bytes, const char* probe,
                           std::size_t probe_bytes) noexcept {
    const std::size_t a = tail_bytes(suffix_bytes);
    const std::size_t b = tail_bytes(probe_bytes);
    const std::size_t common = a < b ? a : b;
    if (common != 0) {
      const int order = short_compare(tail, probe + format::kHeadBytes, common);
      if (order != 0) return order;
    }
    return suffix_bytes < probe_bytes ? -1 : (suffix_bytes > probe_bytes ? 1 : 0);
  }
  int compare_leaf_suffix(std::size_t index, const char* probe, std::size_t probe_bytes) const noexcept {
    const char* record = page_ + slot(index);
    const std::uint16_t info = rt::load_le16(record);
    const char* tail =
        record + format::kLeafEntryHeaderBytes + ((info & format::kExpiryFlag) != 0 ? format::kExpiryBytes : 0);
    return compare_tails(tail, info & format::kSuffixMask, probe, probe_bytes);
  }
  // Index of the first separator above `key` (or not below it, when !inclusive); at least 1.
  std::size_t upper_separator(Bytes key, bool inclusive) const noexcept {
    const std::size_t n = count();
    if (n == 1) return 1;
    const int side = compare_prefix(key);
    if (side != 0) return side < 0 ? 1 : n;
    const std::size_t prefix = header().prefix_bytes;
    const char* suffix = key.data() + prefix;
    const std::size_t suffix_bytes = key.size() - prefix;
    const std::uint32_t head = head_of(suffix, suffix_bytes);
    const std::uint32_t* h = heads();
    std::size_t i = 1 + count_below(h + 1, n - 1, head);
    if (i == n || h[i] != head) return i;
    std::size_t end = i + 1;
    if (end < n && h[end] == head) end = i + count_not_above(h + i, n - i, head);
    while (i < end) {
      const std::size_t middle = i + (end - i) / 2;
      std::size_t stored_bytes = 0;
      const char* tail = branch_tail(middle, stored_bytes);
      const int order = compare_tails(tail, stored_bytes, suffix, suffix_bytes);
      if (order < 0 || (order == 0 && inclusive)) {
        i = middle + 1;
      } else {
        end = middle;
      }
    }
    return i;
  }
  std::size_t expand_suffix(std::size_t index, std::size_t suffix_bytes, const char* tail, char* out) const noexcept {
    char head[format::kHeadBytes];
    rt::store_be32(head, heads()[index]);
    if (suffix_bytes <= format::kHeadBytes) {
      std::memcpy(out, head, suffix_bytes);
      return suffix_bytes;
    }
    std::memcpy(out, head, format::kHeadBytes);
    std::memcpy(out + format::kHeadBytes, tail, suffix_bytes - format::kHeadBytes);
    return suffix_bytes;
  }

  const char* page_;
};

class NodeView::LeafReader {
 public:
  explicit LeafReader(const NodeView& leaf) noexcept
      : page_(leaf.page_),
        prefix_bytes_(leaf.header().prefix_bytes),
        heads_(leaf.page_ + format::heads_offset(prefix_bytes_)),
        slots_(heads_ + format::kHeadBytes * leaf.count()) {}

  // Writes the key to `out` (kKeyBytesMax + kKeySlack bytes) and returns its length.
  std::size_t read(std::size_t index, char* out, LeafEntry& entry) const noexcept {
    copy_short(out, page_ + sizeof(format::NodeHeader), prefix_bytes_);
    const char* record = page_ + rt::load_le16(slots_ + 2 * index);
    const std::uint16_t info = rt::load_le16(record);
    const std::uint16_t value_bytes = rt::load_le16(record + 2);
    const char* at = record + format::kLeafEntryHeaderBytes;
    entry.kind = static_cast<format::EntryKind>((info >> format::kKindShift) & format::kKindMask);
    entry.expiry = 0;
    if ((info & format::kExpiryFlag) != 0) [[unlikely]] {
      entry.expiry = rt::load_le64(at);
      at += format::kExpiryBytes;
    }
    const std::size_t suffix = info & format::kSuffixMask;
    rt::store_be32(out + prefix_bytes_, rt::load_le32(heads_ + format::kHeadBytes * index));
    const std::size_t tail = tail_bytes(suffix);
    if (tail != 0) copy_short(out + prefix_bytes_ + format::kHeadBytes, at, tail);
    entry.value = Bytes(at + tail, value_bytes);
    return prefix_bytes_ + suffix;
  }

 private:
  // A copy of mostly a few bytes: sixteen at once, where the source may be read that far.
  void copy_short(char* to, const char* from, std::size_t bytes) const noexcept {
    if (bytes <= 16 && from + 16 <= page_ + kPageBytes) [[likely]] {
      std::memcpy(to, from, 16);
    } else {
      std::memcpy(to, from, bytes);
    }
  }

  const char* page_;
  std::size_t prefix_bytes_;
  const char* heads_;
  const char* slots_;
};

inline std::size_t NodeView::leaf_key_and_entry(std::size_t index, char* out, LeafEntry& entry) const noexcept {
  return LeafReader(*this).read(index, out, entry);
}

// What a branch promises about its child `index`: keys in [separator index, separator index + 1), and how many entries
// a leaf has. A forged child may break it with right checksums. Returns nullptr, or what is wrong. The bounds that only
// an ancestor of `parent` knows, below its first and above its last child, are for the caller.
const char* validate_child(const NodeView& parent, std::size_t index, const NodeView& child) noexcept;

// Tables hold values and references to values, sstables tombstones as well (who reads a tree treats one as damage);
// nobody expects a merge operand yet. Requires: validate_node().
const char* validate_table_kinds(const char* page) noexcept;

// Checks every offset, length and the order of the keys of a node that came from the device, so that NodeView never
// reads outside the page whatever the bytes are. Returns nullptr, or what is wrong.
const char* validate_node(const char* page) noexcept;

}  // namespace cambium::node
