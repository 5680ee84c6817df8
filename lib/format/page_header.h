// SPDX-License-Identifier: MIT OR Apache-2.0
// The first 32 bytes of every page of a partition except overflow pages and WAL segments.
//
//   offset size field
//   0      4    checksum    CRC-32C (RFC 3720) of bytes 4 .. 4095
//   4      1    type        PageType
//   5      1    level       0 = leaf; branches count upwards; 255 = filter, 254 and 253 = learned index,
//                           252 = packed leaves
//   6      2    count       entries in the page
//   8      8    page_id     where the page was meant to be: catches misdirected writes
//   16     8    generation  the commit that wrote it
//   24     8    file_id     the partition it belongs to: catches pages of another file
//
// All integers are little-endian. The checksum of a page is also kept by whatever points at it, so a page that is
// intact but not the newest (a lost write) is caught by its parent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/ids.h>
#include <cambium/limits.h>

#include "base/crc32c.h"

namespace cambium::format {

enum class PageType : std::uint8_t {
  none = 0,
  superblock = 1,
  group_table = 2,
  group_bitmap = 3,
  leaf = 4,
  branch = 5,
  filter = 6,             // of an sstable: filter_page.h
  learned_root = 7,       // of an sstable: learned_index_page.h
  learned_directory = 8,  // likewise
  packed_leaf = 9,        // likewise: packed_leaf_page.h
};

// What the header of a filter page says for its level: it is never taken for a node.
inline constexpr unsigned kFilterLevel = 255;

struct PageHeader {
  std::uint32_t checksum;
  PageType type;
  std::uint8_t level;
  std::uint16_t count;
  std::uint64_t page_id;
  std::uint64_t generation;
  std::uint64_t file_id;
};
static_assert(sizeof(PageHeader) == 32 && std::is_trivially_copyable_v<PageHeader>);
static_assert(offsetof(PageHeader, count) == 6 && offsetof(PageHeader, page_id) == 8);
static_assert(offsetof(PageHeader, generation) == 16 && offsetof(PageHeader, file_id) == 24);
static_assert(std::has_unique_object_representations_v<PageHeader>, "no padding on disk");

inline const PageHeader& header_of(const char* page) noexcept { return *reinterpret_cast<const PageHeader*>(page); }
inline PageHeader& header_of(char* page) noexcept { return *reinterpret_cast<PageHeader*>(page); }

inline std::uint32_t page_checksum(const char* page) noexcept {
  return rt::crc32c(page + sizeof(std::uint32_t), kPageBytes - sizeof(std::uint32_t));
}

// Computes and stores the checksum of a finished page, and returns it for the page's parent.
inline std::uint32_t seal_page(char* page) noexcept {
  const std::uint32_t checksum = page_checksum(page);
  header_of(page).checksum = checksum;
  return checksum;
}

}  // namespace cambium::format
