// SPDX-License-Identifier: MIT OR Apache-2.0
// Recovery: what open() does with a log that a crash has left: its records go into the write buffers.
//
// The log is read as a whole before anything in the file is changed: one that is damaged in the middle is refused, and
// the file is as it was. What does not fit the buffers is only verified then, and read again when the flusher runs.
//
//   look()     before the superblock is written: verifies, fills the buffers
//   finish()   with the flusher running: the rest, then the tail is erased; the log may be written again
//
// Invariants
//   1. look() writes nothing. Repeated after a crash anywhere in finish(), it finds the same writes.
//   2. A record is in one buffer: what a flush commits has it wholly or not at all.
//
// Errors     corruption, with the position; resource when a record does not fit a write buffer, or there is no memory
//            (a read-only open takes what the log needs, beyond memory_bytes); unsupported for records of a newer
//            version.
// Suspends   look(), finish().
#pragma once

#include <cstdint>

#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "wal/wal_replay.h"

namespace cambium {

class PartitionState;

class Recovery final : public WalSink {
 public:
  explicit Recovery(PartitionState& partition) noexcept : partition_(partition) {}

  Task<Status> look();
  Task<Status> finish();
  const WalReplay& replayed() const noexcept { return replayed_; }

  bool take(const WalRecord& record) override;
  Task<Status> make_room(const WalRecord& record) override;

 private:
  Status refuses(const WalRecord& record) const;

  PartitionState& partition_;
  WalReplay replayed_;
  Sequence taken_{};        // the newest write in the buffers
  bool looking_ = true;     // nothing may be flushed yet
  bool left_over_ = false;  // a record did not fit; from it on, nothing was taken
};

}  // namespace cambium
