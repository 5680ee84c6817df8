// SPDX-License-Identifier: MIT OR Apache-2.0
// The commit protocol: how a set of new pages becomes the partition, all of it or none.
//
// Owns the superblock record and everything that may change it. One commit at a time: the lane is a mutex that the
// flusher, compaction and sorted loads share.
//
// Invariants
//   1. The superblock slot written is the one with the older generation; the other stays whole until this one is
//   synced.
//   2. Nothing a valid superblock refers to is overwritten.
//   3. A failed sync or superblock write poisons the partition for good: no retry, ever (a retried fsync has been seen
//      to return success for pages the kernel had dropped).
//
// Errors     no_space: aborted, nothing changed, may be tried again; io: poisoned.
// Suspends   commit(), touch().
#pragma once

#include <cstdint>

#include <cambium/ids.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/semaphore.h>
#include <cambium/rt/task.h>

#include "cache/page_writer.h"
#include "format/superblock.h"
#include "space/space_map.h"

namespace cambium {

class PartitionLog;

struct CommitStats {
  std::uint64_t commits = 0;
  std::uint64_t sync_ns = 0;
};

class Committer {
 public:
  // `superblock` is the newest record, in `slot`. `pages` stages space map pages, `superblock_pages` (two pages,
  // aligned) the superblock.
  Committer(BlockDevice& device, SpaceMap& space, WriteGroup& pages, char* superblock_pages,
            const format::Superblock& superblock, unsigned slot)
      : device_(device),
        space_(space),
        pages_(pages),
        superblock_pages_(superblock_pages),
        record_(superblock),
        slot_(slot) {}

  // From now on superblocks describe this log, and an error of one poisons the other. It outlives the committer's use.
  void attach(PartitionLog& log) noexcept { log_ = &log; }
  PartitionLog* log() const noexcept { return log_; }

  // The generation that the next commit will have.
  Generation building() const noexcept { return Generation{record_.page.generation + 1}; }
  Generation newest() const noexcept { return Generation{record_.page.generation}; }
  const format::Superblock& record() const noexcept { return record_; }

  // What a commit changes in the superblock, besides the space map.
  struct Change {
    format::ChildPointer catalog;
    std::uint32_t catalog_height;
    std::uint32_t catalog_pages;
    Sequence sequence;
    std::uint32_t next_table_id;
    std::uint64_t features_needed = 0;  // besides those that the file needs already
  };
  // Steps 1-5; the caller publishes the new roots at once when it succeeds. Requires: the lane is held.
  Task<Status> commit(PageWriter& writer, Change change);
  // The same state once more, into the other slot: pages that only the fallback could see come free, and (at open)
  // an aborted commit and its retry never share a generation. Requires: the lane is held.
  Task<Status> touch();

  // A space map that cannot be trusted stops commits just as a failed sync does.
  bool poisoned() const noexcept { return !poison().has_value(); }
  const Status& poison() const noexcept;
  Mutex& lane() noexcept { return lane_; }
  const CommitStats& stats() const noexcept { return stats_; }

 private:
  Status poisoned_by(Status cause);
  Task<Status> write_record(format::Superblock next);
  Task<Status> sync();
  Status abort(Status cause);

  BlockDevice& device_;
  SpaceMap& space_;
  WriteGroup& pages_;
  char* superblock_pages_;
  format::Superblock record_;
  unsigned slot_;
  PartitionLog* log_ = nullptr;
  Status poison_;
  Mutex lane_;
  CommitStats stats_;
};

}  // namespace cambium
