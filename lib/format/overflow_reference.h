// SPDX-License-Identifier: MIT OR Apache-2.0
// What a leaf stores for a value that lies in overflow extents: raw value bytes on contiguous pages, no headers.
//
//   offset size field
//   0      4    value_bytes
//   4      4    checksum    CRC-32C of the value
//   8      8    generation  the commit that wrote it (tells when its pages may be reused)
//   16     8 n  extents     n >= 1 times { u32 first page, u32 pages }, in the order of the value's bytes
//
// A value of 1 GiB spans nine allocation groups, hence up to sixteen extents; nearly every value has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/limits.h>

namespace cambium::format {

struct OverflowExtent {
  std::uint32_t first_page;
  std::uint32_t pages;
};

struct OverflowReference {
  std::uint32_t value_bytes;
  std::uint32_t checksum;
  std::uint64_t generation;
};
static_assert(sizeof(OverflowReference) == 16 && sizeof(OverflowExtent) == 8);
static_assert(std::has_unique_object_representations_v<OverflowReference>, "no padding on disk");

inline constexpr std::size_t kOverflowExtentsMax = 16;
inline constexpr std::size_t kOverflowReferenceBytesMax =
    sizeof(OverflowReference) + kOverflowExtentsMax * sizeof(OverflowExtent);

constexpr std::uint32_t overflow_pages(std::uint64_t value_bytes) noexcept {
  return static_cast<std::uint32_t>((value_bytes + kPageBytes - 1) / kPageBytes);
}

}  // namespace cambium::format
