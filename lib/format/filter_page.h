// SPDX-License-Identifier: MIT OR Apache-2.0
// A page of an sstable's filter: 63 blocks of one cache line each, behind a header that fills the first line.
//
//   offset size    field
//   0      32      PageHeader   type filter, count = 63, level 255 (kFilterLevel)
//   32     8       keys         of the sstable that the filter was made for    |
//   40     4       pages        of the whole filter                            | FilterRecord: the same in every
//   44     1       probes       bits set and asked for per key, 1 .. 16        | page, and in what refers to them
//   45     1       scheme       how a hash becomes bits: 1                     |
//   46     2       reserved     zero                                           |
//   48     4       index        of this page in the filter
//   52     12      reserved     zero
//   64     63 x 64 blocks       512 bits each
//
// Scheme 1. h is the 64-bit hash of the key (base/hash.h, seed 0); products are of unbounded width.
//   page   = (h * pages) >> 64
//   block  = (((h * pages) mod 2^64) * 63) >> 64
//   bit i  = p_i >> 23 of the block, where p_0 = h mod 2^32 and p_(i+1) = p_i * 0x9e3779b9 mod 2^32
// Bit b of a block is bit b % 32 of its little-endian 32-bit word b / 32. Page and block come from the top of the
// hash, the bits from its lower half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/limits.h>

#include "format/page_header.h"

namespace cambium::format {

inline constexpr std::size_t kFilterBlockBytes = 64;
inline constexpr std::size_t kFilterBlockBits = 8 * kFilterBlockBytes;
inline constexpr std::size_t kFilterBlocksPerPage = kPageBytes / kFilterBlockBytes - 1;
inline constexpr std::size_t kFilterBitsPerPage = kFilterBlocksPerPage * kFilterBlockBits;
inline constexpr unsigned kFilterProbesMax = 16;
inline constexpr std::uint8_t kFilterScheme = 1;
inline constexpr std::uint32_t kFilterProbeFactor = 0x9e3779b9;
inline constexpr std::uint32_t kFilterPagesMax = 1u << 20;  // 4 GiB: 3.4 billion keys of 10 bits

struct FilterRecord {
  std::uint64_t keys;
  std::uint32_t pages;
  std::uint8_t probes;
  std::uint8_t scheme;
  std::uint16_t reserved;
};
static_assert(sizeof(FilterRecord) == 16 && offsetof(FilterRecord, pages) == 8 && offsetof(FilterRecord, probes) == 12);
static_assert(std::has_unique_object_representations_v<FilterRecord>, "no padding on disk");

struct FilterPageHeader {
  PageHeader page;
  FilterRecord filter;
  std::uint32_t index;
  std::uint32_t reserved0;
  std::uint64_t reserved1;
};
static_assert(sizeof(FilterPageHeader) == kFilterBlockBytes, "blocks begin on a cache line");
static_assert(offsetof(FilterPageHeader, filter) == 32 && offsetof(FilterPageHeader, index) == 48);
static_assert(std::has_unique_object_representations_v<FilterPageHeader>, "no padding on disk");
static_assert(sizeof(FilterPageHeader) + kFilterBlocksPerPage * kFilterBlockBytes == kPageBytes);

}  // namespace cambium::format
