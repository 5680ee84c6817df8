// SPDX-License-Identifier: MIT OR Apache-2.0
// Bytes of the space map: which pages of the file are in use.
//
// The file after the superblock (pages 0-3) is a row of allocation groups of 32,256 pages (126 MiB). Two levels:
//
//   superblock --(slot, CRC)--> group table (one per 336 groups) --(slot, CRC, free)--> group bitmap
//
// Both live at fixed places, each in two slots written alternately, so a commit writes only what changed and the space
// map needs no allocation for itself:
//
//   page of the group   0          1          2, 3 (only in the first group of a region of 336)
//   holds               bitmap, slot 0 and 1  group table, slot 0 and 1
//
// Group bitmap page                          Group table page
//   offset size  field                         offset size    field
//   0      32    PageHeader (group_bitmap)     0      32      PageHeader (group_table), count = groups
//   32     4     group                         32     4       region
//   36     28    reserved, zero                36     28      reserved, zero
//   64     4032  bit i = page i is in use      64     12 x n  GroupRecord
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/ids.h>
#include <cambium/limits.h>

#include "format/page_header.h"

namespace cambium::format {

inline constexpr std::uint32_t kSuperblockPages = 4;
inline constexpr std::uint32_t kGroupPages = 32'256;
inline constexpr std::uint32_t kGroupWords = kGroupPages / 64;
inline constexpr std::uint32_t kBitmapSlots = 2;  // pages 0 and 1 of every group
inline constexpr std::uint32_t kTableSlots = 2;   // pages 2 and 3 of the first group of a region
inline constexpr std::uint32_t kGroupsPerTable = 336;
inline constexpr std::uint32_t kTablesMax = 100;

struct GroupBitmapPage {
  PageHeader page;
  std::uint32_t group;
  std::uint32_t reserved[7];
  std::uint64_t words[kGroupWords];
};
static_assert(sizeof(GroupBitmapPage) == kPageBytes && offsetof(GroupBitmapPage, words) == 64);
static_assert(kGroupPages % 64 == 0 && std::has_unique_object_representations_v<GroupBitmapPage>);

struct GroupRecord {
  std::uint32_t checksum;
  std::uint32_t free_pages;
  std::uint32_t slot;
};
static_assert(sizeof(GroupRecord) == 12);

struct GroupTablePage {
  PageHeader page;
  std::uint32_t region;
  std::uint32_t reserved[7];
  GroupRecord groups[kGroupsPerTable];
};
static_assert(sizeof(GroupTablePage) == kPageBytes && offsetof(GroupTablePage, groups) == 64);
static_assert(std::has_unique_object_representations_v<GroupTablePage>, "no padding on disk");
static_assert(std::uint64_t{kTablesMax} * kGroupsPerTable * kGroupPages >= kFilePagesMax);

constexpr std::uint32_t group_of(PageId page) noexcept {
  return static_cast<std::uint32_t>((raw(page) - kSuperblockPages) / kGroupPages);
}
constexpr PageId group_first_page(std::uint32_t group) noexcept {
  return PageId{kSuperblockPages + std::uint64_t{group} * kGroupPages};
}
// Pages at the start of a group that belong to the space map itself.
constexpr std::uint32_t group_own_pages(std::uint32_t group) noexcept {
  return group % kGroupsPerTable == 0 ? kBitmapSlots + kTableSlots : kBitmapSlots;
}
// Can a run of pages hold nodes or values: inside a file of so many pages, in one group, behind that group's own pages?
// Whatever refers to a page is asked this before the page is read or freed, since a reference may be forged.
constexpr bool holds_data(PageId first, std::uint64_t pages, std::uint64_t file_pages) noexcept {
  if (raw(first) < kSuperblockPages || pages == 0) return false;
  if (raw(first) >= file_pages || pages > file_pages - raw(first)) return false;
  const std::uint32_t group = group_of(first);
  const std::uint64_t offset = raw(first) - raw(group_first_page(group));
  return offset >= group_own_pages(group) && offset + pages <= kGroupPages;
}

}  // namespace cambium::format
