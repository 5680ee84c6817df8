// SPDX-License-Identifier: MIT OR Apache-2.0
// The scrub: a background coroutine that reads every live page, again and again, and says what no longer is as it was
// written, while there may still be a backup that is.
//
// It walks the log and the tables, these in the order of their keys, past the cache, at a set rate. A view keeps the
// pages of the version it walks in place, but for a moment only: after kViewNs it lets go of the view, takes the newest
// one, and goes on at the key where it was. So nothing is held for long, and what commits free, move and reuse is never
// mistaken for damage.
//
// Invariants
//   1. A page is read only while a view that can see it is held, or, for pages of the space map, between two commits.
//   2. Over any second, it reads no more than the rate and one burst of kBurstNs.
//
// Units      rate in 10^6 bytes per second; a round is one pass over the log, all tables and the space map.
// Errors     none: damage is logged and counted; a walk that fails for another reason ends its round.
// Suspends   everywhere; runs at background priority. A long value is read in pieces, but under one view.
#pragma once

#include <cstdint>
#include <string>

#include <cambium/rt/cancel.h>
#include <cambium/rt/event.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

#include "cache/page_reader.h"
#include "flush/publisher.h"
#include "flush/table_set.h"
#include "flush/views.h"
#include "levels/sstable.h"
#include "table_store.h"
#include "wal/log_range.h"

namespace cambium {

struct ScrubStats {
  std::uint64_t pages = 0;
  std::uint64_t damaged = 0;  // places; one that stays is counted again in every round
  std::uint64_t rounds = 0;   // completed
};

class Scrubber final : private PageVisitor, private LogVisitor {
 public:
  Scrubber(BlockDevice& device, Publisher& publisher, TableSet& tables, Views& views, std::uint32_t mb_per_s);

  // Runs until stop(). Spawned once.
  Task<void> run();
  void stop() noexcept;
  Task<void> stopped();
  const ScrubStats& stats() const noexcept { return stats_; }

 private:
  static constexpr std::int64_t kViewNs = 1'000'000'000;   // a view is held no longer, a long value apart
  static constexpr std::int64_t kRoundNs = 1'000'000'000;  // a round takes at least as long
  static constexpr std::int64_t kBurstNs = 100'000'000;    // what a slow device delayed is made up for up to here

  Status visit(PageRun, Generation) override { return {}; }
  void damaged(const DamagedPlace& place) override;
  void damaged(const LogDamage& damage) override;
  std::uint64_t begins_at() const override;
  Task<Status> pace(std::uint64_t pages_read) override;

  Task<Status> round();
  Task<Status> scrub_log();
  Task<Status> scrub_table(TableId id);
  Task<Status> scrub_part(TableId id, std::string& from, bool& more);
  Task<Status> scrub_sstables(TableId id);
  Task<bool> scrub_next_sstable(TableId id, SstableId& after);
  Task<Status> scrub_space();
  Task<Status> scrub_space_page(std::uint32_t index, bool table);
  TableRoot root_of(TableId id) const;
  Task<Status> pause_until(std::int64_t due_ns);
  void report(const Error& reason);

  BlockDevice& device_;
  Publisher& publisher_;
  TableSet& tables_;
  Views& views_;
  PageReader reader_;
  std::uint64_t bytes_per_s_;
  std::int64_t due_ns_ = 0;        // when the next page may be read
  std::uint64_t paced_pages_ = 0;  // of the current walk, waited for already
  std::string table_;              // being walked, for messages
  bool stopping_ = false;
  CancelSource cancel_;
  rt::WaitQueue sleeper_;
  Event stopped_;
  ScrubStats stats_;
};

}  // namespace cambium
