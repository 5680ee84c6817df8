// SPDX-License-Identifier: MIT OR Apache-2.0
// RecordAssembler: cuts the stream that the payloads of groups form into records. Pure: it sees verified groups only.
//
//   assembler.begin_group(header, payload);
//   while (assembler.next(record) == Step::record) ...
//
// A record inside one payload is handed out in place; one that spans groups is put together in memory of its own,
// which grows with the bytes that really arrive, whatever the record's header claims.
//
// Errors     `damaged` with problem(): bytes that no writer wrote, under a checksum that holds.
// Lifetime   a record is valid until the next call.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "wal/wal_record.h"

namespace cambium {

class RecordAssembler {
 public:
  enum class Step : std::uint8_t {
    record,
    need_group,  // the payload is used up
    damaged,
  };

  // The payload stays where it is until next() has answered need_group. The first group, ever, may continue a record
  // that began before it: that one is skipped.
  void begin_group(const format::WalGroupHeader& header, const char* payload) noexcept;
  Step next(WalRecord& record);

  bool mid_record() const noexcept { return !pending_.empty(); }
  bool take_resumed() noexcept { return std::exchange(resumed_, false); }  // a group said so since the last call
  const char* problem() const noexcept { return problem_; }

 private:
  Step damaged(const char* problem) noexcept {
    problem_ = problem;
    return Step::damaged;
  }
  // Moves bytes of the payload to the pending record, up to `bytes` of it in all. False when they do not suffice.
  bool gather(std::uint64_t bytes);
  Step finish_pending(WalRecord& record);
  Step hand_out(const format::WalRecordHeader& header, const char* body, WalRecord& record);

  const char* payload_ = nullptr;
  std::uint32_t bytes_ = 0;
  std::uint32_t at_ = 0;
  std::uint32_t first_record_ = 0;
  bool begun_ = false;    // a record has begun in this payload
  bool skipping_ = true;  // until the first record begins
  bool resumed_ = false;
  const char* problem_ = nullptr;
  std::string pending_;    // the beginning of a record, header included
  std::string assembled_;  // the last record that spanned groups
  std::vector<WalEntry> entries_;
};

}  // namespace cambium
