// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/record_assembler.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace cambium {

using format::WalRecordHeader;

namespace {

constexpr std::size_t kKeptBytes = std::size_t{1} << 20;  // memory that a long record may leave behind

WalRecordHeader header_at(const char* bytes) noexcept {
  WalRecordHeader header;
  std::memcpy(&header, bytes, sizeof header);
  return header;
}

}  // namespace

void RecordAssembler::begin_group(const format::WalGroupHeader& header, const char* payload) noexcept {
  CAMBIUM_ASSERT(at_ == bytes_ && header.first_record <= header.payload_bytes);
  payload_ = payload;
  bytes_ = header.payload_bytes;
  at_ = 0;
  first_record_ = header.first_record;
  begun_ = false;
  if ((header.flags & format::kWalGroupResumed) != 0) {
    pending_.clear();  // its rest was lost in a crash, and the writer went on without it
    skipping_ = false;
    resumed_ = true;
  }
  if (skipping_) {
    at_ = first_record_;
    skipping_ = at_ == bytes_;
  }
}

bool RecordAssembler::gather(std::uint64_t bytes) {
  const std::uint64_t missing = bytes - pending_.size();
  const auto taken = static_cast<std::uint32_t>(std::min<std::uint64_t>(missing, bytes_ - at_));
  pending_.append(payload_ + at_, taken);
  at_ += taken;
  return taken == missing;
}

RecordAssembler::Step RecordAssembler::next(WalRecord& record) {
  if (!pending_.empty()) return finish_pending(record);
  if (at_ == bytes_) return first_record_ == bytes_ || begun_ ? Step::need_group : damaged("a record begins nowhere");
  if (!begun_) {
    if (at_ != first_record_) return damaged("a record begins where its group says that none does");
    begun_ = true;
  }
  if (bytes_ - at_ >= sizeof(WalRecordHeader)) [[likely]] {
    const WalRecordHeader header = header_at(payload_ + at_);
    if (const char* problem = check_record_header(header)) return damaged(problem);
    if (bytes_ - at_ - sizeof header >= header.body_bytes) [[likely]] {
      const char* body = payload_ + at_ + sizeof header;
      at_ += static_cast<std::uint32_t>(sizeof header) + header.body_bytes;
      return hand_out(header, body, record);
    }
  }
  pending_.assign(payload_ + at_, bytes_ - at_);
  at_ = bytes_;
  return Step::need_group;
}

RecordAssembler::Step RecordAssembler::finish_pending(WalRecord& record) {
  const bool ends_here = bytes_ - at_ != 0 && !begun_ && first_record_ < bytes_;
  if (pending_.size() < sizeof(WalRecordHeader) && !gather(sizeof(WalRecordHeader)))
    return ends_here ? damaged("a record goes on where another begins") : Step::need_group;
  const WalRecordHeader header = header_at(pending_.data());
  if (const char* problem = check_record_header(header)) return damaged(problem);
  if (!gather(sizeof header + std::uint64_t{header.body_bytes}))
    return ends_here ? damaged("a record goes on where another begins") : Step::need_group;
  if (at_ > first_record_) return damaged("a record goes on where another begins");
  assembled_.swap(pending_);
  pending_.clear();
  if (pending_.capacity() > kKeptBytes) pending_.shrink_to_fit();
  return hand_out(header, assembled_.data() + sizeof header, record);
}

RecordAssembler::Step RecordAssembler::hand_out(const WalRecordHeader& header, const char* body, WalRecord& record) {
  if (const char* problem = parse_record(header, body, entries_)) return damaged(problem);
  record = {Sequence{header.first_sequence}, entries_};
  return Step::record;
}

}  // namespace cambium
