// SPDX-License-Identifier: MIT OR Apache-2.0
// LogRange: the part of a log that has to be whole, and where it lies; LogVisitor: who is told what is found there.
//
// Two come by such a range: a writer, which knows what it made durable, and LogSurvey, which reads it off the segments
// of a log that nobody writes. LogVerifier walks it.
//
// Units      positions: format/wal_segment.h. Pages of the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "wal/wal_layout.h"
#include "wal/wal_record.h"

namespace cambium {

struct LogRange {
  WalLayout layout;                  // its start position is where the range begins
  std::uint64_t end_position = 0;    // everything before it was synced
  bool open_ended = false;           // the log goes on, to the first place beyond the end where no group stands
  std::vector<std::uint32_t> chain;  // first pages of the ordinals from that of the start on; 0: no segment has it
  Sequence in_tables{};              // every write up to here is in the tables
  Sequence last{};                   // the newest write that ends in the range, as far as anything says
};

struct LogDamage {
  std::uint64_t position = 0;      // from here ...
  std::uint64_t end_position = 0;  // ... to here no group can be read
  std::uint64_t page = 0;          // of `position` in the file; 0: no segment has it
  Sequence first{};                // the writes that are missing; 0: none, or none that anything tells of
  Sequence last{};                 // 0: the end is not known
  std::string reason;              // one line, which names file, position, page and writes
};

class LogVisitor {
 public:
  virtual ~LogVisitor() = default;
  virtual void damaged(const LogDamage& damage) = 0;
  // Where the log begins by now: what lies before may have been written over, and is nobody's concern.
  virtual std::uint64_t begins_at() const { return 0; }
  // Takes a record. False: store() is awaited instead; its error ends the walk.
  virtual bool take(const WalRecord&) { return true; }
  virtual Task<Status> store(const WalRecord&) { co_return Status(); }
};

}  // namespace cambium
