// SPDX-License-Identifier: MIT OR Apache-2.0
// The flusher: the background coroutine that turns frozen write buffers into a new version of the tables.
//
// For each frozen buffer, oldest first: sort it (in steps), merge it into the tables, commit, publish, let it go. A
// buffer that a snapshot stands in the middle of is applied in two steps: entries up to the snapshot, commit, the rest.
//
// Invariants
//   1. Buffers are flushed in order, so the tables always hold a prefix of the sequence of writes.
//   2. The log gets its room before buffers are flushed: writers wait for it.
//   3. A buffer is dropped in the same step in which its contents become visible in the tables.
//   4. Only parts that do nothing but delete take from the space map's reserve, in portions that fit it, and divide no
//      batch: one batch that needs more than the reserve waits for space like any other write. Deletes in a level store
//      add to it until a merge has dropped what they hide: half of the reserve is left to merges.
//
// Errors     no_space, busy and resource keep the buffer and are retried every 100 ms; anything else poisons.
// Suspends   everywhere; runs at background priority.
#pragma once

#include <cstdint>
#include <vector>

#include <cambium/rt/event.h>
#include <cambium/rt/task.h>

#include "flush/buffer_set.h"
#include "flush/publisher.h"
#include "flush/snapshot_state.h"

namespace cambium {

struct FlushStats {
  std::uint64_t flushes = 0;
  std::uint64_t ns = 0;
};

class Flusher {
 public:
  Flusher(Core& core, BufferSet& buffers, Publisher& publisher, TableSet& tables, Views& views,
          SnapshotRegistry& snapshots)
      : core_(core), buffers_(buffers), publisher_(publisher), tables_(tables), views_(views), snapshots_(snapshots) {}

  // Runs until stop(). Spawned once, at background priority.
  Task<void> run();
  void stop() noexcept;
  Task<void> stopped();

  // Waits until every write up to `sequence` is in the tables. Requires: they are in frozen buffers or tables.
  Task<Status> wait_for(Sequence sequence);
  // Why the oldest frozen buffer is not in the tables yet, if it failed.
  const Status& failure() const noexcept { return failure_; }
  bool blocked() const noexcept { return !failure_.has_value(); }
  const FlushStats& stats() const noexcept { return stats_; }

  // Brings the runs of a buffer up to its first `through` entries, one task at a time. Used by scans too.
  static Task<void> order(Core& core, OrderedBuffer& buffer, std::size_t through, bool to_one_run);

 private:
  bool log_work_due() const noexcept;
  Task<Status> tend_log();
  Task<Status> flush(OrderedBuffer& buffer);
  Task<Status> apply_part(OrderedBuffer& buffer, const SortedRun& run, Sequence after, Sequence through, SpaceUse use);
  Task<void> slow_down(const SortedRun& run);
  Task<bool> others_make_room();
  Task<void> collect(const SortedRun& run, const TableRange& range, Sequence after, Sequence through);

  Core& core_;
  BufferSet& buffers_;
  Publisher& publisher_;
  TableSet& tables_;
  Views& views_;
  SnapshotRegistry& snapshots_;
  std::vector<Change> changes_;  // of the table being merged
  Status failure_;
  bool stopping_ = false;
  Event stopped_;
  FlushStats stats_;
};

}  // namespace cambium
