// SPDX-License-Identifier: MIT OR Apache-2.0
// LogVerifier: walks a range of a log and says everything that is wrong with it: segment headers, groups that are not
// whole, records that are none, sequences that do not continue. It goes on behind what is damaged, unlike replay(),
// and may walk beside a writer: what was synced does not change until the log begins behind it.
//
//   LogVerifier walk(device, range, visitor);
//   while (!walk.done()) { co_await walk.step(); pace by walk.bytes_read(); }
//
// Invariants
//   1. Nothing is written.
//   2. What lies before visitor.begins_at() when a read has returned is not looked at: it may be of a later ordinal.
//   3. Places of damage are told in the order of their positions; neighbouring ones are one.
//
// Units      one step reads one segment header, or at most 256 KiB of groups.
// Errors     resource, and what the visitor's store() answers; what cannot be read or is wrong is damage.
// Suspends   step(). The memory, 256 KiB, is held from begin to end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "wal/log_blocks.h"
#include "wal/log_range.h"
#include "wal/record_assembler.h"

namespace cambium {

class LogVerifier {
 public:
  // Both outlive the walk; the range is copied.
  LogVerifier(BlockDevice& device, const LogRange& range, LogVisitor& visitor);

  bool done() const noexcept { return done_; }
  Task<Status> step();

  std::uint64_t bytes_read() const noexcept { return blocks_.bytes_read(); }
  std::uint64_t groups() const noexcept { return groups_; }
  std::uint64_t records() const noexcept { return records_; }

 private:
  static constexpr std::uint64_t kNoOrdinal = ~std::uint64_t{0};

  void follow_begin();
  std::uint32_t first_page_of(std::uint64_t ordinal) const noexcept;
  std::uint64_t page_of(std::uint64_t position) const noexcept;
  Task<Status> check_header(std::uint64_t ordinal, std::uint32_t first_page);
  Task<Status> check_groups();
  Task<Status> take_group(const char* group);
  void check_sequence(const WalRecord& record);

  // No group stands at the position: a hole, or the end of the log.
  void missing(std::string reason, std::uint64_t bytes);
  void open_hole(std::string reason, std::uint64_t bytes);
  void close_hole(Sequence next_first);  // a record that begins with this one came after it; 0: none did
  void tell(LogDamage damage, const std::string& what);
  void finish();

  BlockDevice& device_;
  LogRange range_;
  LogVisitor& visitor_;
  LogBlocks blocks_;
  RecordAssembler assembler_;
  std::uint64_t position_;                     // of the next group
  std::uint64_t header_ordinal_ = kNoOrdinal;  // of the segment whose header was looked at last
  Sequence seen_{};                            // the last write so far
  bool anywhere_ = false;                      // nothing was seen since the begin of the log moved on
  std::optional<LogDamage> hole_;
  std::string hole_reason_;
  bool done_ = false;
  std::uint64_t groups_ = 0;
  std::uint64_t records_ = 0;
};

}  // namespace cambium
