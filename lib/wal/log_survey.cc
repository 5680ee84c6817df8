// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/log_survey.h"

#include <algorithm>
#include <optional>
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

  Task<Status> look_at(std::uint32_t first_page) {
    marked_ = false;
    ordinal_.reset();
    const std::uint64_t segment_bytes = layout_.segment_bytes();
    std::uint64_t offset = 0;
    while (offset != segment_bytes) {
      const Status read = co_await blocks_.load(wal_file_offset(first_page) + offset, segment_bytes - offset);
      if (!read && !is_damage(read.code())) co_return read;
      offset += read ? look_at_blocks(offset) : kWalBlockBytes;
      if (device_.core().over_budget()) co_await device_.core().yield();
    }
    place(first_page);
    co_return Status();
  }

  LogRange take_range() {
    // Where a header has the ordinal, the groups of another segment are left from an earlier time.
    for (const Guess& guess : guesses_) {
      std::uint32_t* const link = link_of(guess.ordinal);
      if (*link == 0) *link = guess.first_page;
    }
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
  // Answers how far it got: a group that ends beyond the piece is looked at again from its begin.
  std::uint64_t look_at_blocks(std::uint64_t offset) {
    const std::uint64_t bytes = blocks_.bytes();
    std::uint64_t at = 0;
    while (at != bytes) {
      const char* const block = blocks_.data() + at;
      if (offset + at == 0) {
        const auto& header = *reinterpret_cast<const format::WalSegmentHeader*>(block);
        marked_ = intact(header, layout_.log_id, layout_.segment_pages);
        if (marked_) ordinal_ = header.ordinal;
        at += kWalBlockBytes;
        continue;
      }
      const auto& header = *reinterpret_cast<const WalGroupHeader*>(block);
      const std::uint64_t room = layout_.segment_bytes() - (offset + at);
      std::uint64_t step = kWalBlockBytes;
      if (stands_here(header, offset + at) && plausible(header, layout_.log_id, header.position, room)) {
        const std::uint64_t group_bytes = format::wal_group_bytes(header.payload_bytes);
        if (group_bytes > bytes - at && at != 0) return at;
        if (group_bytes <= bytes - at && format::intact_group(block)) {
          note(header);
          step = group_bytes;
        }
      }
      at += step;
    }
    return at;
  }
  bool stands_here(const WalGroupHeader& header, std::uint64_t offset) const noexcept {
    return header.position <= format::kWalPositionMax && layout_.offset_of(header.position) == offset;
  }
  void note(const WalGroupHeader& header) noexcept {
    if (header.position < start_) return;  // of an earlier use of the segment
    if (!marked_) ordinal_ = std::max(ordinal_.value_or(0), layout_.ordinal_of(header.position));
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
  void place(std::uint32_t first_page) {
    std::uint32_t* const link = ordinal_ ? link_of(*ordinal_) : nullptr;
    if (link == nullptr) return;
    if (!marked_) {
      guesses_.push_back({*ordinal_, first_page});
    } else if (*link == 0) {
      *link = first_page;
    } else {
      const std::uint64_t begin = layout_.begin_of(*ordinal_);
      visitor_.damaged({begin,
                        begin,
                        first_page,
                        {},
                        {},
                        rt::str("the log of ", device_.name(), " has two segments with number ", *ordinal_,
                                ", at pages ", *link, " and ", first_page)});
    }
  }

  const WalLayout& layout_;
  BlockDevice& device_;
  LogVisitor& visitor_;
  LogBlocks blocks_;
  std::uint64_t start_;
  std::uint64_t start_ordinal_;
  bool marked_ = false;                   // the segment's header is whole
  std::optional<std::uint64_t> ordinal_;  // of the segment: as its header says, else its newest group
  struct Guess {
    std::uint64_t ordinal;
    std::uint32_t first_page;
  };
  std::vector<Guess> guesses_;  // of segments without a header, by their groups
  LogRange range_;
};

}  // namespace

Task<Result<LogRange>> survey_log(BlockDevice& device, const WalLayout& layout, Sequence in_tables,
                                  LogVisitor& visitor) {
  co_await check(check_layout(device, layout));
  Survey survey(device, layout, in_tables, visitor);
  if (!survey.valid()) co_return Error(Errc::resource, rt::str("no memory to read the log of ", device.name()));
  for (const std::uint32_t first_page : layout.first_pages) {
    co_await check(survey.look_at(first_page));
  }
  co_return survey.take_range();
}

}  // namespace cambium
