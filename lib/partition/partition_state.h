// SPDX-License-Identifier: MIT OR Apache-2.0
// Everything a partition is made of, in the order in which it is built; destroyed in reverse.
//
//   device -> arena -> { cache, staging } -> space -> tables, views -> committer -> publisher -> flusher
//                                                     buffers ------------------------------------^
//
// The walks start here: write_path.cc (put), read_path.cc (get), scan_state (scan), flush/flusher (flush),
// flush/committer (commit), open.cc (open and close).
//
// Threads    one core.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <cambium/options.h>
#include <cambium/partition.h>
#include <cambium/rt/gate.h>

#include "flush/buffer_set.h"
#include "flush/committer.h"
#include "flush/flusher.h"
#include "flush/publisher.h"
#include "flush/snapshot_state.h"
#include "flush/table_set.h"
#include "flush/views.h"
#include "partition/memory_plan.h"
#include "partition/scrubber.h"
#include "rt/buffer_arena.h"
#include "tree/key_index.h"
#include "tree/tree_store.h"

namespace cambium {

struct OperationStats {
  std::uint64_t gets = 0;
  std::uint64_t get_misses = 0;
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t scans = 0;
  std::uint64_t write_stalls = 0;
  std::uint64_t overflow_reads = 0;
};

class PartitionState {
 public:
  // ---- open and close (open.cc) ----
  static Task<Result<std::unique_ptr<PartitionState>>> open(Core& core, Options options);
  ~PartitionState();
  Task<Status> close();
  Task<void> stop_background();

  // ---- writing (write_path.cc) ----
  Op<void> write_one(TableState& table, Bytes key, Bytes value, WriteKind kind, WriteOptions options);
  Op<void> write_batch(TableState& table, const WriteBatch& batch, WriteOptions options);
  Task<Status> flush(FlushOptions options);

  // ---- reading (read_path.cc) ----
  Op<Value> get(TableState& table, Bytes key, ReadOptions options);
  Op<void> multi_get(TableState& table, std::span<const Bytes> keys, std::span<Value> values, ReadOptions options);

  // ---- the rest ----
  Task<Status> compact(double slack);  // compact.cc: until at most `slack` of the file is free
  // inspect.cc, behind Partition::check(): corruption when something is damaged.
  Task<Status> inspect(CheckReport& report);
  Stats stats() const;  // stats.cc

  Core& core;
  std::string path;
  Options options;  // as opened; options.path shows `path`
  MemoryPlan plan{};
  std::unique_ptr<BlockDevice> device;
  std::optional<rt::BufferArena> arena;
  std::unique_ptr<PageCache> cache;
  std::unique_ptr<WriteGroup> staging;  // node pages and overflow values
  std::unique_ptr<WriteGroup> space_staging;
  std::unique_ptr<SpaceMap> space;
  std::unique_ptr<TreeStore> trees;
  std::unique_ptr<KeyIndex> key_index;
  TableSet tables;
  std::unique_ptr<Views> views;
  SnapshotRegistry snapshots;
  std::unique_ptr<Committer> committer;
  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<BufferSet> buffers;
  std::unique_ptr<Flusher> flusher;
  std::unique_ptr<Scrubber> scrubber;  // null when it is off
  Sequence last_sequence{};
  bool superblock_damaged = false;
  bool closing = false;
  bool loading = false;             // a sorted load is under way: nothing else writes
  bool background_running = false;  // the flusher or the scrub: stop_background() before this goes
  std::uint64_t scans_open = 0;     // scans and bulk loads hold on to the parts above
  Gate operations;                  // what close() waits for
  OperationStats counts;

  // The bytes of a found entry as a Value; waits only for overflow values.
  Value value_in_page(FrameIndex frame, Bytes bytes);
  Value value_in_buffer(WriteBuffer& buffer, const BufferEntry& entry);
  Task<Result<Value>> overflow_value(Bytes reference);

  Status writable() const;        // why a commit would be refused
  Status not_loading() const;     // why what needs the commit lane would be refused
  Status accepts_writes() const;  // why a write would be refused

 private:
  explicit PartitionState(Core& on) : core(on) {}

  // open.cc
  Task<Status> open_device();
  Task<Result<bool>> open_file();
  char* superblock_pages() noexcept;  // the end of the arena
  Status build_memory();
  Status map_memory();
  Task<Status> create_file();
  Task<Status> load_file();
  Task<Status> load_catalog(const format::Superblock& record);
  void start_background();

  // write_path.cc
  bool make_room(std::size_t key_bytes, std::size_t value_bytes);
  const BufferEntry& apply(TableState& table, Bytes key, Bytes value, WriteKind kind);
  void apply_batch(TableState& table, const WriteBatch& batch);
  Op<void> write_one_waiting(TableState& table, Bytes key, Bytes value, WriteKind kind);
  Op<void> write_batch_waiting(TableState& table, const WriteBatch& batch);
  Task<Status> wait_for_room(std::size_t entries, std::size_t cost);
  Error no_buffer_memory() const;
  Status check_write(Bytes key, std::size_t value_bytes) const;
  std::size_t waiting_writers_ = 0;
  rt::WaitQueue write_turn_;  // writers behind the one that waits for room

  // read_path.cc
  const BufferEntry* find_in_buffers(TableId table, Bytes key, WriteBuffer*& in);
  const BufferEntry* find_in_buffers(const SnapshotState& snapshot, TableId table, Bytes key, WriteBuffer*& in);
  Op<Value> get_through_buffers(TableState& table, Bytes key, ReadOptions options);
  Op<Value> get_waiting(Bytes key, TableStore& store, TableRoot root, ViewRef view, Lookup lookup, ReadOptions options);
  Op<Value> get_overflow(Bytes reference, ViewRef view);
  Op<void> multi_get_waiting(TableState& table, std::span<const Bytes> keys, std::span<Value> values,
                             ReadOptions options);
  Status interrupted(const ReadOptions& options) const;
};

}  // namespace cambium
