// SPDX-License-Identifier: MIT OR Apache-2.0
// Cambium with many clients: a partition per core, keys sharded by their hash, a coroutine per client.
//
// A client works on its core; for a key of another partition it sends the operation there and awaits the answer. A
// scan over several partitions reads them at once and merges, which one partition does not need.
//
// Invariants
//   1. Partition i and its clients are touched on core i only; memory is divided evenly among the partitions.
//   2. A client of puts that are ready at once lets go of the core now and then: background work shares it.
#include <algorithm>
#include <cstring>
#include <optional>

#include "harness/concurrent_store.h"
#include "harness/fail.h"
#include "harness/workload.h"
#include "peers/cambium_table.h"
#include "peers/core_team.h"
#include "peers/engines.h"

namespace cambium::bench {
namespace {

constexpr unsigned kOperationsPerLook = 16;  // at the clock of the core, by clients that never wait

void require_ok(const Status& status) {
  if (!status) fail("cambium: " + std::string(status.error().message()));
}

template <class T>
T value_of(Result<T> result) {
  if (!result) fail("cambium: " + std::string(result.error().message()));
  return std::move(*result);
}

// What one partition gives to a merged scan: bytes of keys and values, one after another.
struct ScanPart {
  std::string bytes;
  std::vector<std::pair<std::size_t, std::size_t>> lengths;

  void clear() {
    bytes.clear();
    lengths.clear();
  }
};

class CambiumStore final : public ConcurrentStore {
 public:
  explicit CambiumStore(const StoreOptions& options)
      : options_(options), team_(std::make_unique<CoreTeam>(options.cores)), tables_(options.cores) {
    CambiumTable::require_kind(options.kind);
  }
  ~CambiumStore() override { close(); }

  std::string name() const override { return std::string("cambium ") + version() + " " + options_.kind; }
  std::string settings(std::uint64_t memory_bytes) const override {
    return std::to_string(options_.cores) + " partition(s), each on a core of its own and with its part of " +
           std::to_string(memory_bytes >> 20) + " MiB for everything; direct I/O, WAL " +
           (options_.log ? "batched (synced every 10 ms)" : "off") +
           ", CRC-32C verified on every page read, no compression; a coroutine per client";
  }

  void open(const std::string& dir, std::uint64_t memory_bytes) override {
    dir_ = dir;
    memory_bytes_ = memory_bytes;
    team_->everywhere([](unsigned core, void* self) { return static_cast<CambiumStore*>(self)->open_here(core); },
                      this);
    open_ = true;
  }
  void close() override {
    if (!open_) return;
    team_->everywhere([](unsigned core, void* self) { return static_cast<CambiumStore*>(self)->close_here(core); },
                      this);
    open_ = false;
  }

  void run(std::span<Client* const> clients) override {
    clients_ = clients;
    team_->everywhere([](unsigned core, void* self) { return static_cast<CambiumStore*>(self)->run_here(core); }, this);
  }
  void settle() override {
    team_->everywhere([](unsigned core, void* self) { return static_cast<CambiumStore*>(self)->settle_here(core); },
                      this);
  }

  unsigned scan_parts() const override { return options_.cores; }
  void scan_all(Direction direction, std::span<EntrySink* const> sinks) override {
    direction_ = direction;
    sinks_ = sinks;
    team_->everywhere([](unsigned core, void* self) { return static_cast<CambiumStore*>(self)->scan_here(core); },
                      this);
  }

  unsigned shard_count() const override { return options_.cores; }
  unsigned shard_of(std::string_view key) const override {
    if (options_.cores == 1) return 0;
    std::uint64_t hash = key.size();
    for (; key.size() > 8; key.remove_prefix(8)) hash = mix64(hash ^ word_of(key));
    return static_cast<unsigned>(mix64(hash ^ word_of(key)) % options_.cores);
  }

  std::vector<Counter> counters() const override {
    std::vector<Stats> all(options_.cores);
    std::pair<const CambiumStore*, std::vector<Stats>*> context(this, &all);
    team_->everywhere(take_stats, &context);
    static constexpr std::pair<const char*, std::uint64_t Stats::*> kCounted[] = {
        {"write_stalls", &Stats::write_stalls},
        {"loop_stalls", &Stats::loop_stalls},
        {"flushes", &Stats::flushes},
        {"get_misses", &Stats::get_misses},
        {"row_cache_hits", &Stats::row_cache_hits},
        {"filter_false_positives", &Stats::filter_false_positives},
        {"compaction_pages", &Stats::compaction_pages_written},
    };
    std::vector<Counter> counters;
    for (const auto& [name, field] : kCounted) {
      Counter counter{name, 0};
      for (const Stats& stats : all) counter.value += stats.*field;
      counters.push_back(counter);
    }
    return counters;
  }

 private:
  static std::uint64_t word_of(std::string_view key) {
    std::uint64_t word = 0;
    std::memcpy(&word, key.data(), std::min(key.size(), sizeof word));
    return word;
  }

  Task<Status> open_here(unsigned core) {
    const std::string path = dir_ + "/shard" + std::to_string(core) + ".cambium";
    Options options;
    options.path = path;
    options.memory_bytes = memory_bytes_ / options_.cores;
    options.wal = options_.log ? WalMode::batched : WalMode::none;
    CambiumTable table = co_await check(CambiumTable::open(Core::current(), options, options_.kind));
    tables_[core].emplace(std::move(table));
    co_return Status();
  }
  Task<Status> close_here(unsigned core) {
    const Status closed = co_await tables_[core]->close();
    tables_[core].reset();
    co_return closed;
  }
  static Task<Status> take_stats(unsigned core, void* context) {
    const auto& [self, all] = *static_cast<std::pair<const CambiumStore*, std::vector<Stats>*>*>(context);
    (*all)[core] = self->tables_[core]->stats();
    co_return Status();
  }
  Task<Status> settle_here(unsigned core) { co_return co_await tables_[core]->settle(); }

  Task<Status> run_here(unsigned core) {
    TaskGroup group;
    for (std::size_t index = core; index < clients_.size(); index += options_.cores) {
      group.add(serve(*clients_[index], core));
    }
    co_await group.join();
    co_return Status();
  }

  // One client, from its first operation to its last.
  Task<void> serve(Client& client, unsigned home) {
    Core& core = Core::current();
    Operation operation;
    std::vector<ScanPart> parts(options_.cores > 1 ? options_.cores : 0);
    for (unsigned count = 0; client.next(operation); ++count) {
      if (operation.verb == Verb::pause) {
        co_await core.sleep_ns(operation.pause_ns);
      } else if (operation.verb == Verb::scan && options_.cores > 1) {
        co_await scan_merged(client, operation, parts);
      } else {
        const unsigned owner = shard_of(operation.key);
        if (owner == home) {
          co_await perform(client, operation, owner);
        } else {
          co_await team_->cluster().on(owner, perform_there, this, &client, &operation);
        }
      }
      client.on_done();
      const bool look = count % kOperationsPerLook == 0;
      if (look && core.over_budget()) {
        co_await core.yield();
      }
    }
  }

  static Task<void> perform_there(CambiumStore* self, Client* client, const Operation* operation) {
    co_await self->perform(*client, *operation, Cluster::current_index());
  }

  // On the core that holds the key.
  Task<void> perform(Client& client, const Operation& operation, unsigned shard) {
    CambiumTable& table = *tables_[shard];
    if (operation.verb == Verb::put) {
      const Status stored = co_await table.put(operation.key, operation.value);
      require_ok(stored);
    } else if (operation.verb == Verb::scan) {
      co_await scan_range(client, table, operation);
    } else {
      Result<Value> found = co_await table.get(operation.key);
      const Value value = value_of(std::move(found));
      if (operation.verb == Verb::get) {
        client.on_value(static_cast<bool>(value), value.view());
      } else {
        const std::string_view changed = client.on_modify(static_cast<bool>(value), value.view());
        const Status stored = co_await table.put(operation.key, changed);
        require_ok(stored);
      }
    }
  }

  static ScanOptions limited(const Operation& operation) {
    ScanOptions options;
    options.limit = operation.scan_length;
    return options;
  }
  static ScanRange from(const Operation& operation) {
    ScanRange range;
    range.from = operation.key;
    return range;
  }

  Task<void> scan_range(Client& client, CambiumTable& table, const Operation& operation) {
    Scan scan = table.scan(from(operation), limited(operation));
    for (;;) {
      Result<std::span<const Entry>> page = co_await scan.next_page();
      const std::span<const Entry> entries = value_of(std::move(page));
      if (entries.empty()) break;
      for (const Entry& entry : entries) client.on_entry(entry.key.view(), entry.value.view());
    }
  }

  static Task<void> collect_there(CambiumStore* self, const Operation* operation, ScanPart* part) {
    CambiumTable& table = *self->tables_[Cluster::current_index()];
    Scan scan = table.scan(from(*operation), limited(*operation));
    part->clear();
    for (;;) {
      Result<std::span<const Entry>> page = co_await scan.next_page();
      const std::span<const Entry> entries = value_of(std::move(page));
      if (entries.empty()) break;
      for (const Entry& entry : entries) {
        part->bytes.append(entry.key.view()).append(entry.value.view());
        part->lengths.emplace_back(entry.key.size(), entry.value.size());
      }
    }
  }
  Task<void> fetch(unsigned shard, const Operation& operation, ScanPart& part) {
    co_await team_->cluster().on(shard, collect_there, this, &operation, &part);
  }
  Task<void> scan_merged(Client& client, const Operation& operation, std::vector<ScanPart>& parts) {
    TaskGroup group;
    for (unsigned shard = 0; shard < options_.cores; ++shard) group.add(fetch(shard, operation, parts[shard]));
    co_await group.join();
    merge(client, operation.scan_length, parts);
  }
  static void merge(Client& client, std::uint32_t length, const std::vector<ScanPart>& parts) {
    struct Position {
      std::size_t entry = 0;
      std::size_t offset = 0;
    };
    std::vector<Position> at(parts.size());
    auto key_at = [&](std::size_t i) {
      return std::string_view(parts[i].bytes).substr(at[i].offset, parts[i].lengths[at[i].entry].first);
    };
    for (std::uint32_t count = 0; count < length; ++count) {
      std::size_t least = parts.size();
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (at[i].entry == parts[i].lengths.size()) continue;
        if (least == parts.size() || key_at(i) < key_at(least)) least = i;
      }
      if (least == parts.size()) return;
      const auto [key_bytes, value_bytes] = parts[least].lengths[at[least].entry];
      const std::string_view value =
          std::string_view(parts[least].bytes).substr(at[least].offset + key_bytes, value_bytes);
      client.on_entry(key_at(least), value);
      at[least].offset += key_bytes + value_bytes;
      ++at[least].entry;
    }
  }

  Task<Status> scan_here(unsigned core) {
    ScanOptions options;
    options.reverse = direction_ == Direction::reverse;
    Scan scan = tables_[core]->scan({}, options);
    for (;;) {
      const std::span<const Entry> entries = co_await check(scan.next_page());
      if (entries.empty()) break;
      for (const Entry& entry : entries) sinks_[core]->on_entry(entry.key.view(), entry.value.view());
    }
    co_return Status();
  }

  StoreOptions options_;
  std::string dir_;
  std::uint64_t memory_bytes_ = 0;
  bool open_ = false;
  // Of the command under way.
  std::span<Client* const> clients_;
  std::span<EntrySink* const> sinks_;
  Direction direction_ = Direction::forward;

  std::unique_ptr<CoreTeam> team_;
  std::vector<std::optional<CambiumTable>> tables_;  // each touched on its core only
};

}  // namespace

std::unique_ptr<ConcurrentStore> make_cambium_store(const StoreOptions& options) {
  return std::make_unique<CambiumStore>(options);
}

}  // namespace cambium::bench
