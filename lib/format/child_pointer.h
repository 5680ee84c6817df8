// SPDX-License-Identifier: MIT OR Apache-2.0
// A reference from one page to another: where it is, what its bytes must be, and how much lies below it.
//
//   offset size field
//   0      4    page      page id; files have at most 2^30 pages. 0 = no page
//   4      4    checksum  CRC-32C of the page, equal to the one in its header
//   8      8    entries   number of leaf entries below the pointer
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/ids.h>

namespace cambium::format {

struct ChildPointer {
  std::uint32_t page = 0;
  std::uint32_t checksum = 0;
  std::uint64_t entries = 0;

  PageId id() const noexcept { return PageId{page}; }
  bool empty() const noexcept { return page == 0; }
  friend bool operator==(const ChildPointer&, const ChildPointer&) = default;
};
static_assert(sizeof(ChildPointer) == 16 && offsetof(ChildPointer, entries) == 8);
static_assert(std::has_unique_object_representations_v<ChildPointer>, "no padding on disk");

}  // namespace cambium::format
