// SPDX-License-Identifier: MIT OR Apache-2.0
// WalWriter: the write-ahead log of one partition, as it is written.
//
// Between the write path, which appends records and waits for their durability, and the block device. An append is a
// copy into the staging buffer being filled. At the end of a turn of the loop, what has gathered leaves as one group,
// unless two group writes are in flight, or one that will soon be done: then it gathers on, and leaves after that.
//
// A group is written durably (RWF_DSYNC) when somebody asked for the durability of something in it, plainly otherwise.
// Plain groups that are asked for later are made durable by a device sync; durability_ledger.h says what is durable.
//
// Invariants
//   1. A record is in the log as a whole or not at all; sequences are consecutive.
//   2. What durable() covers survives any crash, and replay() finds it.
//   3. Waiters for durability are woken in the order in which they came.
//   4. A segment is reused only when no group write in it is under way.
//
// Units      positions and segments: format/wal_segment.h. Intervals in milliseconds.
// Errors     the first failed write or sync poisons the writer: everybody who waits or comes later gets that error.
// Suspends   wait_durable(), append_large(), finish(); all else is a plain call, without allocation.
// Lifetime   finish() has returned, and nobody waits, before it is destroyed (asserted).
#pragma once

#include <array>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/core.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

#include "base/intrusive_list.h"
#include "base/ring_queue.h"
#include "rt/buffer_arena.h"
#include "wal/durability_ledger.h"
#include "wal/log_range.h"
#include "wal/position_marks.h"
#include "wal/segment_set.h"
#include "wal/wal_layout.h"
#include "wal/wal_record.h"
#include "wal/wal_replay.h"

namespace cambium {

// Memory that the log is written from: `count` buffers of `bytes`, one after the other, aligned for the device.
struct WalStaging {
  static constexpr std::size_t kCountMin = 3;  // two in flight, one to fill
  static constexpr std::size_t kCountMax = 16;
  char* memory = nullptr;
  std::size_t count = kCountMin;
  std::uint32_t bytes = format::kWalGroupBytesMax;  // of one: 8 KiB to 256 KiB, a multiple of 4 KiB
  const rt::BufferArena* arena = nullptr;           // that it lies in, if not null
};

struct WalPolicy {
  std::uint32_t interval_ms = 0;  // what is appended becomes durable within about this time; 0 = only when asked for
  std::uint64_t bytes = 0;        // ... or as soon as this much has been appended; 0 = whatever the interval says
  // A group that nobody waits for leaves only once it holds this much: fewer, larger writes, at the price of what a
  // killed process loses. 0 = at the end of the turn.
  std::uint32_t lazy_bytes = 0;
};

struct WalStats {
  std::uint64_t groups = 0;
  std::uint64_t groups_durable = 0;  // of these, by RWF_DSYNC
  std::uint64_t records = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t device_bytes = 0;  // with headers and padding
  std::uint64_t syncs = 0;
  std::uint64_t waits = 0;     // waits for durability that suspended
  std::uint64_t refusals = 0;  // appends that did not fit
  std::uint64_t segments_opened = 0;
  std::array<std::uint64_t, 7> groups_by_size{};  // [i]: groups of at most 4 KiB << i
};

// Whether a record fits, or who has to make room for it.
enum class WalRoom : std::uint8_t {
  yes,
  staging,   // soon: wait on room()
  segments,  // after a checkpoint (advance_start), or with one more segment
  large,     // longer than all staging buffers: append_large()
  failed,    // never: see error()
};

class WalWriter {
 public:
  // Goes on where replay() found the end. Requires: erase_tail() has succeeded since, or the log is fresh.
  WalWriter(BlockDevice& device, const WalLayout& layout, const WalReplay& replayed, const WalStaging& staging,
            const WalPolicy& policy = {});
  WalWriter(const WalWriter&) = delete;
  WalWriter& operator=(const WalWriter&) = delete;
  ~WalWriter();

  // ---- records ----

  // One atomic batch; entry i gets sequence first + i. False when it does not fit now: nothing was appended, and
  // room_for() says why. Requires: first == next(last_appended()), keys and values within their limits.
  bool append(Sequence first, std::span<const WalEntry> entries) noexcept;
  // For any length: feeds the record to the log piece by piece. Nobody else can append meanwhile. Requires: the entries
  // live until it has returned. Errors: no_space when the free segments cannot hold it, nothing was appended then.
  Task<Status> append_large(Sequence first, std::span<const WalEntry> entries);
  WalRoom room_for(std::uint64_t body_bytes) const noexcept;  // wal_body_bytes() of a record
  rt::WaitQueue& room() noexcept { return room_; }            // everybody in it is woken when there may be more
  Sequence last_appended() const noexcept { return last_appended_; }

  // ---- durability ----

  // Everything up to this sequence is to become durable. Requires: it has been appended.
  void request_durable(Sequence sequence) noexcept;
  Sequence durable() const noexcept { return ledger_.durable_sequence(); }
  // co_await wait_durable(s) yields a Status. Somebody, or the policy, asks for it: waiting does not.
  class DurableAwaiter;
  inline DurableAwaiter wait_durable(Sequence sequence) noexcept;
  // For waits that may be cut short: everybody in it is woken when more is durable, and when the log has failed.
  rt::WaitQueue& progress() noexcept { return progress_; }
  const Status& error() const noexcept { return error_; }
  // Something else of the file failed, and what the log has at the device is in doubt: as if a write of it had failed.
  void poison(const Status& cause) noexcept {
    if (error_) fail(cause);
  }

  // Writes up to `sequence` are in the tables and will never be in the log. Requires: everything appended is durable,
  // and both superblocks say that the tables have them.
  void skip_to(Sequence sequence) noexcept;

  // Makes everything durable, says so in the log (an empty group, so that damage to the last records is told from a
  // torn tail), and waits for what is in flight, also after an error. Nothing is appended afterwards.
  Task<Status> finish();

  // ---- segments ----

  void add_segment(std::uint32_t first_page) noexcept;  // zeroed and synced
  std::optional<std::uint32_t> remove_free_segment() noexcept {
    return large_ ? std::nullopt : segments_.remove_free();
  }
  // Where a replay has to begin to see every record above `sequence`. A superblock may hold the answer once a sync
  // submitted after this call has succeeded.
  std::uint64_t position_of(Sequence sequence) const noexcept;
  // Nobody will replay what lies before. Requires: no superblock that may still be read begins there.
  void advance_start(std::uint64_t position) noexcept;

  std::size_t segment_count() const noexcept { return segments_.count(); }
  std::size_t free_segment_count() const noexcept { return segments_.free_count(); }
  std::uint64_t segment_bytes() const noexcept { return layout_.segment_bytes(); }
  std::uint64_t ordinal_of(std::uint64_t position) const noexcept { return layout_.ordinal_of(position); }
  std::uint64_t start_position() const noexcept { return layout_.start_position; }
  std::uint64_t end_position() const noexcept { return tail_; }  // of the groups closed so far
  std::uint64_t bytes_used() const noexcept;                     // between start and end
  std::uint64_t bytes_free() const noexcept;                     // payload that the log can still take, full groups
  WalLayout layout() const;                                      // with all segments, as a superblock keeps it
  LogRange durable_range(Sequence in_tables) const;              // what is durable now, from the start on
  const WalStats& stats() const noexcept { return stats_; }

 private:
  // One staging buffer, and the group in it.
  struct Group {
    DeviceRequest request;  // first: the request's address is the group's
    WalWriter* writer = nullptr;
    char* data = nullptr;
    std::uint64_t position = 0;    // of the group's header
    std::uint32_t lead_bytes = 0;  // 4 KiB before it when it opens a segment, and brings the segment's header
    std::uint32_t capacity = 0;    // of the payload
    std::uint32_t used = 0;
    std::uint32_t first_record = 0;
    Sequence first_ended{};  // of the records that end here
    Sequence last_ended{};
    Sequence last_before{};     // newest record that ended before this group
    std::uint64_t offset = 0;   // in the file, of what is written
    bool busy = false;          // from opening to completion
    std::int64_t began_ns = 0;  // when it was submitted

    char* header() const noexcept { return data + lead_bytes; }
    char* payload() const noexcept { return header() + format::kWalGroupHeaderBytes; }
    std::uint64_t end() const noexcept { return position + format::wal_group_bytes(used); }
    Sequence last() const noexcept { return last_ended == Sequence{} ? last_before : last_ended; }
  };
  struct Sync {
    DeviceRequest request;  // first, as above
    WalWriter* writer = nullptr;
  };
  static constexpr unsigned kInFlightMax = 2;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  // The stream of records into groups.
  bool ready() noexcept;  // a group is open, and not full; false: no staging buffer, or no segment
  bool open_group() noexcept;
  void close_group() noexcept;
  void begin_record(Sequence first) noexcept;
  void end_record(std::span<const WalEntry> entries) noexcept;
  void put(const void* bytes, std::size_t count) noexcept;  // Requires: it fits
  std::size_t put_some(const char* bytes, std::size_t count) noexcept;
  Task<Status> feed(const char* bytes, std::size_t count);
  std::uint64_t payload_room(std::size_t buffers, std::size_t more_segments = 0) const noexcept;

  // Groups to the device.
  void schedule_pump() noexcept;
  void arm_pump(std::int64_t deadline_ns) noexcept;
  void pump() noexcept;
  bool leaves_now() const noexcept;
  bool worth_a_write() const noexcept;
  void seal(Group& group) noexcept;
  void submit(Group& group) noexcept;
  void completed(Group& group) noexcept;
  void synced() noexcept;
  void progressed() noexcept;
  void fail(Status error) noexcept;
  void release_segments() noexcept;
  bool idle() const noexcept { return in_flight_ == 0 && !ledger_.syncing(); }

  BlockDevice& device_;
  Core& core_;
  WalLayout layout_;  // first_pages is empty: segments_ has them
  WalPolicy policy_;
  WalStaging staging_;
  SegmentSet segments_;
  DurabilityLedger ledger_;
  PositionMarks marks_;

  std::unique_ptr<Group[]> groups_;
  std::vector<Group*> free_groups_;
  rt::RingQueue<Group*> closed_;
  Group* filling_ = nullptr;
  unsigned in_flight_ = 0;
  std::int64_t flight_began_ns_ = 0;  // of the group submitted last
  std::int64_t flight_ns_ = 0;        // how long the one took that completed last
  std::uint64_t tail_;                // where the next group begins
  std::uint64_t synced_recorded_;     // the highest synced_position that a group carries
  bool resumed_ = true;               // the next group is the first one of this writer
  bool large_ = false;                // append_large() is under way
  Sequence record_first_{};           // of the record being put

  Sequence last_appended_;
  Sequence wanted_{};                 // durable up to here, as asked for
  std::uint64_t unwanted_bytes_ = 0;  // appended since then
  Sync sync_;
  Status error_;
  rt::Timer pump_timer_;
  bool gathering_ = false;  // the timer gives those time who were woken
  rt::Timer interval_timer_;
  rt::WaitQueue room_;
  rt::WaitQueue progress_;
  rt::IntrusiveList<DurableAwaiter> waiters_;
  WalStats stats_;
};

class WalWriter::DurableAwaiter : public rt::IntrusiveNode {
 public:
  DurableAwaiter(WalWriter& writer, Sequence sequence) noexcept : writer_(writer), sequence_(sequence) {}
  ~DurableAwaiter() {
    if (linked()) unlink();
  }
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> caller) noexcept;
  Status await_resume() noexcept {
    resumption_.resumed();
    return std::move(status_);
  }

 private:
  friend class WalWriter;
  WalWriter& writer_;
  Sequence sequence_;
  Status status_;
  rt::Resumption resumption_;
};

inline WalWriter::DurableAwaiter WalWriter::wait_durable(Sequence sequence) noexcept {
  return DurableAwaiter(*this, sequence);
}

}  // namespace cambium
