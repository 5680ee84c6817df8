// SPDX-License-Identifier: MIT OR Apache-2.0
// RocksDB with a thread per client, held to one memory budget, as its experts tune it for sustained writes and reads of
// data larger than memory on a small machine.
//
// The budget is one block cache: data blocks, and all indexes and filters, which are pinned in it as long as their file
// lives, and the write buffers, which a WriteBufferManager charges to it. That is how its documentation bounds memory.
//
// Invariants
//   1. settle() ends when no flush and no compaction is running or due; nothing is compacted that RocksDB would not
//      compact by itself.
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_buffer_manager.h>
#include <time.h>

#include <algorithm>
#include <string>
#include <thread>

#include "harness/concurrent_store.h"
#include "harness/fail.h"
#include "peers/engines.h"

#ifndef CAMBIUM_BENCH_ROCKSDB_BUILD
#define CAMBIUM_BENCH_ROCKSDB_BUILD "build not recorded"
#endif

namespace cambium::bench {
namespace {

constexpr unsigned kBudgetPerWriteBuffer = 4;   // a write buffer takes a quarter of the budget,
constexpr unsigned kBudgetAllWriteBuffers = 2;  // all of them half of it
constexpr int kWriteBufferCountMax = 3;
constexpr int kCacheShardBits = 4;  // few enough that a filter fits into a shard of the smallest cache
constexpr int kBackgroundJobs = 3;  // a flush and two compactions: both cores
constexpr std::size_t kScanReadaheadBytes = std::size_t{2} << 20;
constexpr std::int64_t kPollNs = 5'000'000;
constexpr unsigned kQuietPolls = 4;

void check(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) fail(std::string("rocksdb: ") + what + ": " + status.ToString());
}

rocksdb::Slice slice_of(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view_of(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

void pause_ns(std::int64_t duration_ns) {
  const timespec pause{.tv_sec = duration_ns / 1'000'000'000, .tv_nsec = duration_ns % 1'000'000'000};
  nanosleep(&pause, nullptr);
}

class RocksdbStore final : public ConcurrentStore {
 public:
  explicit RocksdbStore(const StoreOptions& options) : store_options_(options) {
    write_options_.disableWAL = !options.log;
    full_scan_options_.readahead_size = kScanReadaheadBytes;
    full_scan_options_.fill_cache = false;
    // Without async_io: in this version an iterator with it can wait for ever for a read that has been served.
    full_scan_options_.adaptive_readahead = true;
  }
  ~RocksdbStore() override { close(); }

  std::string name() const override { return "rocksdb " + rocksdb::GetRocksVersionAsString(); }

  std::string settings(std::uint64_t memory_bytes) const override {
    const rocksdb::Options options = make_options(memory_bytes);
    return "leveled, dynamic level bytes; one budget of " + std::to_string(memory_bytes >> 20) +
           " MiB: LRU block cache that pins all indexes and 10-bit Bloom filters and is charged for write buffers (" +
           std::to_string(options.write_buffer_size >> 20) + " MiB each, " +
           std::to_string(memory_bytes / kBudgetAllWriteBuffers >> 20) +
           " MiB in all); direct reads, flushes and compactions; WAL " +
           (store_options_.log ? "on, not synced" : "off") +
           "; no compression; checksums verified; blocks "
           "of "
           "4 KiB, aligned; table files of " +
           std::to_string(options.target_file_size_base >> 20) + " MiB; " +
           std::to_string(options.max_background_jobs) +
           " background jobs, 2 subcompactions; full scans with 2 MiB readahead; a thread per client; " +
           (store_options_.peer_options.empty() ? "" : "and " + store_options_.peer_options + "; ") +
           CAMBIUM_BENCH_ROCKSDB_BUILD;
  }

  void open(const std::string& dir, std::uint64_t memory_bytes) override {
    rocksdb::DB* opened = nullptr;
    check(rocksdb::DB::Open(make_options(memory_bytes), dir, &opened), "open");
    db_.reset(opened);
  }
  void close() override {
    if (db_ == nullptr) return;
    check(db_->Close(), "close");
    db_.reset();
  }

  void run(std::span<Client* const> clients) override {
    std::vector<std::thread> threads;
    for (Client* client : clients) threads.emplace_back([this, client] { serve(*client); });
    for (std::thread& thread : threads) thread.join();
  }

  void settle() override {
    check(db_->Flush(rocksdb::FlushOptions()), "flush");
    for (unsigned quiet_polls = 0; quiet_polls < kQuietPolls; pause_ns(kPollNs)) {
      quiet_polls = work_is_left() ? 0 : quiet_polls + 1;
    }
  }

  unsigned scan_parts() const override { return store_options_.cores; }
  void scan_all(Direction direction, std::span<EntrySink* const> sinks) override {
    std::vector<std::thread> threads;
    for (std::size_t part = 0; part < sinks.size(); ++part) {
      threads.emplace_back([this, direction, sinks, part] { scan_part(direction, *sinks[part], part, sinks.size()); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  std::vector<Counter> counters() const override {
    std::map<std::string, std::string> stats;
    db_->GetMapProperty(rocksdb::DB::Properties::kCFStats, &stats);
    auto count_of = [&stats](const char* name) {
      const auto found = stats.find(name);
      return found == stats.end() ? std::uint64_t{0} : static_cast<std::uint64_t>(std::stoull(found->second));
    };
    return {{"write_stops", count_of("io_stalls.total_stop")},
            {"write_slowdowns", count_of("io_stalls.total_slowdown")}};
  }

 private:
  rocksdb::Options make_options(std::uint64_t memory_bytes) const {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.use_direct_reads = true;
    options.use_direct_io_for_flush_and_compaction = true;
    options.compaction_readahead_size = std::size_t{2} << 20;
    options.bytes_per_sync = 1 << 20;
    options.max_background_jobs = kBackgroundJobs;
    options.max_subcompactions = 2;
    options.level_compaction_dynamic_level_bytes = true;
    options.write_buffer_size = memory_bytes / kBudgetPerWriteBuffer;
    options.max_write_buffer_number = kWriteBufferCountMax;
    // Level 1 about as large as what level 0 holds when it is compacted, and ten files of it.
    options.max_bytes_for_level_base = 4 * options.write_buffer_size;
    options.target_file_size_base = std::max<std::uint64_t>(options.max_bytes_for_level_base / 10, 8 << 20);
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(memory_bytes, kCacheShardBits);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    table.metadata_cache_options.unpartitioned_pinning = rocksdb::PinningTier::kAll;
    table.metadata_cache_options.partition_pinning = rocksdb::PinningTier::kAll;
    table.metadata_cache_options.top_level_index_pinning = rocksdb::PinningTier::kAll;
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    table.block_align = true;  // a block is one page of the device, not a part of two
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.write_buffer_manager =
        std::make_shared<rocksdb::WriteBufferManager>(memory_bytes / kBudgetAllWriteBuffers, table.block_cache);
    if (store_options_.peer_options.empty()) return options;
    rocksdb::Options changed;
    rocksdb::ConfigOptions parsing;
    check(rocksdb::GetOptionsFromString(parsing, options, store_options_.peer_options, &changed), "options");
    return changed;
  }

  bool work_is_left() {
    static const std::string kProperties[] = {
        rocksdb::DB::Properties::kNumRunningCompactions, rocksdb::DB::Properties::kNumRunningFlushes,
        rocksdb::DB::Properties::kCompactionPending, rocksdb::DB::Properties::kMemTableFlushPending};
    for (const std::string& property : kProperties) {
      std::uint64_t value = 0;
      if (!db_->GetIntProperty(property, &value)) fail("rocksdb: it does not tell " + property);
      if (value != 0) return true;
    }
    return false;
  }

  void serve(Client& client) {
    rocksdb::PinnableSlice value;
    Operation operation;
    while (client.next(operation)) {
      switch (operation.verb) {
        case Verb::put:
          check(db_->Put(write_options_, slice_of(operation.key), slice_of(operation.value)), "put");
          break;
        case Verb::get: {
          const bool found = get(operation.key, value);
          client.on_value(found, view_of(value));
          break;
        }
        case Verb::modify: {
          const bool found = get(operation.key, value);
          const std::string_view changed = client.on_modify(found, view_of(value));
          check(db_->Put(write_options_, slice_of(operation.key), slice_of(changed)), "put");
          break;
        }
        case Verb::scan:
          scan_range(client, operation);
          break;
        case Verb::pause:
          pause_ns(operation.pause_ns);
          break;
      }
      value.Reset();
      client.on_done();
    }
  }

  bool get(std::string_view key, rocksdb::PinnableSlice& value) {
    const rocksdb::Status status = db_->Get(read_options_, db_->DefaultColumnFamily(), slice_of(key), &value);
    if (status.IsNotFound()) return false;
    check(status, "get");
    return true;
  }

  void scan_range(Client& client, const Operation& operation) {
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(read_options_));
    iterator->Seek(slice_of(operation.key));
    for (std::uint32_t count = 0; count < operation.scan_length && iterator->Valid(); ++count) {
      client.on_entry(view_of(iterator->key()), view_of(iterator->value()));
      if (count + 1 < operation.scan_length) iterator->Next();
    }
    check(iterator->status(), "scan");
  }

  // Parts by the first byte of the keys.
  void scan_part(Direction direction, EntrySink& sink, std::size_t part, std::size_t part_count) {
    const std::string from(1, static_cast<char>(part * 256 / part_count));
    const std::string to(1, static_cast<char>((part + 1) * 256 / part_count));
    const rocksdb::Slice lower(from);
    const rocksdb::Slice upper(to);
    rocksdb::ReadOptions options = full_scan_options_;
    if (part != 0) options.iterate_lower_bound = &lower;
    if (part + 1 != part_count) options.iterate_upper_bound = &upper;
    const bool forward = direction == Direction::forward;
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options));
    for (forward ? iterator->SeekToFirst() : iterator->SeekToLast(); iterator->Valid();
         forward ? iterator->Next() : iterator->Prev()) {
      sink.on_entry(view_of(iterator->key()), view_of(iterator->value()));
    }
    check(iterator->status(), "scan");
  }

  StoreOptions store_options_;
  rocksdb::WriteOptions write_options_;
  rocksdb::ReadOptions read_options_;
  rocksdb::ReadOptions full_scan_options_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<ConcurrentStore> make_rocksdb_store(const StoreOptions& options) {
  return std::make_unique<RocksdbStore>(options);
}

}  // namespace cambium::bench
