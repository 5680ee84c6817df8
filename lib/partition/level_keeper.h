// SPDX-License-Identifier: MIT OR Apache-2.0
// LevelKeeper: the background coroutine that keeps level stores in shape: which compaction is next, slice by slice.
//
// Each slice is built beside everything else, through staging buffers of its own and reserved pages; only publishing it
// takes the commit lane. Between two slices the merge of the highest level that is due goes first, so that flushes find
// room however long a merge at the bottom takes; unless it would add runs to a level faster than the merge that takes
// them away gets on. So no level has more than twice its runs, and neither has the file. Merges of two tables go
// on side by side, so that one is built while the other waits for the device; more tables take turns.
//
// Invariants
//   1. What a slice has built is published in the version that is the newest then, or not at all.
//   2. A flush waits for the more slices the more runs level 0 of a table has beyond those that make a merge due; for
//      as long as it takes only beyond twice as many.
//   3. What takes of the reserve gives back more by the same commit; one table at a time does.
//
// When a flush has found no space, a table is merged as soon as that gives anything back: tombstones become room. Where
// a merge finds no space either, the smallest runs of level 0 become one, and sstables are tidied one by one, with the
// reserve (levels/tidy.h). What that cannot do: keep more of an sstable (half a write buffer, up to 16 MiB) than is
// free, the reserve included.
//
// Errors     no_space, busy and resource are tried again after 100 ms; any other stops the compaction of that table,
//            and is logged. It goes on taking writes, more and more slowly, until its level 0 is four times as long as
//            a merge would find it; then it refuses them with that error, which names the sstable. Reads go on.
//            settle() tries again, and so does the next open.
// Suspends   everywhere; runs at background priority.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <cambium/rt/event.h>
#include <cambium/rt/semaphore.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>
#include <cambium/table.h>

#include "flush/publisher.h"
#include "levels/compaction.h"

namespace cambium {

struct CompactionStats {
  std::uint64_t compactions = 0;  // merges that were finished
  std::uint64_t slices = 0;
  std::uint64_t discarded = 0;      // slices that others were faster than
  std::uint64_t pages_written = 0;  // rows of the manifest included
  std::uint64_t entries = 0;        // read
  std::uint64_t ns = 0;

  void add(const CompactionStats& other) noexcept {
    compactions += other.compactions;
    slices += other.slices;
    discarded += other.discarded;
    pages_written += other.pages_written;
    entries += other.entries;
    ns += other.ns;
  }
};

class LevelKeeper {
 public:
  LevelKeeper(Core& core, Publisher& publisher, TableSet& tables, Views& views, LevelStore& store,
              std::vector<PageStaging> lanes)
      : core_(core), publisher_(publisher), tables_(tables), views_(views), store_(store), lanes_(std::move(lanes)) {}

  // Runs until stop(). Spawned once, at background priority.
  Task<void> run();
  void stop() noexcept;
  Task<void> stopped() { co_await stopped_.wait(); }

  void pause() noexcept { paused_ = true; }
  void resume() noexcept;
  bool paused() const noexcept { return paused_; }
  // Until no compaction is due, and merging all of a table would give back at most a tenth of its bottom, as far as the
  // last merge tells; `all`: until every table is one run.
  Task<Status> settle(bool all);
  // Until level 0 of no table is so long that flushes would have to wait for it: what close() owes to the next open(),
  // for a program that writes a little and ends would never merge anything otherwise.
  Task<void> catch_up();
  const CompactionStats& stats() const noexcept { return stats_; }  // of all tables, those that are gone included
  TableCompaction state_of(TableId id) const;

 private:
  struct Work {
    std::array<std::optional<Compaction>, kBottomLevel> merges;  // by the level they come from
    CompactionPolicy policy;
    TableTraffic seen;           // when the policy was chosen last
    double share_dropped = 1;    // by the last merge into the bottom
    std::set<SstableId> tidied;  // or found to be tidy, since the newest flush, which made `tidied_below`
    std::uint32_t tidied_below = 0;
    Status failure;
    CompactionStats stats;
  };
  // One slice for each table that has something due.
  struct Round {
    std::vector<TableId> tables;
    std::size_t next = 0;
    bool worked = false;
  };
  Task<bool> round();
  Task<void> work_off(Round& round, PageStaging lane);
  Task<Status> step(TableId id, PageStaging lane, bool& worked);
  static void choose_policy(const TableState& table, Work& work);
  void end_merges(const LevelVersion& version, Work& work);
  void begin_merges(const LevelVersion& version, Work& work);
  Compaction* next_merge(TableState& table, Work& work);
  Task<Status> run_slice(TableId id, Compaction& merge, PageStaging lane, SpaceUse use, CompactionStats& spent);
  Task<Status> make_room(TableId id, Work& work, PageStaging lane, CompactionStats& spent);
  std::optional<SstableId> next_to_tidy(const LevelVersion& version, Work& work) const;
  Task<Status> tidy(TableId id, SstableId sstable, PageStaging lane, CompactionStats& spent);
  void hold_up_writers(TableState& table, const Work& work) const;
  std::unique_ptr<PageWriter> writer_ahead(PageStaging lane, SpaceUse use);
  Task<Status> finish_slice(TableId id, PageWriter& ahead, Status built, const LevelEdit& edit, CompactionStats& spent,
                            bool& published);
  Task<Status> publish(TableId id, PageWriter& ahead, const LevelEdit& edit, CompactionStats& spent, bool& published);
  double excess_of(const TableState& table, const Work& work) const noexcept;
  bool far_behind() const noexcept;
  void update_pressure() noexcept;

  Core& core_;
  Publisher& publisher_;
  TableSet& tables_;
  Views& views_;
  LevelStore& store_;
  std::vector<PageStaging> lanes_;
  std::map<TableId, Work> work_;
  Mutex making_room_;
  bool stopping_ = false;
  bool paused_ = false;
  bool settle_all_ = false;
  unsigned settling_ = 0;  // calls of settle() that wait
  bool idle_ = false;
  rt::WaitQueue became_idle_;
  Event stopped_;
  CompactionStats stats_;
};

}  // namespace cambium
