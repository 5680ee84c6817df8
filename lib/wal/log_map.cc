// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/log_map.h"

#include <algorithm>

#include <cambium/rt/when_all.h>

#include "base/text.h"
#include "format/wal_group.h"

namespace cambium {
namespace {

Task<Status> read_header(BlockDevice& device, std::uint64_t offset, char* block, std::int32_t buffer_index) {
  Status read = co_await device.read(offset, block, format::kWalBlockBytes, buffer_index);
  co_return read;
}

Error impossible(const BlockDevice& device, std::string_view what) {
  return Error(Errc::corruption, rt::str("the log of ", device.name(), " ", what));
}

}  // namespace

Status check_layout(const BlockDevice& device, const WalLayout& layout) {
  if (layout.log_id == 0) return impossible(device, "has no id");
  if (layout.segment_pages < format::kWalSegmentPagesMin || layout.segment_pages > format::kWalSegmentPagesMax)
    return impossible(device, rt::str("has segments of ", layout.segment_pages, " pages"));
  if (layout.first_pages.size() > format::kWalSegmentsMax)
    return impossible(device, rt::str("has ", layout.first_pages.size(), " segments"));
  if (layout.start_position > format::kWalPositionMax || layout.start_position % format::kWalBlockBytes != 0)
    return impossible(device, rt::str("begins at position ", layout.start_position));
  std::vector<std::uint32_t> pages = layout.first_pages;
  std::sort(pages.begin(), pages.end());
  const std::uint64_t device_pages = device.size_bytes() / kPageBytes;
  std::uint64_t free_from = 1;  // page 0 is a superblock
  for (const std::uint32_t page : pages) {
    if (page < free_from || std::uint64_t{page} + layout.segment_pages > device_pages) {
      return impossible(device, rt::str("has a segment at page ", page, ", which overlaps another or ends beyond page ",
                                        device_pages));
    }
    free_from = std::uint64_t{page} + layout.segment_pages;
  }
  return {};
}

Task<Result<LogMap>> read_log_map(BlockDevice& device, const WalLayout& layout, char* memory,
                                  std::int32_t buffer_index) {
  LogMap map;
  std::vector<Task<Status>> reads;
  for (std::size_t i = 0; i < layout.first_pages.size(); ++i) {
    reads.push_back(
        read_header(device, wal_file_offset(layout.first_pages[i]), memory + i * format::kWalBlockBytes, buffer_index));
  }
  const std::vector<Status> done = co_await when_all(std::move(reads));
  const std::uint64_t start_ordinal = layout.ordinal_of(layout.start_position);
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (!done[i]) co_return done[i].error();
    const auto& header = *reinterpret_cast<const format::WalSegmentHeader*>(memory + i * format::kWalBlockBytes);
    LogSegment segment;
    segment.first_page = layout.first_pages[i];
    segment.ours = header.log_id == layout.log_id;
    segment.marked = intact(header, layout.log_id, layout.segment_pages);
    segment.ordinal = segment.marked ? header.ordinal : 0;
    map.segments.push_back(segment);
  }
  std::vector<LogSegment> ordered;
  for (const LogSegment& segment : map.segments) {
    if (segment.marked && segment.ordinal >= start_ordinal) ordered.push_back(segment);
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const LogSegment& a, const LogSegment& b) { return a.ordinal < b.ordinal; });
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    if (i != 0 && ordered[i].ordinal == ordered[i - 1].ordinal) {
      co_return impossible(device, rt::str("has two segments with number ", ordered[i].ordinal, ", at pages ",
                                           ordered[i - 1].first_page, " and ", ordered[i].first_page));
    }
    if (ordered[i].ordinal == start_ordinal + map.chain.size()) map.chain.push_back(ordered[i].first_page);
  }
  // A start inside a segment was a place where groups had been written before, and synced.
  if (map.chain.empty() && layout.offset_of(layout.canonical(layout.start_position)) != 0) {
    co_return impossible(device, rt::str("begins at position ", layout.start_position, ", in segment ", start_ordinal,
                                         ", and no segment has that number"));
  }
  co_return map;
}

}  // namespace cambium
