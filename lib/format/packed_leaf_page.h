// SPDX-License-Identifier: MIT OR Apache-2.0
// A page of a compressed sstable: one to eight leaves, compressed together.
//
//   offset size        field
//   0      32          PageHeader    type packed_leaf, level 252, count = leaves
//   32     1           compression   Compression: 1 = lz4, 2 = zstd
//   33     1           reserved      zero
//   34     2           packed_bytes
//   36     4           leaf_bytes    4096 x leaves: what the packed bytes become
//   40     ..          packed bytes  an LZ4 block, or a zstd frame
//   ..     ..          zero
//
// Unpacked, the leaves lie side by side, each as node_page.h has it, but for the fields of its PageHeader that the page
// says already: checksum, page_id, generation and file_id are zero. Keys ascend from one leaf to the next.
//
// A parent refers to the page as it would to a leaf; its ChildPointer counts the entries of all its leaves. Such pages
// and ordinary leaves stand side by side in one sstable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/limits.h>

#include "format/page_header.h"

namespace cambium::format {

using cambium::Compression;
static_assert(sizeof(Compression) == 1 && static_cast<int>(Compression::none) == 0 &&
              static_cast<int>(Compression::lz4) == 1 && static_cast<int>(Compression::zstd) == 2);

// What the header says for the level: a tree, which asks for leaves at level 0, never takes it for one. Whoever reads
// sstables asks for this level, and gets what is there: a leaf, or leaves that are packed.
inline constexpr unsigned kPackedLeafLevel = 252;
inline constexpr unsigned kAnyLeafLevel = kPackedLeafLevel;
constexpr bool level_fits(unsigned level, unsigned asked) noexcept {
  return level == asked || (asked == kAnyLeafLevel && level == 0);
}
constexpr bool is_leaf_level(unsigned level) noexcept { return level == 0 || level == kAnyLeafLevel; }

struct PackedLeafHeader {
  PageHeader page;
  Compression compression;
  std::uint8_t reserved;
  std::uint16_t packed_bytes;
  std::uint32_t leaf_bytes;
};
static_assert(sizeof(PackedLeafHeader) == 40 && offsetof(PackedLeafHeader, packed_bytes) == 34);
static_assert(offsetof(PackedLeafHeader, compression) == 32 && offsetof(PackedLeafHeader, leaf_bytes) == 36);
static_assert(std::has_unique_object_representations_v<PackedLeafHeader>, "no padding on disk");

inline constexpr std::size_t kPackedLeavesMax = 8;
inline constexpr std::size_t kPackedBytesMax = kPageBytes - sizeof(PackedLeafHeader);
inline constexpr std::size_t kUnpackedBytesMax = kPackedLeavesMax * kPageBytes;

inline bool is_packed_leaf(const char* page) noexcept { return header_of(page).type == PageType::packed_leaf; }

}  // namespace cambium::format
