// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/node_view.h"

#include "format/overflow_reference.h"
#include "node/child_promise.h"
#include "node/node_span.h"

namespace cambium::node {
namespace {

// Offsets of a node's arrays, computed without trusting anything but the fixed header.
struct Bounds {
  std::size_t prefix;
  std::size_t count;
  std::size_t heads;
  std::size_t slots;
  std::size_t arrays_end;
};

Bounds bounds_of(const format::NodeHeader& header) noexcept {
  Bounds b{};
  b.prefix = header.prefix_bytes;
  b.count = header.page.count;
  b.heads = format::heads_offset(b.prefix);
  const bool leaf = header.page.type == format::PageType::leaf;
  b.slots = b.heads + b.count * (format::kHeadBytes + (leaf ? 0 : sizeof(format::ChildPointer)));
  b.arrays_end = b.slots + b.count * sizeof(std::uint16_t);
  return b;
}

const char* validate_overflow(const char* reference, std::size_t bytes) noexcept {
  if (bytes <= sizeof(format::OverflowReference) || bytes > format::kOverflowReferenceBytesMax) {
    return "overflow reference of an impossible length";
  }
  const std::size_t extents = (bytes - sizeof(format::OverflowReference)) / sizeof(format::OverflowExtent);
  std::uint64_t pages = 0;
  for (std::size_t i = 0; i < extents; ++i) {
    const char* extent = reference + sizeof(format::OverflowReference) + i * sizeof(format::OverflowExtent);
    const std::uint64_t first = rt::load_le32(extent);
    const std::uint64_t count = rt::load_le32(extent + 4);
    if (first == 0 || count == 0 || first + count > kFilePagesMax) return "overflow extent out of bounds";
    pages += count;
  }
  const std::uint32_t value_bytes = rt::load_le32(reference);
  const bool whole = bytes == sizeof(format::OverflowReference) + extents * sizeof(format::OverflowExtent);
  if (!whole || value_bytes > kValueBytesMax || pages != format::overflow_pages(value_bytes)) {
    return "overflow reference does not fit its extents";
  }
  return nullptr;
}

// Adds what the entry takes of the heap to `heap_bytes`.
const char* validate_leaf_entry(const char* page, std::size_t at, const Bounds& b, std::size_t& heap_bytes) noexcept {
  if (at + format::kLeafEntryHeaderBytes > kPageBytes) return "leaf entry outside the page";
  const std::uint16_t info = rt::load_le16(page + at);
  if ((info >> 15) != 0) return "leaf entry with an unknown flag";
  const std::size_t suffix = info & format::kSuffixMask;
  const unsigned kind = (info >> format::kKindShift) & format::kKindMask;
  if (kind > static_cast<unsigned>(format::EntryKind::merge)) return "leaf entry of an unknown kind";
  if (b.prefix + suffix > kKeyBytesMax || b.prefix + suffix == 0) return "key length out of bounds";
  std::size_t bytes = format::kLeafEntryHeaderBytes + rt::load_le16(page + at + 2);
  if ((info & format::kExpiryFlag) != 0) bytes += format::kExpiryBytes;
  if (suffix > format::kHeadBytes) bytes += suffix - format::kHeadBytes;
  if (at + bytes > kPageBytes) return "leaf entry runs over the end of the page";
  heap_bytes += bytes;
  if (kind != static_cast<unsigned>(format::EntryKind::overflow)) return nullptr;
  const std::size_t value_bytes = rt::load_le16(page + at + 2);
  return validate_overflow(page + at + bytes - value_bytes, value_bytes);
}

const char* validate_branch_entry(const char* page, std::size_t at, const Bounds& b, std::size_t& heap_bytes) noexcept {
  if (at <= format::kHeadBytes) return b.prefix + at == 0 ? "empty separator" : nullptr;
  if (at + 2 > kPageBytes) return "separator outside the page";
  const std::size_t suffix = rt::load_le16(page + at);
  if (suffix <= format::kHeadBytes || b.prefix + suffix > kKeyBytesMax) return "separator length out of bounds";
  heap_bytes += 2 + suffix - format::kHeadBytes;
  return at + 2 + suffix - format::kHeadBytes > kPageBytes ? "separator runs over the end of the page" : nullptr;
}

// A validated key of the node after the prefix.
struct Suffix {
  std::size_t bytes;
  const char* tail;
};

Suffix suffix_of(const char* page, std::size_t at, bool leaf) noexcept {
  if (!leaf && at <= format::kHeadBytes) return {at, nullptr};
  const std::uint16_t info = rt::load_le16(page + at);
  if (!leaf) return {info, page + at + 2};
  const std::size_t expiry = (info & format::kExpiryFlag) != 0 ? format::kExpiryBytes : 0;
  return {std::size_t{info} & format::kSuffixMask, page + at + format::kLeafEntryHeaderBytes + expiry};
}

// Keys with one head: the rest decides.
bool ascending(const Suffix& a, const Suffix& b) noexcept {
  const std::size_t shorter = a.bytes < b.bytes ? a.bytes : b.bytes;
  const int order = shorter > format::kHeadBytes ? std::memcmp(a.tail, b.tail, shorter - format::kHeadBytes) : 0;
  return order < 0 || (order == 0 && a.bytes < b.bytes);
}

}  // namespace

const char* validate_table_kinds(const char* page) noexcept {
  const NodeView view(page);
  for (std::size_t i = 0; view.is_leaf() && i < view.count(); ++i) {
    if (view.leaf_entry(i).kind > format::EntryKind::tombstone) return "has an entry of a kind that tables do not hold";
  }
  return nullptr;
}

namespace {

// What a parent promises: keys in [low, high), where it says so.
struct Promise {
  std::uint64_t entries;
  const Bytes* low;   // null: open
  const Bytes* high;  // null: open
};

const char* broken(const Promise& promise, const NodeSpan& child) noexcept {
  char key_bytes[kKeyBytesMax + NodeView::kKeySlack];
  const bool leaf = child.is_leaf();
  if (leaf && promise.entries != child.entries()) return "has another entry count than its parent says";
  if (!leaf && child.front().count() == 1) return nullptr;  // a branch's first separator is open
  const auto key = [&](const NodeView& node, std::size_t i) {
    return Bytes(key_bytes, leaf ? node.leaf_key(i, key_bytes) : node.separator(i, key_bytes));
  };
  if (promise.low != nullptr) {
    const Bytes first = key(child.front(), leaf ? 0 : 1);
    if (first < *promise.low || (!leaf && first == *promise.low)) return "has keys below its bounds";
  }
  if (promise.high != nullptr && !(key(child.back(), child.back().count() - 1) < *promise.high)) {
    return "has keys above its bounds";
  }
  return nullptr;
}

}  // namespace

const char* validate_child(const NodeView& parent, std::size_t index, const NodeView& child) noexcept {
  return validate_child(parent, index, NodeSpan(child.page()));
}

const char* validate_child(const NodeView& parent, std::size_t index, const NodeSpan& child) noexcept {
  char low_bytes[kKeyBytesMax + NodeView::kKeySlack];
  char high_bytes[kKeyBytesMax + NodeView::kKeySlack];
  Bytes low;
  Bytes high;
  const bool bounded = index + 1 < parent.count();
  if (index > 0) low = Bytes(low_bytes, parent.separator(index, low_bytes));
  if (bounded) high = Bytes(high_bytes, parent.separator(index + 1, high_bytes));
  return broken({parent.child(index).entries, index > 0 ? &low : nullptr, bounded ? &high : nullptr}, child);
}

void ChildPromise::note(const NodeView& parent, std::size_t index) noexcept {
  has_low_ = index > 0;
  has_high_ = index + 1 < parent.count();
  const std::size_t low_bytes = has_low_ ? parent.separator_bytes(index) : 0;
  const std::size_t high_bytes = has_high_ ? parent.separator_bytes(index + 1) : 0;
  known_ = low_bytes <= kBoundBytesMax && high_bytes <= kBoundBytesMax;
  if (!known_) return;
  if (has_low_) static_cast<void>(parent.separator(index, low_));
  if (has_high_) static_cast<void>(parent.separator(index + 1, high_));
  low_bytes_ = static_cast<std::uint8_t>(low_bytes);
  high_bytes_ = static_cast<std::uint8_t>(high_bytes);
  entries_ = parent.child(index).entries;
}

const char* ChildPromise::broken_by(const NodeView& child) const noexcept { return broken_by(NodeSpan(child.page())); }

const char* ChildPromise::broken_by(const NodeSpan& child) const noexcept {
  CAMBIUM_ASSERT(known_);
  const Bytes low(low_, low_bytes_);
  const Bytes high(high_, high_bytes_);
  return broken({entries_, has_low_ ? &low : nullptr, has_high_ ? &high : nullptr}, child);
}

const char* validate_node(const char* page) noexcept {
  const auto& header = *reinterpret_cast<const format::NodeHeader*>(page);
  const bool leaf = header.page.type == format::PageType::leaf;
  if (!leaf && header.page.type != format::PageType::branch) return "not a tree node";
  if (leaf != (header.page.level == 0)) return "node level does not fit its type";
  const Bounds b = bounds_of(header);
  if (b.count == 0 || b.prefix > kKeyBytesMax) return "node count or prefix out of bounds";
  if (b.arrays_end > header.heap_begin || header.heap_begin > kPageBytes) return "node arrays overlap the heap";

  const auto* heads = reinterpret_cast<const std::uint32_t*>(page + b.heads);
  const std::size_t first = leaf ? 0 : 1;
  std::size_t heap_bytes = 0;
  Suffix previous{};
  for (std::size_t i = first; i < b.count; ++i) {
    const std::size_t at = rt::load_le16(page + b.slots + 2 * i);
    if ((leaf || at > format::kHeadBytes) && at < header.heap_begin) return "slot points below the heap";
    const char* wrong =
        leaf ? validate_leaf_entry(page, at, b, heap_bytes) : validate_branch_entry(page, at, b, heap_bytes);
    if (wrong != nullptr) return wrong;
    const Suffix suffix = suffix_of(page, at, leaf);
    if (suffix.bytes < format::kHeadBytes && (std::uint64_t{heads[i]} << (8 * suffix.bytes) & 0xffffffffu) != 0) {
      return "head longer than its key";
    }
    if (i > first && (heads[i] < heads[i - 1] || (heads[i] == heads[i - 1] && !ascending(previous, suffix)))) {
      return "keys out of order";
    }
    previous = suffix;
  }
  // Entries lie side by side: a page that shows the same bytes twice could show more than a page.
  if (heap_bytes != kPageBytes - header.heap_begin) return "entries do not fill the heap";
  if (!leaf) {
    const NodeView view(page);
    for (std::size_t i = 0; i < b.count; ++i) {
      if (view.child(i).empty()) return "branch with an empty child pointer";
    }
  }
  return nullptr;
}

}  // namespace cambium::node
