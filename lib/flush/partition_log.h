// SPDX-License-Identifier: MIT OR Apache-2.0
// PartitionLog: where the write-ahead log lives in the file, and what the superblock says of it.
//
// Between the log's writer, which knows positions and segments, and the commit protocol, which knows what is durable.
// A superblock names the log's id, its segments, and where a replay begins; the other slot's superblock may be the one
// that is read after a crash, so everything is done one commit late: a segment is written to once both slots name it,
// and reused once neither begins in it.
//
// A log begins anew, with a new id, where the one before holds nothing that the tables do not. What its segments
// contain is then nobody's; nothing has to be erased.
//
// Invariants
//   1. Both superblocks begin at or after writer()->start_position(), and name every segment that the writer has.
//   2. A segment is a run of pages in use by the space map, zeroed before a superblock names it.
//
// Units      bytes; positions and segments: format/wal_segment.h.
// Errors     no_space: nothing changed, and the space map's reserve is left alone; others as Committer::commit().
// Suspends   what takes a Committer: its lane is held by the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "format/superblock.h"
#include "space/space_map.h"
#include "space/write_group.h"
#include "wal/wal_layout.h"
#include "wal/wal_writer.h"

namespace cambium {

class Committer;

// What a replay reads and applies at the least; a prediction, and what recovery_ms_max goes by.
inline constexpr std::uint64_t kReplayBytesPerSecond = 200'000'000;

class PartitionLog {
 public:
  static constexpr std::size_t kSegmentsMin = 2;  // one to write to while a checkpoint frees the other

  struct Plan {
    std::uint32_t segment_pages = 1024;
    std::size_t segments_max = kSegmentsMin;
  };

  // As the superblock says. `zeroing`: used while the commit lane is held.
  PartitionLog(BlockDevice& device, SpaceMap& space, WriteGroup& zeroing, std::size_t zeroing_bytes,
               const format::Superblock& record, Plan plan);
  PartitionLog(const PartitionLog&) = delete;
  PartitionLog& operator=(const PartitionLog&) = delete;

  // ---- the commit protocol ----

  // What the next superblock says. Before the sync that precedes it: see WalWriter::position_of().
  void describe(format::Superblock& next) const;
  // A superblock with this record is durable.
  void committed(const format::Superblock& record) noexcept;
  // A failed commit casts doubt on the log as well, and the other way round.
  void poison(const Status& cause) noexcept {
    if (writer_) writer_->poison(cause);
  }
  bool failed() const noexcept { return writer_ && !writer_->error(); }
  const Status& error() const noexcept { return writer_->error(); }  // Requires: writer()

  // ---- from open to close ----

  bool exists() const noexcept { return layout_.log_id != 0; }  // in the file
  bool clean() const noexcept { return clean_; }                // and need not be read
  const WalLayout& layout() const noexcept { return layout_; }  // as the file says; Requires: no writer yet
  WalWriter* writer() const noexcept { return writer_.get(); }  // null: nothing is logged
  // What of the log has to be whole now: what the writer made durable, or what was replayed where nothing is written.
  // Nothing when there is no log, when it is clean, or when nobody has read it.
  std::optional<LogRange> range(Sequence in_tables) const;
  void set_replayed(LogRange range) { replayed_ = std::move(range); }

  // A new log in the segments there are, or in new ones. `salt` makes its id one of a kind.
  Task<Status> begin(Committer& committer, std::uint64_t salt, Sequence last, const WalStaging& staging,
                     const WalPolicy& policy);
  // The log as replayed. Requires: erase_tail().
  void go_on(const WalReplay& replayed, const WalStaging& staging, const WalPolicy& policy);
  // Gives the segments back. Requires: the tables hold everything, no writer.
  Task<Status> remove(Committer& committer);
  // Nothing follows. `clean`: the tables hold everything, and the superblock is to say so.
  Task<Status> finish(Committer& committer, bool clean);

  // ---- room ----

  // Should the flusher do something about it: grow, or move the start on? `flushed`: what the tables hold.
  bool work_due(Sequence flushed) const noexcept { return growth_due() || lags(flushed); }
  Task<Status> work(Committer& committer);
  bool growth_due() const noexcept { return writer_ && can_grow() && pressed(); }
  // More than half is used, or a writer waits: a checkpoint helps.
  bool pressed() const noexcept { return starved_ || over_half(); }
  bool over_half() const noexcept {
    return writer_->bytes_used() * 2 >= writer_->segment_count() * writer_->segment_bytes();
  }
  bool can_grow() const noexcept { return !growth_refused_ && segment_count() < segments_max(); }
  void set_starved(bool starved) noexcept { starved_ = starved; }
  bool starved() const noexcept { return starved_; }
  // One checkpoint at a time is asked for.
  bool checkpoint_asked = false;
  // A record that no checkpoint makes room for.
  bool cannot_hold(std::uint64_t body_bytes) const noexcept;
  // Gives free segments back, down to the least.
  Task<Status> shrink(Committer& committer);

  std::size_t segment_count() const noexcept;
  // First pages of all segments that the newest superblock names.
  std::vector<std::uint32_t> first_pages() const;
  std::uint32_t segment_pages() const noexcept { return layout_.segment_pages; }

 private:
  bool lags(Sequence flushed) const noexcept;
  std::size_t segments_max() const noexcept;
  Result<PageRun> take_run(std::uint32_t pages);
  Task<Status> add_segments(std::size_t count, std::vector<std::uint32_t>& to);

  BlockDevice& device_;
  SpaceMap& space_;
  WriteGroup& zeroing_;
  std::size_t zeroing_bytes_;
  Plan plan_;
  WalLayout layout_;
  bool clean_;
  std::uint64_t newest_position_;  // in the newest superblock
  std::unique_ptr<WalWriter> writer_;
  std::optional<LogRange> replayed_;   // of a log that is only read
  std::vector<std::uint32_t> coming_;  // named by the next superblock
  std::vector<std::uint32_t> named_;   // named by the newest one, not by the other
  bool growth_refused_ = false;        // there was no space for another segment
  bool starved_ = false;               // a writer waits for a segment
};

}  // namespace cambium
