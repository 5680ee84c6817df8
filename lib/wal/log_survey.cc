// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/log_survey.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "wal/log_blocks.h"
#include "wal/log_map.h"

namespace cambium {
namespace {

using format::kWalBlockBytes;
using format::WalGroupHeader;

bool is_damage(Errc code) noexcept { return code == Errc::io || code == Errc::corruption; }

class Survey {
 public:
  Survey(BlockDevice& device, const WalLayout& layout, Sequence in_tables, LogVisitor& visitor)
      : layout_(layout),
        device_(device),
        visitor_(visitor),
        blocks_(device),
        start_(layout.canonical(layout.start_position)),
        start_ordinal_(layout.ordinal_of(start_)) {
    range_.layout = layout;
    range_.in_tables = in_tables;
    range_.end_position = start_;
    range_.open_ended = true;
    range_.chain.assign(layout.first_pages.size(), 0);  // no log is longer than all its segments
  }
  bool valid() const noexcept { return blocks_.valid(); }

  Task<Status> run() {
    // (1) Which segment is which, as far as the headers say.
    for (const std::uint32_t first_page : layout_.first_pages) {
      co_await check(read_header(first_page));
    }
    // (2) The log, in the order of its positions, to the place where it ends; behind that, every block.
    std::vector<std::uint32_t> linked = range_.chain;
    linked.resize(static_cast<std::size_t>(std::find(linked.begin(), linked.end(), 0u) - linked.begin()));
    std::uint64_t begin = std::max<std::uint64_t>(layout_.offset_of(start_), kWalBlockBytes);
    for (std::size_t i = 0; i < linked.size(); ++i) {
      co_await check(look_at(linked[i], start_ordinal_ + i, begin));
      begin = kWalBlockBytes;
    }
    // (3) Every block of the other segments.
    ended_ = true;
    for (const std::uint32_t first_page : layout_.first_pages) {
      if (std::find(linked.begin(), linked.end(), first_page) != linked.end()) continue;
      newest_ = 0;
      co_await check(look_at(first_page, 0, kWalBlockBytes));
      if (std::find(unmarked_.begin(), unmarked_.end(), first_page) == unmarked_.end()) continue;
      // Where a header has the ordinal, the groups of another segment are left from an earlier time.
      std::uint32_t* const link = link_of(layout_.ordinal_of(newest_));
      if (newest_ != 0 && link != nullptr && *link == 0) *link = first_page;
    }
    co_return Status();
  }

  LogRange take_range() {
    while (!range_.chain.empty() && range_.chain.back() == 0) range_.chain.pop_back();
    if (layout_.offset_of(start_) != 0 && (range_.chain.empty() || range_.chain.front() == 0)) {
      visitor_.damaged({start_,
                        start_,
                        0,
                        next(range_.in_tables),
                        {},
                        rt::str("the log of ", device_.name(), " begins at position ", start_, ", in segment ",
                                start_ordinal_, ", and no segment has that number")});
    }
    return std::move(range_);
  }

 private:
  Task<Status> read_header(std::uint32_t first_page) {
    const Status read = co_await blocks_.load(wal_file_offset(first_page), kWalBlockBytes);
    if (!read && !is_damage(read.code())) co_return read;
    const auto& header = *reinterpret_cast<const format::WalSegmentHeader*>(blocks_.data());
    if (read && intact(header, layout_.log_id, layout_.segment_pages)) {
      place(first_page, header.ordinal);
    } else {
      unmarked_.push_back(first_page);
    }
    co_return Status();
  }
  // `ordinal`: of the segment, until the log has ended.
  Task<Status> look_at(std::uint32_t first_page, std::uint64_t ordinal, std::uint64_t offset) {
    const std::uint64_t segment_bytes = layout_.segment_bytes();
    while (offset != segment_bytes) {
      const Status read = co_await blocks_.load(wal_file_offset(first_page) + offset, segment_bytes - offset);
      if (!read && !is_damage(read.code())) co_return read;
      ended_ = ended_ || !read;
      offset += read ? look_at_blocks(layout_.begin_of(ordinal) + offset) : kWalBlockBytes;
      if (device_.core().over_budget()) co_await device_.core().yield();
    }
    co_return Status();
  }
  // Answers how far it got: a group that ends beyond the piece is looked at again from its begin.
  std::uint64_t look_at_blocks(std::uint64_t position) {
    const std::uint64_t bytes = blocks_.bytes();
    std::uint64_t at = 0;
    while (at != bytes) {
      const auto& header = *reinterpret_cast<const WalGroupHeader*>(blocks_.data() + at);
      const std::uint64_t offset = layout_.offset_of(position + at);
      const std::uint64_t room = layout_.segment_bytes() - offset;
      std::uint64_t group_bytes = 0;  // of a whole group
      if (stands_here(header, offset) && plausible(header, layout_.log_id, header.position, room)) {
        const std::uint64_t claimed = format::wal_group_bytes(header.payload_bytes);
        if (claimed > bytes - at && at != 0) return at;
        if (claimed <= bytes - at && format::intact_group(blocks_.data() + at)) group_bytes = claimed;
      }
      if (group_bytes != 0) note(header);
      ended_ = ended_ || group_bytes == 0 || header.position != position + at;
      // What looks like a group inside one of the log's is part of a value. Beyond the end no group hides another, as
      // in scan_tail(): one that lies there may be of an earlier time, and look whole though a part is written over.
      at += ended_ ? kWalBlockBytes : group_bytes;
    }
    return at;
  }
  bool stands_here(const WalGroupHeader& header, std::uint64_t offset) const noexcept {
    return header.position <= format::kWalPositionMax && layout_.offset_of(header.position) == offset;
  }
  void note(const WalGroupHeader& header) noexcept {
    if (header.position < start_) return;  // of an earlier use of the segment
    newest_ = std::max(newest_, header.position);
    range_.end_position = std::max(range_.end_position, header.synced_position);
    if (header.last_sequence <= raw(kLastSequence)) {
      range_.last = std::max(range_.last, Sequence{header.last_sequence});
    }
  }
  // Null where the log cannot have that ordinal.
  std::uint32_t* link_of(std::uint64_t ordinal) noexcept {
    if (ordinal < start_ordinal_ || ordinal - start_ordinal_ >= range_.chain.size()) return nullptr;
    return &range_.chain[static_cast<std::size_t>(ordinal - start_ordinal_)];
  }
  void place(std::uint32_t first_page, std::uint64_t ordinal) {
    std::uint32_t* const link = link_of(ordinal);
    if (link == nullptr) return;
    if (*link == 0) {
      *link = first_page;
      return;
    }
    const std::uint64_t begin = layout_.begin_of(ordinal);
    visitor_.damaged({begin,
                      begin,
                      first_page,
                      {},
                      {},
                      rt::str("the log of ", device_.name(), " has two segments with number ", ordinal, ", at pages ",
                              *link, " and ", first_page)});
  }

  const WalLayout& layout_;
  BlockDevice& device_;
  LogVisitor& visitor_;
  LogBlocks blocks_;
  std::uint64_t start_;
  std::uint64_t start_ordinal_;
  std::vector<std::uint32_t> unmarked_;  // the segments without a whole header: their groups tell what they are
  bool ended_ = false;                   // a place was met where the log does not go on
  std::uint64_t newest_ = 0;             // position among the groups of this segment, and not before the start
  LogRange range_;
};

}  // namespace

Task<Result<LogRange>> survey_log(BlockDevice& device, const WalLayout& layout, Sequence in_tables,
                                  LogVisitor& visitor) {
  co_await check(check_layout(device, layout));
  Survey survey(device, layout, in_tables, visitor);
  if (!survey.valid()) co_return Error(Errc::resource, rt::str("no memory to read the log of ", device.name()));
  co_await check(survey.run());
  co_return survey.take_range();
}

}  // namespace cambium
