// SPDX-License-Identifier: MIT OR Apache-2.0
// One small partition on a simulated disk, beside a std::map that says what must be in it: in the table of the kind
// that was asked for, which is meant wherever no table is named.
#pragma once

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "support/kinds.h"

namespace cambium::test {

using Model = std::map<std::string, std::string>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

inline Task<Result<Partition>> open_partition(Core& core, const Options& options) {
  Result<Partition> opened = co_await Partition::open(core, options);
  co_return opened;
}
inline Task<Result<Table>> open_table(Partition& db, Bytes name, TableMode mode = TableMode::open_or_create) {
  Result<Table> table = co_await db.table(name, {}, mode);
  co_return table;
}
inline Task<Status> rename_table(Partition& db, Bytes from, Bytes to) {
  Status status = co_await db.rename_table(from, to);
  co_return status;
}
inline Task<Status> drop_table(Partition& db, Bytes name) {
  Status status = co_await db.drop_table(name);
  co_return status;
}
inline Task<Status> apply_put(Partition& db, const Table& table, Bytes key, Bytes value) {
  Status status = co_await db.put(table, key, value);
  co_return status;
}
inline Task<Status> apply_batch(Partition& db, const WriteBatch& batch) {
  Status status = co_await db.write(batch);
  co_return status;
}
inline Task<Result<std::string>> read_value(Partition& db, const Table& table, Bytes key, ReadOptions options) {
  const Value value = co_await check(db.get(table, key, options));
  co_return value ? value.str() : std::string("(absent)");
}
inline Task<Status> apply_put(Partition& db, Bytes key, Bytes value) {
  Status status = co_await db.put(key, value);
  co_return status;
}
inline Task<Status> apply_del(Partition& db, const Table& table, Bytes key) {
  Status status = co_await db.del(table, key);
  co_return status;
}
inline Task<Status> apply_del(Partition& db, Bytes key) {
  Status status = co_await db.del(key);
  co_return status;
}
inline Task<Status> flush_partition(Partition& db, FlushOptions options) {
  Status status = co_await db.flush(options);
  co_return status;
}
inline Task<Status> settle_partition(Partition& db) {
  Status status = co_await db.settle();
  co_return status;
}
inline Task<Result<Table>> open_of_kind(Partition& db, TableKind kind) {
  Result<Table> table = co_await table_of(db, kind);
  co_return table;
}
inline Task<Status> compact_partition(Partition& db) {
  Status status = co_await db.compact();
  co_return status;
}
inline Task<Status> close_partition(Partition& db) {
  Status status = co_await db.close();
  co_return status;
}
inline Task<Result<CheckReport>> check_partition(Partition& db) {
  Result<CheckReport> report = co_await db.check();
  co_return report;
}
inline Task<Result<BulkLoad>> begin_load(Partition& db) {
  Result<BulkLoad> load = co_await db.bulk_load();
  co_return load;
}
inline Task<Result<BulkLoad>> begin_load(Partition& db, const Table& table) {
  Result<BulkLoad> load = co_await db.bulk_load(table);
  co_return load;
}
inline Task<Status> add_to(BulkLoad& load, Bytes key, Bytes value) {
  Status status = co_await load.add(key, value);
  co_return status;
}
inline Task<Status> finish_load(BulkLoad& load) {
  Status status = co_await load.finish();
  co_return status;
}
inline Task<Status> collect_scan(Scan& scan, Pairs& out) {
  for (;;) {
    const std::span<const Entry> page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) out.emplace_back(entry.key.str(), entry.value.str());
  }
  co_return Status();
}

class PartitionFixture {
 public:
  static constexpr Options kOptions{.path = "data.cambium", .memory_bytes = 2 * MiB};

  explicit PartitionFixture(TableKind its_kind = TableKind::tree)
      : core(disk.make_core({.seed = 1, .eager = true})), kind(its_kind) {
    open();
  }
  ~PartitionFixture() {
    if (db) CHECK(run(close_partition(*db)));
    db.reset();
    settle();
  }

  template <class T>
  T run(Task<T> task) {
    return core->run(std::move(task));
  }
  void open() {
    db.emplace(run(open_partition(*core, kOptions)).value());
    home.emplace(run(open_of_kind(*db, kind)).value());
  }
  void reopen() {
    REQUIRE(run(close_partition(*db)));
    db.reset();
    open();
  }
  void settle() { core->drain(); }

  void put(const std::string& key, const std::string& value) {
    run(apply_put(*db, *home, key, value)).value();
    model[key] = value;
  }
  void del(const std::string& key) {
    run(apply_del(*db, *home, key)).value();
    model.erase(key);
  }
  // Merges what a level store has to merge: only then is there less of it.
  void merge() { run(settle_partition(*db)).value(); }
  void flush(bool trim = true) { run(flush_partition(*db, {.trim = trim})).value(); }
  Pairs scan(const ScanRange& range = {}, ScanOptions options = {}) {
    Scan scan = db->scan(*home, range, options);
    Pairs out;
    run(collect_scan(scan, out)).value();
    return out;
  }
  Table table(const std::string& name) { return run(open_table(*db, name)).value(); }
  std::string get(const Table& from, const std::string& key, ReadOptions options = {}) {
    return run(read_value(*db, from, key, options)).value();
  }
  Pairs scan(const Table& from, ScanOptions options = {}) {
    Scan scan = db->scan(from, {}, options);
    Pairs out;
    run(collect_scan(scan, out)).value();
    return out;
  }
  void require_contents(const Model& expected, ScanOptions options = {}) {
    const Pairs pairs = scan({}, options);
    REQUIRE(pairs.size() == expected.size());
    REQUIRE(std::equal(pairs.begin(), pairs.end(), expected.begin(),
                       [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
  }

  SimDisk disk;
  std::unique_ptr<Core> core;
  TableKind kind;
  std::optional<Partition> db;
  std::optional<Table> home;
  Model model;
};

}  // namespace cambium::test
