// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/log_verifier.h"

#include <algorithm>
#include <utility>

#include <cambium/rt/check.h>

#include "base/text.h"

namespace cambium {

using format::kWalBlockBytes;
using format::WalGroupHeader;

namespace {

bool is_damage(Errc code) noexcept { return code == Errc::io || code == Errc::corruption; }

std::string writes_text(const LogDamage& damage) {
  if (damage.first == Sequence{}) return "; no write is known to be missing";
  if (damage.last == Sequence{}) return rt::str("; the writes from ", raw(damage.first), " on are missing");
  return rt::str("; the writes ", raw(damage.first), " to ", raw(damage.last), " are missing");
}

}  // namespace

LogVerifier::LogVerifier(BlockDevice& device, const LogRange& range, LogVisitor& visitor)
    : device_(device),
      range_(range),
      visitor_(visitor),
      blocks_(device),
      position_(range.layout.canonical(range.layout.start_position)) {}

std::uint32_t LogVerifier::first_page_of(std::uint64_t ordinal) const noexcept {
  const std::uint64_t index = ordinal - range_.layout.ordinal_of(range_.layout.start_position);
  return index < range_.chain.size() ? range_.chain[static_cast<std::size_t>(index)] : 0;
}

std::uint64_t LogVerifier::page_of(std::uint64_t position) const noexcept {
  const std::uint32_t first_page = first_page_of(range_.layout.ordinal_of(position));
  return first_page == 0 ? 0 : first_page + range_.layout.offset_of(position) / kPageBytes;
}

// ---- the walk -----------------------------------------------------------------------------------------------------

Task<Status> LogVerifier::step() {
  if (done_) co_return Status();
  if (!blocks_.valid()) co_return Error(Errc::resource, rt::str("no memory to read the log of ", device_.name()));
  follow_begin();
  const WalLayout& layout = range_.layout;
  const std::uint64_t ordinal = layout.ordinal_of(position_);
  const std::uint32_t first_page = first_page_of(ordinal);
  const bool behind_end = position_ >= range_.end_position;
  // A range that begins and ends at one place inside a segment still needs that segment's header.
  const bool inside = layout.offset_of(position_) != 0 && header_ordinal_ != ordinal;
  if (behind_end && !inside && (!range_.open_ended || first_page == 0)) {
    finish();
    co_return Status();
  }
  Status stepped;
  if (first_page == 0) {
    // Behind the last segment there is nothing at all, however far a forged group says that the log went.
    const bool last = ordinal - layout.ordinal_of(layout.start_position) >= range_.chain.size();
    const std::uint64_t hole_end = last ? range_.end_position : layout.begin_of(ordinal + 1);
    missing(rt::str("no segment has the number ", ordinal), hole_end - position_);
  } else if (header_ordinal_ != ordinal) {
    stepped = co_await check_header(ordinal, first_page);
  } else {
    stepped = co_await check_groups();
  }
  co_return stepped;
}

void LogVerifier::follow_begin() {
  const std::uint64_t begin = range_.layout.canonical(visitor_.begins_at());
  if (begin <= range_.layout.canonical(position_)) return;
  if (hole_) {  // what it took is in the tables by now
    LogDamage damage = *std::exchange(hole_, std::nullopt);
    tell(std::move(damage), hole_reason_);
  }
  assembler_ = RecordAssembler();
  position_ = begin;
  seen_ = Sequence{};
  anywhere_ = true;
}

Task<Status> LogVerifier::check_header(std::uint64_t ordinal, std::uint32_t first_page) {
  const WalLayout& layout = range_.layout;
  const std::uint64_t begin = layout.begin_of(ordinal);
  Status read = co_await blocks_.load(wal_file_offset(first_page), kWalBlockBytes);
  if (!read && !is_damage(read.code())) co_return read;
  if (visitor_.begins_at() > position_) co_return Status();
  std::string wrong;
  if (!read) {
    wrong = rt::str("the header of segment ", ordinal, " cannot be read: ", read.error().message());
  } else {
    const auto& header = *reinterpret_cast<const format::WalSegmentHeader*>(blocks_.data());
    if (!intact(header, layout.log_id, layout.segment_pages)) {
      wrong = rt::str("the header of segment ", ordinal, " is not whole");
    } else if (header.ordinal != ordinal) {
      wrong = rt::str("the header of segment ", ordinal, " says that it is segment ", header.ordinal);
    }
  }
  header_ordinal_ = ordinal;
  if (!wrong.empty() && position_ >= range_.end_position && layout.offset_of(position_) == 0) {
    finish();  // open-ended: the log never got there
    co_return Status();
  }
  // The groups behind it may be whole all the same.
  if (!wrong.empty()) tell({begin, begin + kWalBlockBytes, first_page, {}, {}, {}}, wrong);
  position_ = std::max(position_, begin + kWalBlockBytes);
  co_return Status();
}

Task<Status> LogVerifier::check_groups() {
  const WalLayout& layout = range_.layout;
  const std::uint64_t segment_end = layout.begin_of(layout.ordinal_of(position_) + 1);
  const std::uint64_t offset = page_of(position_) * kPageBytes;
  Status read = co_await blocks_.load(offset, segment_end - position_);
  if (!read && !is_damage(read.code())) co_return read;
  if (visitor_.begins_at() > position_) co_return Status();
  if (!read) {
    missing(rt::str("it cannot be read: ", read.error().message()), kWalBlockBytes);
    co_return Status();
  }
  const char* at = blocks_.data();
  const char* const end = at + blocks_.bytes();
  while (at != end && !done_) {
    if (position_ >= range_.end_position && !range_.open_ended) break;
    const auto& header = *reinterpret_cast<const WalGroupHeader*>(at);
    std::uint64_t bytes = kWalBlockBytes;
    bool whole = plausible(header, layout.log_id, position_, segment_end - position_);
    if (whole) {
      bytes = format::wal_group_bytes(header.payload_bytes);
      const auto left = static_cast<std::uint64_t>(end - at);
      // One that begins at the first block is in memory as a whole, or lies before a block that cannot be read.
      if (bytes > left && at != blocks_.data()) break;
      whole = bytes <= left && format::intact_group(at);
    }
    if (!whole) {
      missing("no whole group stands there", kWalBlockBytes);
      at += kWalBlockBytes;
      continue;
    }
    co_await check(take_group(at));
    at += bytes;
    position_ += bytes;
  }
  co_return Status();
}

Task<Status> LogVerifier::take_group(const char* group) {
  const auto& header = *reinterpret_cast<const WalGroupHeader*>(group);
  ++groups_;
  assembler_.begin_group(header, group + format::kWalGroupHeaderBytes);
  for (;;) {
    WalRecord record;
    const RecordAssembler::Step step = assembler_.next(record);
    if (step == RecordAssembler::Step::need_group) break;
    if (step == RecordAssembler::Step::damaged) {
      open_hole(assembler_.problem(), format::wal_group_bytes(header.payload_bytes));
      break;
    }
    check_sequence(record);
    ++records_;
    if (visitor_.take(record)) continue;
    co_await check(visitor_.store(record));
  }
  co_return Status();
}

// No write is missing. Before the first record, and after a cut, the tables may have been ahead of the log.
void LogVerifier::check_sequence(const WalRecord& record) {
  const Sequence first = record.first_sequence;
  const bool resumed = assembler_.take_resumed();
  const Sequence in_tables_next = next(range_.in_tables);
  if (hole_) {
    close_hole(first);
  } else if (seen_ == Sequence{} || (resumed && first > seen_)) {
    const Sequence expected = std::max(next(seen_), in_tables_next);
    if (first > expected && !anywhere_) {
      tell({position_, position_, page_of(position_), expected, Sequence{raw(first) - 1}, {}}, "writes are left out");
    }
  } else if (first != next(seen_)) {
    const Sequence last = first > seen_ ? Sequence{raw(first) - 1} : Sequence{};
    tell({position_, position_, page_of(position_), last == Sequence{} ? last : next(seen_), last, {}},
         rt::str("write ", raw(first), " stands where ", raw(next(seen_)), " was to come"));
  }
  anywhere_ = false;
  seen_ = record.last_sequence();
}

// ---- damage -------------------------------------------------------------------------------------------------------

void LogVerifier::missing(std::string reason, std::uint64_t bytes) {
  if (position_ >= range_.end_position) {
    finish();
    return;
  }
  open_hole(std::move(reason), bytes);
  position_ += bytes;
}

void LogVerifier::open_hole(std::string reason, std::uint64_t bytes) {
  if (!hole_) {
    hole_ = LogDamage{position_, 0, page_of(position_), {}, {}, {}};
    hole_reason_ = std::move(reason);
  }
  hole_->end_position = position_ + bytes;
  assembler_ = RecordAssembler();
}

void LogVerifier::close_hole(Sequence next_first) {
  LogDamage damage = *std::exchange(hole_, std::nullopt);
  const Sequence expected = next(seen_ != Sequence{} ? seen_ : range_.in_tables);
  const bool ended = next_first == Sequence{};
  const Sequence last = ended ? range_.last : Sequence{raw(next_first) - 1};
  if (last >= expected && !anywhere_) {
    damage.first = expected;
    damage.last = last;
  } else if (ended && range_.open_ended) {
    damage.first = expected;  // whatever is gone from the end has left no trace
  }
  tell(std::move(damage), hole_reason_);
}

void LogVerifier::tell(LogDamage damage, const std::string& what) {
  damage.reason =
      rt::str("the log of ", device_.name(), " is damaged at position ", damage.position,
              damage.page != 0 ? rt::str(", page ", damage.page) : std::string(), ": ", what, writes_text(damage));
  visitor_.damaged(damage);
}

void LogVerifier::finish() {
  if (hole_) close_hole(Sequence{});
  done_ = true;
}

}  // namespace cambium
