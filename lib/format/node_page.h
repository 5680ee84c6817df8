// SPDX-License-Identifier: MIT OR Apache-2.0
// Bytes of a tree node: leaf or branch, one 4 KiB page, built once from a sorted stream and never edited.
//
//   offset          size       field
//   0               32         PageHeader          type leaf or branch, count = entries
//   32              2          prefix_bytes        length of what all keys of the node begin with
//   34              2          heap_begin          lowest offset in use by the heap
//   36              4          reserved            zero
//   40              prefix     prefix              (a branch's first key takes no part in it)
//   H = align4      4 x count  heads               u32: the 4 bytes of each key after the prefix, zero-padded,
//                                                  as a big-endian number, so that their order is the keys' order
//   branch: C       16 x count children            ChildPointer
//   S               2 x count  slots               u16: see below
//   ...                        free
//   heap_begin                 heap                grows downwards from 4096
//
// Leaf: a slot is the offset of  { u16 key_info, u16 value_bytes, [u64 expiry], tail, value }  where key_info is
//   suffix_bytes (11 bits: key bytes after the prefix) | EntryKind << 11 (3 bits) | has_expiry << 14 | 0 << 15
//   and tail holds the suffix from its fifth byte on (the first four are the head).
// Branch: key i is the lower bound of child i; that of child 0 is open and stored empty. A slot <= 4 is the number of
//   suffix bytes, all of them in the head; a larger slot is the offset of { u16 suffix_bytes, tail }.
//
//     +--------+---------+--------+-------+----------+-------+------ ... ------+-------------------+
//     | header | prefix  | heads  | (children)       | slots |      free       |  heap             |
//     +--------+---------+--------+-------+----------+-------+------ ... ------+-------------------+
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/limits.h>

#include "format/child_pointer.h"
#include "format/page_header.h"

namespace cambium::format {

// What an entry of a leaf holds.
enum class EntryKind : std::uint8_t {
  value = 0,
  overflow = 1,   // an OverflowReference: the value lies in extents of its own
  tombstone = 2,  // sstables only
  merge = 3,      // sstables only
};

struct NodeHeader {
  PageHeader page;
  std::uint16_t prefix_bytes;
  std::uint16_t heap_begin;
  std::uint32_t reserved;
};
static_assert(sizeof(NodeHeader) == 40 && offsetof(NodeHeader, prefix_bytes) == 32);
static_assert(std::has_unique_object_representations_v<NodeHeader>, "no padding on disk");

inline constexpr std::size_t kHeadBytes = 4;
inline constexpr std::size_t kLeafEntryHeaderBytes = 4;  // key_info, value_bytes
inline constexpr std::size_t kExpiryBytes = 8;
inline constexpr std::uint16_t kSuffixMask = 0x7ff;
inline constexpr unsigned kKindShift = 11;
inline constexpr std::uint16_t kKindMask = 0x7;
inline constexpr std::uint16_t kExpiryFlag = 1u << 14;
inline constexpr std::size_t kLeafEntryOverhead = kHeadBytes + sizeof(std::uint16_t) + kLeafEntryHeaderBytes;
inline constexpr std::size_t kBranchEntryOverhead = kHeadBytes + sizeof(ChildPointer) + sizeof(std::uint16_t);
inline constexpr std::size_t kNodeCountMax = (kPageBytes - sizeof(NodeHeader)) / (kLeafEntryOverhead);
inline constexpr std::size_t kBranchCountMax = (kPageBytes - sizeof(NodeHeader)) / kBranchEntryOverhead;
static_assert(kKeyBytesMax <= kSuffixMask);
// Three entries of the largest key and value that may stand in a leaf need not fit, but one must, with room for two
// branch separators of the largest key beside each other: otherwise no tree could be built.
static_assert(sizeof(NodeHeader) + kLeafEntryOverhead + kExpiryBytes + kKeyBytesMax + kInlineValueBytesMax <=
              kPageBytes);
static_assert(sizeof(NodeHeader) + 3 * (kBranchEntryOverhead + 2 + kKeyBytesMax) <= kPageBytes);

constexpr std::size_t heads_offset(std::size_t prefix_bytes) noexcept {
  return (sizeof(NodeHeader) + prefix_bytes + 3) & ~std::size_t{3};
}

}  // namespace cambium::format
