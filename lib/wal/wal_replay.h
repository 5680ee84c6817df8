// SPDX-License-Identifier: MIT OR Apache-2.0
// What a partition does with its log when it opens: replay(), then erase_tail(), then a WalWriter goes on.
//
// The log ends at the first place where no valid group stands. That is a torn tail, and cut, unless a group beyond it
// proves that the place was synced once: then it is corruption. What lies beyond a cut must never come back, although
// the groups written next may end exactly where one of those lost ones begins: erase_tail() takes their headers away
// before anything is written.
//
// Invariants
//   1. The sink sees a prefix of the records that were appended, each once and whole, in order, without a gap.
//   2. replay() writes nothing. Until erase_tail() has returned success no WalWriter may exist; then all that was
//      replayed is durable, also where a process died that had not synced it.
//
// Errors     corruption (file, position, page, and what proves it); io; resource; what the sink answers.
// Suspends   both functions. The sink is never called again once it has answered an error.
// Lifetime   a replay under way is not destroyed: it reads ahead (asserted).
#pragma once

#include <cstdint>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "wal/log_range.h"
#include "wal/wal_layout.h"
#include "wal/wal_record.h"

namespace cambium {

// Where the records go.
class WalSink {
 public:
  virtual ~WalSink() = default;
  // Takes a record. False: not now; nothing was taken, make_room() is awaited, and the record is offered again.
  virtual bool take(const WalRecord& record) = 0;
  virtual Task<Status> make_room(const WalRecord& record) = 0;
};

struct WalReplay {
  std::uint64_t end_position = 0;  // where writing goes on
  Sequence last_sequence{};        // the newest one that is accounted for, by the log or by the tables
  std::uint64_t groups = 0;
  std::uint64_t records = 0;  // handed to the sink
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;                   // of the log, groups and padding
  std::uint64_t first_ordinal = 0;           // of the segments in use
  std::vector<std::uint32_t> live_pages;     // their first pages, by ordinal
  std::vector<std::uint64_t> stale_offsets;  // file offsets of the blocks that erase_tail() zeroes

  // Of a log that nothing was ever written to: its id is new, or its segments hold zeros.
  static WalReplay fresh(const WalLayout& layout, Sequence last_sequence) {
    WalReplay replay;
    replay.end_position = layout.canonical(layout.start_position);
    replay.last_sequence = last_sequence;
    replay.first_ordinal = layout.ordinal_of(layout.start_position);
    return replay;
  }

  // What was replayed, for whoever reads it once more.
  LogRange range(const WalLayout& layout, Sequence in_tables) const {
    return {layout, end_position, false, live_pages, in_tables, last_sequence};
  }
};

// Hands every record with sequences from `expected` on to the sink; of a record that begins before, all of it. The
// tables hold everything up to expected - 1.
Task<Result<WalReplay>> replay(BlockDevice& device, const WalLayout& layout, Sequence expected, WalSink& sink);

// Zeroes what replay() found beyond the cut, and syncs, also when it found nothing. May be repeated, from the start or
// from a new replay(), after a crash at any of its steps: no step changes where the log ends.
Task<Status> erase_tail(BlockDevice& device, const WalReplay& replayed);

}  // namespace cambium
