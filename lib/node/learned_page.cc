// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/learned_page.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include <cambium/limits.h>

#include "base/endian.h"
#include "format/learned_index_page.h"

namespace cambium::node {

namespace {

bool all_zero(const std::uint64_t* words, std::size_t count) noexcept {
  return std::all_of(words, words + count, [](std::uint64_t word) { return word == 0; });
}

// Requires: the arrays lie inside the page.
const char* validate_segments(const char* page, const format::LearnedRootHeader& header) noexcept {
  const std::size_t count = header.page.count;
  const char* const starts = page + sizeof header;
  const char* const ordinals = starts + 16 * count;
  if ((count == 0) != (header.leaf_count == 1)) return "learned index without segments";
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t ordinal = rt::load_le32(ordinals + 4 * i);
    if (ordinal >= header.leaf_count) return "segment beyond the last leaf";
    if (i == 0) {
      if (ordinal != 0) return "first segment not at the first leaf";
      continue;
    }
    if (rt::load_le64(starts + 8 * i) <= rt::load_le64(starts + 8 * (i - 1)) ||
        ordinal < rt::load_le32(ordinals + 4 * (i - 1))) {
      return "segments out of order";
    }
  }
  return nullptr;
}

}  // namespace

const char* validate_learned_root(const char* page) noexcept {
  format::LearnedRootHeader header;
  std::memcpy(&header, page, sizeof header);
  const bool level = header.page.level == 1 || header.page.level == format::kLearnedRootLevel;
  if (header.page.type != format::PageType::learned_root || !level) return "is no root of a learned index";
  if (header.leaf_count == 0) return "is a learned index of no leaves";
  if (header.directory_pages != format::directory_pages(header.leaf_count)) return "has a directory of a wrong length";
  if (header.prefix_bytes > kKeyBytesMax || header.bound_bytes_max > format::kLongBounds) return "has bounds too long";
  if (header.epsilon == 0 || header.epsilon > format::kEpsilonMax) return "has an epsilon out of bounds";
  if (header.shared_max > format::kSharedHeadMax) return "has too many leaves with one head";
  if (format::learned_root_bytes(header.page.count, header.directory_pages, header.prefix_bytes) > kPageBytes) {
    return "holds a learned index that runs over its end";
  }
  const bool reserved = header.reserved0[0] == 0 && header.reserved0[1] == 0 && header.reserved0[2] == 0;
  if (!reserved || !all_zero(header.reserved1, std::size(header.reserved1))) return "has unknown fields";
  return validate_segments(page, header);
}

const char* validate_learned_directory(const char* page) noexcept {
  format::LearnedDirectoryHeader header;
  std::memcpy(&header, page, sizeof header);
  const bool level = header.page.level == 0 || header.page.level == format::kLearnedDirectoryLevel;
  if (header.page.type != format::PageType::learned_directory || !level) return "is no page of a directory";
  if (header.page.count == 0 || header.page.count > format::kDirectoryLeaves)
    return "has an impossible count of leaves";
  if (header.reserved0 != 0 || !all_zero(header.reserved1, std::size(header.reserved1))) return "has unknown fields";
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < header.page.count; ++i) {
    const std::uint64_t head = rt::load_le64(page + format::kDirectoryHeads + 8 * i);
    if (head < before) return "has heads out of order";
    if (header.index == 0 && i == 0 && head != 0) return "has a closed bound for the first leaf";
    before = head;
  }
  return nullptr;
}

}  // namespace cambium::node
