// SPDX-License-Identifier: MIT OR Apache-2.0
// RocksDB as its experts run it on a small machine: direct I/O, no compression, 10-bit Bloom filters, the
// memory budget as block cache, no WAL for loads, SstFileWriter with ingestion for sorted input.
//
// Its indexes, filters and write buffers come on top of the budget: RocksDB gets more memory than the others,
// not less.
// With a log it is set up for durable puts as its experts would: logs recycled, so that a sync changes no size, and
// two logs written and retired before the first measurement; which write queue is best is left to durable_variants().
// Build it with tools/build-rocksdb; distribution packages have assertions on and are no fair peer.
//
// Invariants
//   1. Background threads are started by the maker, before a benchmark pins its own thread.
//   2. Everything put is in synced table files when sync() or bulk_load() returns.
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>
#include <time.h>

#include <thread>

#include "harness/batch_getter.h"
#include "harness/fail.h"
#include "peers/engines.h"

// How the library was built is part of what it is: the build system passes the first line of BUILD-INFO.
#ifndef CAMBIUM_BENCH_ROCKSDB_BUILD
#define CAMBIUM_BENCH_ROCKSDB_BUILD "build not recorded"
#endif

// RocksDB uses io_uring only when the program defines this hook, as its own db_bench does; without it a
// MultiGet reads one block after another.
extern "C" bool RocksDbIOUringEnable();
extern "C" bool RocksDbIOUringEnable() { return true; }

namespace cambium::bench {
namespace {

constexpr std::size_t kWriteBufferBytes = std::size_t{128} << 20;
constexpr int kWriteBufferCount = 4;
constexpr std::uint64_t kIngestFileBytes = std::uint64_t{256} << 20;
constexpr std::size_t kPutsPerBatch = 500;  // of the sorted put load: batched, as its users load

void check(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) fail(std::string("rocksdb: ") + what + ": " + status.ToString());
}

rocksdb::Slice slice_of(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view_of(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// Durable puts: one thread for each slot, as RocksDB's clients are; its group commit gathers them.
class RocksdbPutter final : public DurablePutter {
 public:
  explicit RocksdbPutter(std::unique_ptr<rocksdb::DB>& db) : db_(db) { write_options_.sync = true; }

  void run(PutClients& clients, unsigned slot_count) override {
    if (slot_count == 1) return put(clients, 0);
    std::vector<std::thread> threads;
    for (unsigned slot = 0; slot < slot_count; ++slot)
      threads.emplace_back([this, &clients, slot] { put(clients, slot); });
    for (std::thread& thread : threads) thread.join();
  }

 private:
  void put(PutClients& clients, unsigned slot) {
    std::string_view key;
    std::string_view value;
    while (clients.next(slot, key, value)) {
      check(db_->Put(write_options_, slice_of(key), slice_of(value)), "durable put");
      clients.on_durable(slot);
    }
  }

  std::unique_ptr<rocksdb::DB>& db_;
  rocksdb::WriteOptions write_options_;
};

class RocksdbAdapter final : public KvAdapter {
 public:
  RocksdbAdapter() {
    write_options_.disableWAL = true;
    batch_read_options_.async_io = true;
    for (const auto pool : {rocksdb::Env::Priority::HIGH, rocksdb::Env::Priority::LOW}) {
      rocksdb::Env::Default()->SetBackgroundThreads(2, pool);
    }
  }
  ~RocksdbAdapter() override { close(); }

  std::string name() const override { return "rocksdb " + rocksdb::GetRocksVersionAsString(); }

  std::string settings() const override {
    return "direct reads, flushes and compactions; no compression; Bloom 10 bits; block cache " +
           std::to_string(memory_bytes_ >> 20) + " MiB; index, filters and write buffers " +
           std::to_string(kWriteBufferCount) + " x " + std::to_string(kWriteBufferBytes >> 20) + " MiB on top; WAL " +
           log_text() +
           "; 2 background jobs; multi_get with io_uring and async_io; loads compacted before "
           "reads; " CAMBIUM_BENCH_ROCKSDB_BUILD;
  }

  void configure(LogMode log, const std::string& own_settings) override {
    log_ = log;
    own_settings_ = own_settings;
    write_options_.disableWAL = log == LogMode::none;
  }

  void open(const std::string& dir, std::uint64_t memory_bytes) override {
    dir_ = dir;
    memory_bytes_ = memory_bytes;
    options_ = make_options(memory_bytes);
    if (log_ != LogMode::none) options_.allow_concurrent_memtable_write = true;  // its default, for many writers
    check(rocksdb::GetOptionsFromString(rocksdb::Options(options_), own_settings_, &options_), "settings");
    rocksdb::DB* opened = nullptr;
    check(rocksdb::DB::Open(options_, dir, &opened), "open");
    db_.reset(opened);
    if (log_ == LogMode::sync && options_.recycle_log_file_num != 0) prepare_logs();
  }

  void close() override {
    if (db_ == nullptr) return;
    pinned_.Reset();  // values hold on to blocks of the cache
    batch_values_.clear();
    check(db_->Close(), "close");
    db_.reset();
  }

  void put(std::string_view key, std::string_view value) override {
    check(db_->Put(write_options_, slice_of(key), slice_of(value)), "put");
  }

  void commit() override {}  // a put is visible when it returns

  void sync() override { check(db_->Flush(rocksdb::FlushOptions()), "flush"); }  // table files are synced by it

  void sync_log() override { check(db_->SyncWAL(), "sync the log"); }

  // Untimed: reads then meet one sorted level, the best case of an LSM engine.
  void settle() override {
    check(db_->Flush(rocksdb::FlushOptions()), "flush");
    check(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr), "compact");
    const timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
    for (std::uint64_t running = 1; running != 0; nanosleep(&pause, nullptr)) {
      if (!db_->GetIntProperty("rocksdb.num-running-compactions", &running)) break;
    }
  }

  std::vector<std::string> bulk_methods() const override { return {"ingest", "put"}; }

  void bulk_load(const std::string& method, EntrySource next) override {
    if (method == "ingest") {
      ingest(next);
    } else {
      put_sorted(next);
    }
  }

  bool get(std::string_view key, ValueFn use) override {
    pinned_.Reset();
    const rocksdb::Status status = db_->Get(read_options_, db_->DefaultColumnFamily(), slice_of(key), &pinned_);
    if (status.IsNotFound()) return false;
    check(status, "get");
    use(view_of(pinned_));
    return true;
  }

  std::size_t multi_get(std::span<const std::string_view> keys, IndexedValueFn use) override {
    batch_keys_.clear();
    for (std::string_view key : keys) batch_keys_.push_back(slice_of(key));
    if (batch_values_.size() < keys.size()) {
      batch_values_ = std::vector<rocksdb::PinnableSlice>(keys.size());
      batch_statuses_ = std::vector<rocksdb::Status>(keys.size());
    }
    for (rocksdb::PinnableSlice& value : batch_values_) value.Reset();
    db_->MultiGet(batch_read_options_, db_->DefaultColumnFamily(), keys.size(), batch_keys_.data(),
                  batch_values_.data(), batch_statuses_.data());
    std::size_t found = 0;
    for (std::size_t index = 0; index < keys.size(); ++index) {
      if (batch_statuses_[index].IsNotFound()) continue;
      check(batch_statuses_[index], "multi_get");
      use(index, view_of(batch_values_[index]));
      ++found;
    }
    return found;
  }

  std::uint64_t scan(Direction direction, EntryFn use) override {
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(read_options_));
    const bool forward = direction == Direction::forward;
    std::uint64_t count = 0;
    for (forward ? iterator->SeekToFirst() : iterator->SeekToLast(); iterator->Valid();
         forward ? iterator->Next() : iterator->Prev()) {
      use(view_of(iterator->key()), view_of(iterator->value()));
      ++count;
    }
    check(iterator->status(), "scan");
    return count;
  }

  AsyncGetter* async_getter() override { return &batch_getter_; }
  DurablePutter* durable_putter() override { return &putter_; }
  std::vector<std::string> durable_variants() const override {
    // Recycled logs need a recovery mode that accepts them.
    const std::string recycled = "recycle_log_file_num=4;wal_recovery_mode=kTolerateCorruptedTailRecords";
    return {"", "enable_pipelined_write=true", recycled, recycled + ";enable_pipelined_write=true",
            recycled + ";allow_concurrent_memtable_write=false"};
  }
  std::vector<std::string> recovery_variants() const override { return {"", "avoid_flush_during_recovery=true"}; }

  std::vector<std::string> data_files() const override {
    std::vector<rocksdb::LiveFileMetaData> files;
    db_->GetLiveFilesMetaData(&files);
    std::vector<std::string> paths;
    for (const rocksdb::LiveFileMetaData& file : files) paths.push_back(file.db_path + file.name);
    return paths;
  }

 private:
  static rocksdb::Options make_options(std::uint64_t memory_bytes) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.use_direct_reads = true;
    options.use_direct_io_for_flush_and_compaction = true;
    options.max_background_jobs = 2;
    options.max_subcompactions = 2;
    options.level_compaction_dynamic_level_bytes = true;
    options.write_buffer_size = kWriteBufferBytes;
    options.max_write_buffer_number = kWriteBufferCount;
    options.allow_concurrent_memtable_write = false;  // one writer: saves it the concurrent insert
    options.stats_dump_period_sec = 0;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(memory_bytes);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = false;  // in a small cache they would evict each other, at many reads per get
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
  }

  std::string log_text() const {
    if (log_ == LogMode::none) return "off";
    return (log_ == LogMode::sync ? "on, durable puts with sync=true" : "on, not synced") +
           (own_settings_.empty() ? std::string() : " (" + own_settings_ + ")");
  }

  // Leaves retired logs to be recycled: written ones, so that later syncs change neither size nor extents.
  void prepare_logs() {
    constexpr std::uint64_t kLogBytes = std::uint64_t{48} << 20;
    const std::string key(1, '\xFF');  // behind every key of a workload; deleted again
    const std::string value(std::size_t{64} << 10, 'v');
    for (int log = 0; log < 3; ++log) {
      for (std::uint64_t bytes = 0; bytes < kLogBytes; bytes += value.size()) put(key, value);
      check(db_->Delete(write_options_, key), "delete");
      check(db_->Flush(rocksdb::FlushOptions()), "flush");
    }
  }

  void ingest(EntrySource next) {
    std::vector<std::string> paths;
    std::unique_ptr<rocksdb::SstFileWriter> writer;
    std::string_view key, value;
    while (next(key, value)) {
      if (writer != nullptr && writer->FileSize() >= kIngestFileBytes) {
        check(writer->Finish(), "finish a table file");
        writer.reset();
      }
      if (writer == nullptr) {
        writer = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
        paths.push_back(dir_ + "/bulk-" + std::to_string(paths.size()) + ".sst");
        check(writer->Open(paths.back()), "open a table file");
      }
      check(writer->Put(slice_of(key), slice_of(value)), "append");
    }
    if (writer == nullptr) return;
    check(writer->Finish(), "finish a table file");
    rocksdb::IngestExternalFileOptions ingestion;
    ingestion.move_files = true;
    ingestion.write_global_seqno = false;  // spares it a rewrite of each file's head
    check(db_->IngestExternalFile(paths, ingestion), "ingest");
  }

  void put_sorted(EntrySource next) {
    rocksdb::WriteBatch batch;
    std::string_view key, value;
    for (bool more = next(key, value); more;) {
      check(batch.Put(slice_of(key), slice_of(value)), "batch");
      more = next(key, value);
      if (!more || static_cast<std::size_t>(batch.Count()) == kPutsPerBatch) {
        check(db_->Write(write_options_, &batch), "write");
        batch.Clear();
      }
    }
    sync();
  }

  std::string dir_;
  std::uint64_t memory_bytes_ = 0;
  LogMode log_ = LogMode::none;
  std::string own_settings_;
  rocksdb::Options options_;
  rocksdb::WriteOptions write_options_;
  rocksdb::ReadOptions read_options_;
  rocksdb::ReadOptions batch_read_options_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::PinnableSlice pinned_;
  std::vector<rocksdb::Slice> batch_keys_;
  std::vector<rocksdb::PinnableSlice> batch_values_;
  std::vector<rocksdb::Status> batch_statuses_;
  BatchGetter batch_getter_{*this};
  RocksdbPutter putter_{db_};
};

}  // namespace

std::unique_ptr<KvAdapter> make_rocksdb_adapter() { return std::make_unique<RocksdbAdapter>(); }

}  // namespace cambium::bench
