// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/learned_index.h"

#include <algorithm>

#include <cambium/limits.h>

namespace cambium {
namespace {

const char* validate_segments(const LearnedIndexView& root) noexcept {
  const std::size_t count = root.segment_count();
  if ((count == 0) != (root.leaf_count() == 1)) return "learned index without segments";
  for (std::size_t i = 0; i < count; ++i) {
    const Segment segment = root.segment(i);
    if (segment.ordinal >= root.leaf_count()) return "segment beyond the last leaf";
    if (i == 0) {
      if (segment.ordinal != 0) return "first segment not at the first leaf";
      continue;
    }
    const Segment before = root.segment(i - 1);
    if (segment.start <= before.start || segment.ordinal < before.ordinal) return "segments out of order";
  }
  return nullptr;
}

bool all_zero(const std::uint64_t* words, std::size_t count) noexcept {
  return std::all_of(words, words + count, [](std::uint64_t word) { return word == 0; });
}

}  // namespace

const char* validate_learned_root(const char* page) noexcept {
  format::LearnedRootHeader header;
  std::memcpy(&header, page, sizeof header);
  if (header.page.type != format::PageType::learned_root || header.page.level != 1) return "not a learned index's root";
  if (header.leaf_count == 0) return "learned index of no leaves";
  if (header.directory_pages != format::directory_pages(header.leaf_count)) return "directory of a wrong length";
  if (header.prefix_bytes > kKeyBytesMax || header.bound_bytes_max > format::kLongBounds) return "bounds too long";
  if (header.epsilon == 0 || header.epsilon > format::kEpsilonMax) return "epsilon out of bounds";
  if (header.shared_max > format::kSharedHeadMax) return "too many leaves with one head";
  if (format::learned_root_bytes(header.page.count, header.directory_pages, header.prefix_bytes) > kPageBytes) {
    return "learned index runs over the end of its root";
  }
  const bool reserved = header.reserved0[0] == 0 && header.reserved0[1] == 0 && header.reserved0[2] == 0;
  if (!reserved || !all_zero(header.reserved1, std::size(header.reserved1))) return "root with unknown fields";
  return validate_segments(LearnedIndexView(page));
}

const char* validate_learned_directory(const char* page, const LearnedIndexView& root, std::uint32_t index) noexcept {
  format::LearnedDirectoryHeader header;
  std::memcpy(&header, page, sizeof header);
  if (header.page.type != format::PageType::learned_directory || header.page.level != 0) return "not a directory page";
  if (index >= root.directory_pages() || header.index != index) return "another page of the directory";
  const std::size_t left = root.leaf_count() - index * format::kDirectoryLeaves;
  if (header.page.count != std::min(left, format::kDirectoryLeaves)) return "directory page of a wrong length";
  if (header.reserved0 != 0 || !all_zero(header.reserved1, std::size(header.reserved1))) {
    return "directory page with unknown fields";
  }
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < header.page.count; ++i) {
    const std::uint64_t head = rt::load_le64(page + format::kDirectoryHeads + 8 * i);
    if (head < before) return "heads out of order";
    if (index == 0 && i == 0 && head != 0) return "the first leaf's bound is not open";
    before = head;
  }
  return nullptr;
}

}  // namespace cambium
