// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/leaf_unpacker.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace cambium::node {

using format::PackedLeafHeader;

namespace {

const PackedLeafHeader& packed_header_of(const char* page) noexcept {
  return *reinterpret_cast<const PackedLeafHeader*>(page);
}

// The header alone: every size in it is good after this.
const char* validate_header(const char* page) noexcept {
  const PackedLeafHeader& header = packed_header_of(page);
  if (header.page.level != format::kPackedLeafLevel) return "packed leaves of another level";
  if (header.page.count == 0 || header.page.count > format::kPackedLeavesMax) return "an impossible count of leaves";
  if (header.leaf_bytes != header.page.count * kPageBytes) return "packed leaves of another size than their count";
  if (header.packed_bytes == 0 || header.packed_bytes > format::kPackedBytesMax) return "packed bytes beyond the page";
  if (header.reserved != 0) return "packed leaves with unknown fields";
  const char* const rest = page + sizeof header + header.packed_bytes;
  if (std::any_of(rest, page + kPageBytes, [](char byte) { return byte != 0; })) return "bytes behind packed leaves";
  if (header.compression != Compression::lz4 && header.compression != Compression::zstd)
    return "leaves packed in an unknown way";
  if (!has_codec(header.compression)) {
    return header.compression == Compression::lz4 ? "leaves packed with lz4, which this build was made without"
                                                  : "leaves packed with zstd, which this build was made without";
  }
  return nullptr;
}

// Leaf `index` of those in `memory`, before its header is filled in.
const char* validate_leaf(const char* memory, std::size_t index) noexcept {
  const char* const leaf = memory + index * kPageBytes;
  const format::PageHeader& header = format::header_of(leaf);
  if (header.type != format::PageType::leaf) return "something packed that is no leaf";
  if (header.checksum != 0 || header.page_id != 0 || header.generation != 0 || header.file_id != 0) {
    return "a packed leaf that says where it is";
  }
  if (const char* const wrong = validate_node(leaf); wrong != nullptr) return wrong;
  if (const char* const wrong = validate_table_kinds(leaf); wrong != nullptr) return wrong;
  if (index == 0) return nullptr;
  char low[kKeyBytesMax + NodeView::kKeySlack];
  char high[kKeyBytesMax + NodeView::kKeySlack];
  const NodeView before(leaf - kPageBytes);
  const Bytes last(low, before.leaf_key(before.count() - 1, low));
  const Bytes first(high, NodeView(leaf).leaf_key(0, high));
  return last < first ? nullptr : "packed leaves out of order";
}

// What the page says for all of its leaves.
void fill_headers(const char* page, char* memory) noexcept {
  const format::PageHeader& from = format::header_of(page);
  for (std::size_t i = 0; i < from.count; ++i) {
    format::PageHeader& header = format::header_of(memory + i * kPageBytes);
    header.checksum = from.checksum;
    header.page_id = from.page_id;
    header.generation = from.generation;
    header.file_id = from.file_id;
  }
}

}  // namespace

bool LeafUnpacker::unpack_to(const char* page, char* memory) noexcept {
  const PackedLeafHeader& header = packed_header_of(page);
  return codec_.decompress(header.compression, Bytes(page + sizeof header, header.packed_bytes), memory,
                           header.leaf_bytes);
}

void LeafUnpacker::hold(const char* page) noexcept {
  fill_headers(page, memory_.get());
  std::memcpy(held_page(), page, kPageBytes);
  holding_ = true;
}

const char* LeafUnpacker::validate(const char* page) noexcept {
  if (const char* const wrong = validate_header(page); wrong != nullptr) return wrong;
  holding_ = false;
  if (!memory_) memory_ = std::make_unique_for_overwrite<char[]>(format::kUnpackedBytesMax + kPageBytes);
  if (!unpack_to(page, memory_.get())) return "packed leaves that cannot be unpacked";
  for (std::size_t i = 0; i < format::header_of(page).count; ++i) {
    if (const char* const wrong = validate_leaf(memory_.get(), i); wrong != nullptr) return wrong;
  }
  hold(page);
  return nullptr;
}

NodeSpan LeafUnpacker::unpacked(const char* page) noexcept {
  if (!holds(page)) {
    holding_ = false;
    if (!memory_) memory_ = std::make_unique_for_overwrite<char[]>(format::kUnpackedBytesMax + kPageBytes);
    const bool whole = unpack_to(page, memory_.get());
    CAMBIUM_ASSERT(whole);
    hold(page);
  }
  return NodeSpan(memory_.get(), format::header_of(page).count);
}

NodeSpan LeafUnpacker::unpack(const char* page, char* memory) noexcept {
  const std::size_t count = format::header_of(page).count;
  if (holds(page)) {  // it has just come through the door
    std::memcpy(memory, memory_.get(), count * kPageBytes);
  } else {
    const bool whole = unpack_to(page, memory);
    CAMBIUM_ASSERT(whole);
    fill_headers(page, memory);
  }
  return NodeSpan(memory, count);
}

void build_packed_leaf(char* page, const NodeIdentity& identity, Compression compression, std::size_t leaves,
                       Bytes packed) noexcept {
  CAMBIUM_ASSERT(leaves != 0 && leaves <= format::kPackedLeavesMax);
  CAMBIUM_ASSERT(!packed.empty() && packed.size() <= format::kPackedBytesMax);
  PackedLeafHeader header{};
  header.page = {.checksum = 0,
                 .type = format::PageType::packed_leaf,
                 .level = static_cast<std::uint8_t>(format::kPackedLeafLevel),
                 .count = static_cast<std::uint16_t>(leaves),
                 .page_id = raw(identity.page),
                 .generation = raw(identity.generation),
                 .file_id = identity.file_id};
  header.compression = compression;
  header.packed_bytes = static_cast<std::uint16_t>(packed.size());
  header.leaf_bytes = static_cast<std::uint32_t>(leaves * kPageBytes);
  std::memcpy(page, &header, sizeof header);
  std::memcpy(page + sizeof header, packed.data(), packed.size());
  std::memset(page + sizeof header + packed.size(), 0, format::kPackedBytesMax - packed.size());
}

}  // namespace cambium::node
