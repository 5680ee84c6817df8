// SPDX-License-Identifier: MIT OR Apache-2.0
// The remover: the background coroutine that frees the pages of dropped tables, a portion at a time.
//
// A dropped table is a tree like any other, with a row of its own kind. Each round deletes the first leaves' worth of
// entries of the tables that nobody can read any more, and commits what is left of them as their new roots; a table of
// which nothing is left loses its row. So a crash anywhere leaves a tree that is whole, check and compaction need not
// know, and opening again goes on where it was. (Deleting a range by cutting off subtrees would spare the reading.)
//
// A snapshot that is older than the drop reads the table as before, and may need writes that are still in buffers:
// until the last of them ends, the table is flushed as if it were alive, and nothing of it is freed.
//
// Invariants
//   1. No table is touched that a registered snapshot can read. What scans and lookups see, their views hold.
//   2. A round leaves less in use than it found, so it may take the reserve of a full device.
//
// Units      a round: up to kLeavesPerRound leaves of up to kTablesPerRound tables.
// Errors     no_space, busy and resource are tried again, with less; damage leaves the table where it is, until the
// next
//            open, and is logged; anything else has poisoned the partition and ends the work.
// Suspends   everywhere; runs at background priority; holds the commit lane for one round at a time.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include <cambium/rt/cancel.h>
#include <cambium/rt/event.h>
#include <cambium/rt/task.h>

#include "flush/publisher.h"
#include "flush/snapshot_state.h"
#include "flush/table_set.h"

namespace cambium {

class TableRemover {
 public:
  TableRemover(Core& core, Publisher& publisher, TableSet& tables, SnapshotRegistry& snapshots) noexcept
      : core_(core), publisher_(publisher), tables_(tables), snapshots_(snapshots) {}

  // Runs until stop(). Spawned once, at background priority.
  Task<void> run();
  // A table was dropped.
  void wake() noexcept { snapshots_.ended.wake_all(); }
  void stop() noexcept;
  Task<void> stopped() { co_await stopped_.wait(); }

 private:
  static constexpr std::size_t kLeavesPerRound = 64;
  static constexpr std::size_t kTablesPerRound = 256;

  bool due(TableId id) noexcept;
  bool work_due() noexcept;
  Task<Status> round();
  Task<Status> cut_all(PageWriter& writer, std::vector<NewRoot>& left, std::vector<TableState*>& emptied);
  Task<Result<TableRoot>> cut(TableState& table, PageWriter& writer, std::size_t& leaves);
  Task<Status> make_room();

  Core& core_;
  Publisher& publisher_;
  TableSet& tables_;
  SnapshotRegistry& snapshots_;
  std::set<TableId> damaged_;
  std::size_t leaves_max_ = kLeavesPerRound;  // less where there was no room
  bool stopping_ = false;
  CancelSource cancel_;
  rt::WaitQueue sleeper_;
  Event stopped_;
};

}  // namespace cambium
