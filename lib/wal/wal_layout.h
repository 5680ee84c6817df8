// SPDX-License-Identifier: MIT OR Apache-2.0
// WalLayout: where a log is and where its replay begins; what a superblock keeps of it. And arithmetic on positions.
//
// Units      positions: bytes over the life of the log (format/wal_segment.h). File offsets: bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <cambium/limits.h>

#include "format/superblock.h"
#include "format/wal_segment.h"

namespace cambium {

struct WalLayout {
  std::uint64_t log_id = 0;          // random: neither guessable nor ever used twice in one file
  std::uint64_t start_position = 0;  // a multiple of 4 KiB
  std::uint32_t segment_pages = 1024;
  std::vector<std::uint32_t> first_pages;  // of the segments, in any order; at most format::kWalSegmentsMax

  std::uint64_t segment_bytes() const noexcept { return std::uint64_t{segment_pages} * format::kWalBlockBytes; }
  std::uint64_t ordinal_of(std::uint64_t position) const noexcept { return position / segment_bytes(); }
  std::uint64_t offset_of(std::uint64_t position) const noexcept { return position % segment_bytes(); }
  std::uint64_t begin_of(std::uint64_t ordinal) const noexcept { return ordinal * segment_bytes(); }
  // The first group of a segment is named by the segment's begin, so that a log may begin, or go on, where no segment
  // has been opened yet.
  std::uint64_t canonical(std::uint64_t position) const noexcept {
    return offset_of(position) == format::kWalBlockBytes ? position - format::kWalBlockBytes : position;
  }
};

// As a superblock describes it. Of a hostile one: check_layout() bounds the rest.
inline WalLayout wal_layout_of(const format::Superblock& record) {
  WalLayout layout;
  layout.log_id = record.wal_log_id;
  layout.start_position = record.wal_position;
  layout.segment_pages = record.wal_segment_pages;
  const std::size_t count = std::min<std::size_t>(record.wal_segment_count, format::kWalSegmentsMax);
  layout.first_pages.assign(record.wal_segments, record.wal_segments + count);
  return layout;
}

inline std::uint64_t wal_file_offset(std::uint32_t first_page) noexcept {
  return first_page * std::uint64_t{kPageBytes};
}

}  // namespace cambium
