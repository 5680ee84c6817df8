// SPDX-License-Identifier: MIT OR Apache-2.0
// Everything a partition is made of, in the order in which it is built; destroyed in reverse.
//
//   device -> arena -> { cache, staging } -> space -> tables, views -> committer -> publisher -> flusher
//                                                     buffers, log -------------------------------^
//
// The walks start here: write_path.cc (put), read_path.cc (get), scan_state (scan), flush/flusher (flush),
// flush/committer (commit), open.cc (open and close).
//
// Threads    one core.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <cambium/options.h>
#include <cambium/partition.h>
#include <cambium/rt/gate.h>

#include "cache/page_stream.h"
#include "flush/buffer_set.h"
#include "flush/committer.h"
#include "flush/flusher.h"
#include "flush/partition_log.h"
#include "flush/publisher.h"
#include "flush/snapshot_state.h"
#include "flush/table_remover.h"
#include "flush/table_set.h"
#include "flush/views.h"
#include "levels/level_store.h"
#include "partition/catalog.h"
#include "partition/level_keeper.h"
#include "partition/memory_plan.h"
#include "partition/recovery.h"
#include "partition/scrubber.h"
#include "rt/buffer_arena.h"
#include "tree/key_index.h"
#include "tree/tree_store.h"

namespace cambium {

// Beside what each table counts for itself.
struct OperationStats {
  std::uint64_t get_misses = 0;
  std::uint64_t write_stalls = 0;
  std::uint64_t overflow_reads = 0;
};

class PartitionState {
 public:
  // ---- open and close (open.cc) ----
  enum class Purpose : std::uint8_t {
    use,
    inspection,  // read-only, and the log is not replayed: inspect() is all that may be called
  };
  static Task<Result<std::unique_ptr<PartitionState>>> open(Core& core, Options options,
                                                            Purpose purpose = Purpose::use);
  ~PartitionState();
  Task<Status> close();
  Task<void> stop_background();
  Task<Status> end_log(bool clean);
  Task<void> reads_drained();

  // ---- writing (write_path.cc) ----
  Op<void> write_one(TableState& table, Bytes key, Bytes value, WriteKind kind, WriteOptions options);
  Op<void> write_batch(const WriteBatch& batch, WriteOptions options);
  Op<void> durable(Sequence sequence);
  // Everything up to here survives a crash.
  Sequence durable_sequence() const noexcept {
    const Sequence in_tables{committer->record().sequence};
    return log->writer() != nullptr ? std::max(in_tables, log->writer()->durable()) : in_tables;
  }
  // What reads may see now: when the log has failed, nothing of which a crash could take back what was asked to stay.
  Sequence visible_sequence() const noexcept {
    return asked_durable > durable_sequence() && committer->poisoned() ? durable_sequence() : last_sequence;
  }
  SnapshotState snapshot_now() const;
  Task<Status> wait_until_durable(Sequence sequence, CancelSource* cancel = nullptr, std::int64_t deadline_ns = 0);
  Task<Status> flush(FlushOptions options);

  // ---- reading (read_path.cc) ----
  Op<Value> get(TableState& table, Bytes key, ReadOptions options);
  Op<void> multi_get(TableState& table, std::span<const Bytes> keys, std::span<Value> values, ReadOptions options);
  Scan scan(TableState& table, const ScanRange& range, const ScanOptions& options);
  Scan failed_scan(const Error& why);

  // ---- tables (catalog.cc; what is said of them: table_report.cc) ----
  Op<Table> open_table(Bytes name, TableOptions options, TableMode mode);
  Op<void> rename_table(Bytes from, Bytes to);
  Op<void> drop_table(Bytes name);
  std::vector<TableInfo> list_tables() const;
  Result<TableStats> table_stats(const Table& table);
  Op<TableLevels> table_levels(const Table& table);
  Op<std::vector<SstableEntry>> sstable_entries(const Table& table, std::uint64_t id, const SstableRange& range);
  // The table of a handle; null when it was dropped: no_table().
  TableState* table_to_write(const Table& table) noexcept { return tables.find_live(table.id()); }
  TableState* table_to_read(const Table& table, const Snapshot* snapshot) noexcept {
    TableState* const found = tables.find(table.id());
    if (found == nullptr || found->live()) [[likely]]
      return found;
    const bool older = snapshot != nullptr && snapshot->state().tables_epoch < found->dropped_epoch();
    return older ? found : nullptr;
  }
  Error no_table(TableId id) const;

  // ---- the rest ----
  // compact.cc: until at most `slack` of the file is free. The log, if asked, down to its least.
  Task<Status> compact(double slack, bool shrink_log);
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
  std::vector<std::unique_ptr<WriteGroup>> compaction_staging;  // of level stores, beside commits and each other
  std::unique_ptr<StreamBuffers> streams;                       // null where memory is small
  std::unique_ptr<SpaceMap> space;
  std::unique_ptr<RowCache> row_cache;  // in the memory of idle write buffers
  std::unique_ptr<TreeStore> trees;
  std::unique_ptr<TreeStore> sstables;  // what the level store is made of
  std::unique_ptr<LevelStore> levels;
  std::unique_ptr<KeyIndex> key_index;
  TableSet tables;
  std::unique_ptr<Views> views;
  SnapshotRegistry snapshots;
  std::unique_ptr<Committer> committer;
  std::unique_ptr<PartitionLog> log;  // always there; its writer only where the mode asks for one
  std::unique_ptr<Publisher> publisher;
  WalStaging log_staging;
  std::unique_ptr<BufferSet> buffers;
  std::unique_ptr<Flusher> flusher;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<TableRemover> remover;
  std::uint64_t tables_epoch = 0;      // tables dropped since open()
  std::unique_ptr<Recovery> recovery;  // during open()
  std::unique_ptr<LevelKeeper> keeper;
  std::unique_ptr<Scrubber> scrubber;  // null when it is off
  Sequence last_sequence{};
  Sequence asked_durable{};  // the newest write whose durability was asked for with it
  std::uint64_t recovery_ns = 0;
  std::uint64_t recovery_records = 0;
  std::uint64_t recovery_bytes = 0;  // of the log
  Purpose purpose = Purpose::use;
  bool superblock_damaged = false;
  bool closing = false;
  bool loading = false;             // a sorted load is under way: nothing else writes
  bool background_running = false;  // the flusher or the scrub: stop_background() before this goes
  std::uint64_t scans_open = 0;     // scans and bulk loads hold on to the parts above
  Gate operations;                  // what close() waits for
  OperationStats counts;

  // Values may pin half of the cache; beyond that they are copied, so that reading can go on.
  bool may_pin() const noexcept { return cache->pinned() <= cache->frames() / 2; }
  // The bytes of a found entry, which is no reference to a long value: they stay where they are if they may.
  Value plain_value(const FoundEntry& found);
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
  char* superblock_pages() noexcept;
  Status build_memory();
  Status map_memory();
  Task<Status> create_file();
  Task<Status> load_file();
  Task<Status> load_catalog(const format::Superblock& record);
  void start_background();
  Task<Status> start_log();
  void open_log(const format::Superblock& record);

  // write_path.cc
  bool make_room(std::size_t key_bytes, std::size_t value_bytes);
  bool make_batch_room(std::size_t entries, std::size_t cost);
  const BufferEntry& apply(TableId table, Bytes key, Bytes value, WriteKind kind, bool durable);
  void apply_batch(const WriteBatch& batch, bool durable);
  bool append_to_log(std::span<const WalEntry> entries) noexcept;
  void relieve_log();
  std::span<const WalEntry> log_entries(const WriteBatch& batch);
  Op<void> written(bool durable);
  Op<void> until_durable(Sequence sequence);
  Op<void> write_waiting(const WriteBatch& batch, bool durable);
  Task<Status> write_in_turn(const WriteBatch& batch, bool durable);
  Task<Status> write_with_turn(const WriteBatch& batch, bool durable);
  Task<Status> wait_for_buffer(std::size_t entries, std::size_t cost);
  Task<Status> wait_for_segment(std::uint64_t body_bytes);
  Task<Status> write_around_log(const WriteBatch& batch, std::size_t cost, bool durable);
  Task<Status> flush_through(Sequence through);
  Task<Status> flush_at_last(Sequence through);
  std::vector<WalEntry> log_entries_;  // of the batch being written
  Error no_buffer_memory() const;
  Status check_write(Bytes key, std::size_t value_bytes) const;
  Status check_tables(const WriteBatch& batch) noexcept;
  struct BatchSize {
    std::size_t cost = 0;          // of the write buffer
    std::uint64_t body_bytes = 0;  // of the log
  };
  BatchSize size_of(const WriteBatch& batch) const noexcept;
  // One that waits for its turn, in its own frame.
  struct WaitingWrite {
    const WriteBatch* batch;
    bool durable;
    bool written = false;
  };
  bool write_now(WaitingWrite& waiting);
  std::deque<WaitingWrite*> waiting_writes_;  // in the order of the calls; the first one has its turn
  rt::WaitQueue write_turn_;                  // writers behind the one that waits for room

  // read_path.cc
  const BufferEntry* find_in_buffers(TableId table, Bytes key, Sequence limit, WriteBuffer*& in);
  const BufferEntry* find_in_buffers(const SnapshotState& snapshot, TableId table, Bytes key, Sequence limit,
                                     WriteBuffer*& in);
  const BufferEntry* find_in_flushed(const TableState& table, Bytes key, WriteBuffer*& in);
  // Whoever wrote it was promised more than it has now.
  bool pending(const BufferEntry& entry) const noexcept {
    return (entry.flags & BufferEntry::kAskedDurable) != 0 && entry.sequence > durable_sequence();
  }
  Op<Value> get_pending(Value value, Sequence sequence, ReadOptions options);
  Op<Value> get_through_buffers(TableState& table, Bytes key, ReadOptions options);
  Op<Value> get_waiting(Bytes key, TableStore& store, TableRoot root, ViewRef view, Lookup lookup, ReadOptions options);
  Op<Value> get_unloaded(TableState& table, Bytes key, ReadOptions options);
  Op<Value> get_stored(FoundEntry found, ViewRef view);
  Task<Result<Value>> stored_value(const FoundEntry& found);
  Op<void> multi_get_waiting(TableState& table, std::span<const Bytes> keys, std::span<Value> values,
                             ReadOptions options);
  Status interrupted(const ReadOptions& options) const;
};

}  // namespace cambium
