// SPDX-License-Identifier: MIT OR Apache-2.0
// The public face: Partition, Scan, Snapshot and BulkLoad as handles to what does the work.
#include <cambium/partition.h>

#include <cambium/rt/check.h>

#include "partition/bulk_load.h"
#include "partition/partition_state.h"
#include "partition/scan_state.h"

namespace cambium {

namespace {

// Destroyed without close(): the state ends its background work on the loop, then goes.
Task<void> wind_down(std::unique_ptr<PartitionState> state) {
  state->closing = true;
  co_await state->operations.close();
  co_await state->stop_background();
  const Status ended = co_await state->end_log(false);
  static_cast<void>(ended);
  co_await state->reads_drained();
  state->device->close();
}

Op<Partition> open_partition(Core& core, Options options) {
  // The options' views are only good until the first suspension; open() copies the path before that.
  std::unique_ptr<PartitionState> state = co_await check(PartitionState::open(core, options));
  co_return Partition(std::move(state));
}

Op<void> flush_partition(PartitionState& state, FlushOptions options) {
  const GatePass pass(state.operations);
  Status status = co_await state.flush(options);
  co_return status;
}

Op<void> compact_partition(PartitionState& state) {
  const GatePass pass(state.operations);
  constexpr double kSlack = 1.0 / 16;
  Status status = co_await state.compact(kSlack, true);
  co_return status;
}

Op<CheckReport> check_partition(PartitionState& state) {
  CheckReport report;
  co_await check(state.inspect(report));
  co_return report;
}

Op<void> check_partition_into(PartitionState& state, CheckReport& report) {
  report = {};
  Status whole = co_await state.inspect(report);
  co_return whole;
}

Op<void> check_file_at(Core& core, Options options, CheckReport& report) {
  report = {};
  options.mode = OpenMode::open;
  options.read_only = true;
  options.scrub_mb_per_s = 0;
  std::unique_ptr<PartitionState> state =
      co_await check(PartitionState::open(core, options, PartitionState::Purpose::inspection));
  Status whole = co_await state->inspect(report);
  const Status closed = co_await state->close();
  if (whole) whole = closed;
  co_return whole;
}

Op<BulkLoad> begin_bulk_load(PartitionState& state, TableState& table) {
  const GatePass pass(state.operations);
  std::unique_ptr<BulkLoadState> load = co_await check(BulkLoadState::begin(state, table));
  co_return BulkLoad(std::move(load));
}

Op<void> close_partition(std::unique_ptr<PartitionState>& owner) {
  Status closed = co_await owner->close();
  if (!owner->closing) co_return closed;  // snapshots or scans are still held: it stays open
  owner.reset();
  co_return closed;
}

}  // namespace

Op<Partition> Partition::open(Core& core, const Options& options) {
  const Core::Scope scope(core);
  return open_partition(core, options);
}

Partition::Partition(std::unique_ptr<PartitionState> state) noexcept : state_(std::move(state)) {}
Partition::Partition(Partition&&) noexcept = default;
Partition& Partition::operator=(Partition&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
Partition::~Partition() {
  if (!state_) return;
  // A read-only one has no background work; but a get or a read-ahead may be in flight.
  if (!state_->background_running && state_->operations.count() == 0 && state_->cache->loading() == 0) return;
  Core& core = state_->core;
  core.spawn(wind_down(std::move(state_)));
}

// ---- tables -------------------------------------------------------------------------------------------------------

Op<Table> Partition::table(Bytes name, TableOptions options, TableMode mode) {
  return state_->open_table(name, options, mode);
}
Table Partition::default_table() const noexcept { return handle_of(state_->tables.default_table()); }
std::vector<TableInfo> Partition::tables() const { return state_->list_tables(); }
Result<TableStats> Partition::table_stats(const Table& table) const { return state_->table_stats(table); }
Op<TableLevels> Partition::table_levels(const Table& table) { return state_->table_levels(table); }
Op<std::vector<SstableEntry>> Partition::sstable_entries(const Table& table, std::uint64_t id,
                                                         const SstableRange& range) {
  return state_->sstable_entries(table, id, range);
}
Op<void> Partition::rename_table(Bytes from, Bytes to) { return state_->rename_table(from, to); }
Op<void> Partition::drop_table(Bytes name) { return state_->drop_table(name); }

// ---- writing ------------------------------------------------------------------------------------------------------

Op<void> Partition::put(Bytes key, Bytes value, WriteOptions options) {
  return state_->write_one(state_->tables.default_table(), key, value, WriteKind::put, options);
}
Op<void> Partition::put(const Table& table, Bytes key, Bytes value, WriteOptions options) {
  TableState* const state = state_->table_to_write(table);
  if (state == nullptr) return state_->no_table(table.id());
  return state_->write_one(*state, key, value, WriteKind::put, options);
}
Op<void> Partition::del(Bytes key, WriteOptions options) {
  return state_->write_one(state_->tables.default_table(), key, Bytes(), WriteKind::del, options);
}
Op<void> Partition::del(const Table& table, Bytes key, WriteOptions options) {
  TableState* const state = state_->table_to_write(table);
  if (state == nullptr) return state_->no_table(table.id());
  return state_->write_one(*state, key, Bytes(), WriteKind::del, options);
}
Op<void> Partition::write(const WriteBatch& batch, WriteOptions options) { return state_->write_batch(batch, options); }
Sequence Partition::last_sequence() const noexcept { return state_->last_sequence; }
Op<void> Partition::durable(Sequence sequence) {
  const Core::Scope scope(state_->core);
  return state_->durable(sequence);
}

// ---- reading ------------------------------------------------------------------------------------------------------

Op<Value> Partition::get(Bytes key, ReadOptions options) {
  return state_->get(state_->tables.default_table(), key, options);
}
Op<Value> Partition::get(const Table& table, Bytes key, ReadOptions options) {
  TableState* const state = state_->table_to_read(table, options.snapshot);
  if (state == nullptr) return state_->no_table(table.id());
  return state_->get(*state, key, options);
}
Op<void> Partition::multi_get(std::span<const Bytes> keys, std::span<Value> values, ReadOptions options) {
  return state_->multi_get(state_->tables.default_table(), keys, values, options);
}
Op<void> Partition::multi_get(const Table& table, std::span<const Bytes> keys, std::span<Value> values,
                              ReadOptions options) {
  TableState* const state = state_->table_to_read(table, options.snapshot);
  if (state == nullptr) return state_->no_table(table.id());
  return state_->multi_get(*state, keys, values, options);
}

Scan Partition::scan(const ScanRange& range, ScanOptions options) {
  return state_->scan(state_->tables.default_table(), range, options);
}
Scan Partition::scan(const Table& table, const ScanRange& range, ScanOptions options) {
  TableState* const state = state_->table_to_read(table, options.snapshot);
  if (state == nullptr) return state_->failed_scan(state_->no_table(table.id()));
  return state_->scan(*state, range, options);
}
Scan PartitionState::scan(TableState& table, const ScanRange& range, const ScanOptions& scan_options) {
  ++table.counts.scans;
  if (scan_options.snapshot != nullptr) {
    return Scan(std::make_unique<ScanState>(*this, table, scan_options.snapshot->state(), range, scan_options));
  }
  const SnapshotState now = snapshot_now();
  return Scan(std::make_unique<ScanState>(*this, table, now, range, scan_options));
}
// A scan has no other way to say so than with its first page.
Scan PartitionState::failed_scan(const Error& why) {
  const SnapshotState now = snapshot_now();
  auto scan = std::make_unique<ScanState>(*this, tables.default_table(), now, ScanRange(), ScanOptions());
  scan->fail(why);
  return Scan(std::move(scan));
}

Snapshot Partition::snapshot() {
  auto snapshot = std::make_unique<SnapshotState>(state_->snapshot_now());
  state_->snapshots.add(*snapshot);
  snapshot->space = state_->space.get();
  return Snapshot(std::move(snapshot));
}

Op<void> Partition::flush(FlushOptions options) {
  const Core::Scope scope(state_->core);
  return flush_partition(*state_, options);
}
Op<void> Partition::compact() {
  const Core::Scope scope(state_->core);
  return compact_partition(*state_);
}
namespace {

constexpr double kSettledSlack = 0.125;  // of what is in use, that may be free

Op<void> settle_partition(PartitionState& state) {
  const GatePass pass(state.operations);
  if (state.keeper == nullptr) co_return Status();
  co_await check(state.keeper->settle(false));
  if (state.keeper->paused()) co_return Status();
  // What merging has left free at the end of the file.
  Status cut = co_await state.compact(kSettledSlack, false);
  co_return cut;
}

}  // namespace

Op<void> Partition::settle() {
  const Core::Scope scope(state_->core);
  return settle_partition(*state_);
}
void Partition::pause_compaction() {
  if (state_->keeper != nullptr) state_->keeper->pause();
}
void Partition::resume_compaction() {
  if (state_->keeper != nullptr) state_->keeper->resume();
}
Op<BulkLoad> Partition::bulk_load() {
  const Core::Scope scope(state_->core);
  return begin_bulk_load(*state_, state_->tables.default_table());
}
Op<BulkLoad> Partition::bulk_load(const Table& table) {
  TableState* const state = state_->table_to_write(table);
  if (state == nullptr) return state_->no_table(table.id());
  const Core::Scope scope(state_->core);
  return begin_bulk_load(*state_, *state);
}
Op<CheckReport> Partition::check() {
  const Core::Scope scope(state_->core);
  return check_partition(*state_);
}
Op<void> Partition::check(CheckReport& report) {
  const Core::Scope scope(state_->core);
  return check_partition_into(*state_, report);
}
Op<void> Partition::check_file(Core& core, const Options& options, CheckReport& report) {
  const Core::Scope scope(core);
  return check_file_at(core, options, report);
}
Stats Partition::stats() const { return state_->stats(); }
Options Partition::options() const { return state_->options; }
Op<void> Partition::close() {
  if (!state_) return Status();
  const Core::Scope scope(state_->core);
  return close_partition(state_);
}

// ---- Scan ---------------------------------------------------------------------------------------------------------

Scan::Scan(std::unique_ptr<ScanState> state) noexcept : state_(std::move(state)) {}
Scan::Scan(Scan&&) noexcept = default;
Scan& Scan::operator=(Scan&&) noexcept = default;
Scan::~Scan() = default;
Op<const Entry*> Scan::next() { return state_->next(); }
Op<std::span<const Entry>> Scan::next_page() { return state_->next_page(); }

// ---- Snapshot -----------------------------------------------------------------------------------------------------

Snapshot::Snapshot(std::unique_ptr<SnapshotState> state) noexcept : state_(std::move(state)) {}
Snapshot::Snapshot(Snapshot&&) noexcept = default;
Snapshot& Snapshot::operator=(Snapshot&&) noexcept = default;
Snapshot::~Snapshot() = default;
Sequence Snapshot::sequence() const noexcept { return state_->sequence(); }
std::uint64_t Snapshot::pinned_bytes() const noexcept {
  return state_->space->pinned_pages(state_->generation()) * kPageBytes;
}

// ---- BulkLoad -----------------------------------------------------------------------------------------------------

BulkLoad::BulkLoad(std::unique_ptr<BulkLoadState> state) noexcept : state_(std::move(state)) {}
BulkLoad::BulkLoad(BulkLoad&&) noexcept = default;
BulkLoad& BulkLoad::operator=(BulkLoad&&) noexcept = default;
BulkLoad::~BulkLoad() = default;
Op<void> BulkLoad::add(Bytes key, Bytes value) { return state_->add(key, value); }
Op<void> BulkLoad::finish() {
  const Core::Scope scope(state_->core());
  return state_->finish();
}

}  // namespace cambium
