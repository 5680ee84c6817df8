// SPDX-License-Identifier: MIT OR Apache-2.0
// Partition: one file, one core, all of the engine: tables, put, get, scan, snapshot, flush.
//
//   Task<Status> app(Core& core) {
//     Partition db = co_await check(Partition::open(core, {.path = "data.cambium"}));
//     co_await check(db.put("hello", "world"));
//     Value value = co_await check(db.get("hello"));
//     co_return co_await db.close();
//   }
//
// Every call starts its work and has consumed its inputs when it returns; co_await only collects. A get of a cached
// key and a put into the write buffer are ready at once: no coroutine frame, no allocation, no suspension.
//
// Durability: what a crash leaves is a prefix of the writes in the order of their sequences, batches whole. It holds at
// least what flush() or durable() acknowledged, and every acknowledged write that asked for durability (Options::wal =
// sync, or WriteOptions::durable). No read shows a write that asked for durability and does not have it yet: it waits.
// Making, renaming and dropping a table is durable when it completes, and a crash leaves it done or not done.
//
// Limits     keys of 1 to 1,024 bytes, values up to 1 GiB and half of memory_bytes; ordered bytewise.
// Errors     invalid_argument changes nothing; io from a failed sync poisons the partition: reads go on, writes fail
//            with the first error until it is reopened; no_space keeps buffered writes and resumes by itself;
//            deletes go through on a full device, unless they stand behind writes that do not fit, or are one batch of
//            more than the reserve holds (a 64th of the file): split it. A table of kind `levels` that cannot be merged
//            because an sstable is damaged refuses writes (corruption) when too much has piled up; reads go on.
// Threads    everything on the core that opened it.
// Lifetime   scans, snapshots, values and operations end before close(), which waits for operations and refuses
//            (busy) while snapshots or scans are held. A partition ends before its core. Destroyed without close() it
//            loses what was neither flushed nor logged, and winds down on the loop: it ends its background work and its
//            I/O, then unlocks the file. Until the loop has turned that far (Core::drain(), or poll() until idle()) the
//            file stays locked, and the core may not go. run(app) does it by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/levels.h>
#include <cambium/limits.h>
#include <cambium/options.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/check.h>
#include <cambium/rt/core.h>
#include <cambium/rt/export.h>
#include <cambium/rt/op.h>
#include <cambium/scan.h>
#include <cambium/snapshot.h>
#include <cambium/stats.h>
#include <cambium/table.h>
#include <cambium/value.h>
#include <cambium/write_batch.h>

namespace cambium {

class PartitionState;
class BulkLoadState;

// A damaged place that check() found.
struct Damage {
  std::uint64_t page = 0;  // the first page of it; 0: no single page
  std::string table;       // empty: the catalog, the space map, or the log
  std::string from;        // the keys that it holds, or held: from `from`, included, ...
  std::string to;          // ... to `to`, excluded; empty: to the last key
  std::string reason;      // one line, which names the file

  bool in_log = false;
  std::uint64_t log_position = 0;  // of the log: where, in bytes over its life
  Sequence first_write{};          // ... which writes are missing from it; 0: none is known to be
  Sequence last_write{};           // 0: the end is not known
};

// What check() found: an inventory, and what is damaged.
struct CheckReport {
  static constexpr std::size_t kDamagesMax = 1000;  // places that are listed; all of them are counted

  std::uint64_t tables = 0;
  std::uint64_t entries = 0;
  std::uint64_t reachable_pages = 0;  // nodes, overflow extents, space map, superblocks
  std::uint64_t free_pages = 0;
  std::uint64_t held_pages = 0;
  std::uint64_t log_bytes = 0;      // that were read, of what has to be whole of the log
  std::uint64_t log_records = 0;    // batches of writes in them
  bool superblock_damaged = false;  // one copy fails its checksum; the next commit mends it
  std::uint64_t damaged_places = 0;
  std::vector<Damage> damages;  // the first of them

  bool whole() const noexcept { return damaged_places == 0; }
};

// Loads a sorted stream into an empty table, far faster than puts: no buffer, every node written once and full. It
// appears at once, with finish(); until then writes, flush(), compact(), check() and a second load are refused (busy),
// and no snapshot shows any of it.
class CAMBIUM_EXPORT BulkLoad {
 public:
  explicit BulkLoad(std::unique_ptr<BulkLoadState> state) noexcept;
  BulkLoad(BulkLoad&& other) noexcept;
  BulkLoad& operator=(BulkLoad&& other) noexcept;
  ~BulkLoad();  // without finish(): nothing was loaded

  // Keys ascend strictly. Ready at once except when a buffer goes to the device.
  Op<void> add(Bytes key, Bytes value);
  // Everything is durable and visible, or (on an error) nothing is.
  Op<void> finish();

 private:
  std::unique_ptr<BulkLoadState> state_;
};

class CAMBIUM_EXPORT Partition {
 public:
  // Errors: not_found, exists, busy (locked by another process), unsupported (foreign or newer file), corruption,
  // resource, io. A file that failed to open was not changed.
  static Op<Partition> open(Core& core, const Options& options);

  explicit Partition(std::unique_ptr<PartitionState> state) noexcept;
  Partition(Partition&& other) noexcept;
  Partition& operator=(Partition&& other) noexcept;
  ~Partition();

  // ---- tables ----

  // The table of this name, made if need be (TableMode). One that is there is answered at once. Making one takes a
  // commit; those that are asked for together share one, so start many before awaiting the first. Errors:
  // invalid_argument (the name), not_found, exists, unsupported (this build has no such kind), no_space.
  Op<Table> table(Bytes name, TableOptions options = {}, TableMode mode = TableMode::open_or_create);
  Table default_table() const noexcept;
  // Handles stay good. Everything written before is durable first. Errors: not_found, exists, invalid_argument (the new
  // name, or the default table's), no_space.
  Op<void> rename_table(Bytes from, Bytes to);
  // One commit, however long the table is; its space comes back in the background, also over a crash. Everything
  // written before is durable first, unless the device is full: then the drop goes ahead, since it makes room.
  // Snapshots taken before go on reading the table by its handle, and keep its space. Errors: not_found,
  // invalid_argument (the default table).
  Op<void> drop_table(Bytes name);
  // All of them, by name.
  std::vector<TableInfo> tables() const;
  // Errors: not_found (it was dropped).
  Result<TableStats> table_stats(const Table& table) const;
  // A look inside a table of kind `levels`; reads its manifest, if nobody has yet. Errors: invalid_argument (a tree),
  // not_found (it was dropped), corruption.
  Op<TableLevels> table_levels(const Table& table);
  // The entries of one of its sstables, tombstones included; none: there are no more. Errors: the same; not_found also
  // when there is no such sstable, maybe no more: compaction replaces them.
  Op<std::vector<SstableEntry>> sstable_entries(const Table& table, std::uint64_t id, const SstableRange& range = {});

  // ---- writing and reading: the default table, or the one that is named first ----

  Op<void> put(Bytes key, Bytes value, WriteOptions options = {});
  Op<void> put(const Table& table, Bytes key, Bytes value, WriteOptions options = {});
  Op<void> del(Bytes key, WriteOptions options = {});
  Op<void> del(const Table& table, Bytes key, WriteOptions options = {});
  Op<void> write(const WriteBatch& batch, WriteOptions options = {});

  // Number of the newest write, and the wait until everything up to such a number is durable (without a log: a flush).
  Sequence last_sequence() const noexcept;
  Op<void> durable(Sequence sequence);

  Op<Value> get(Bytes key, ReadOptions options = {});
  Op<Value> get(const Table& table, Bytes key, ReadOptions options = {});
  // values[i] becomes the value of keys[i]. Interleaved: several times the rate of single gets, cached or not.
  // Requires: `values` is as long as `keys` and outlives the operation.
  Op<void> multi_get(std::span<const Bytes> keys, std::span<Value> values, ReadOptions options = {});
  Op<void> multi_get(const Table& table, std::span<const Bytes> keys, std::span<Value> values,
                     ReadOptions options = {});

  Scan scan(const ScanRange& range = {}, ScanOptions options = {});
  Scan scan(const Table& table, const ScanRange& range = {}, ScanOptions options = {});
  // Of all tables at once.
  Snapshot snapshot();

  // Everything written before this call is durable when it completes.
  Op<void> flush(FlushOptions options = {});
  // Moves pages from the end of the file to free space and cuts the file. Readers and writers go on meanwhile.
  Op<void> compact();
  // Until no compaction of a table of kind `levels` is due, and merging all of it would hardly make it smaller, or
  // quicker to read: what lies above the bottom level is less than a tenth of that, and so is what a merge would drop.
  // Then gives back file space, if more than an eighth of what is in use is free. Tries again what has stopped. Errors:
  // the one that stopped a table's compaction; as compact().
  Op<void> settle();
  // Background compaction of all tables of kind `levels`: it ends after the slice under way, and goes on.
  void pause_compaction();
  void resume_compaction();
  // Errors: invalid_argument when the table is not empty.
  Op<BulkLoad> bulk_load();
  Op<BulkLoad> bulk_load(const Table& table);

  // Reads and verifies everything on the device: pages, keys, counts, long values, the space map, the log as far as it
  // is durable. Damage does not stop it. Readers, writers and flushes go on meanwhile; what they write after the call
  // is not looked at, and what they free stays allocated until the check is done; the log goes on, and what it leaves
  // behind is not looked at. Errors: corruption, with the first reason and how many there are.
  Op<CheckReport> check();
  // The same, with everything that was found in `report`, whatever the outcome. Requires: it outlives the operation.
  Op<void> check(CheckReport& report);
  // The same of a file that is not open: of its log, too, when that is one that open() refuses. Never writes. Errors as
  // check(), and as open(), read-only.
  static Op<void> check_file(Core& core, const Options& options, CheckReport& report);
  Stats stats() const;
  Options options() const;  // as opened, with what was derived filled in

  // Flushes, ends the log so that the next open need not read it, stops background work, unlocks the file. Errors: busy
  // while snapshots or scans are held.
  Op<void> close();

 private:
  std::unique_ptr<PartitionState> state_;
};

}  // namespace cambium
