// SPDX-License-Identifier: MIT OR Apache-2.0
// Kinds: both kinds of tables as a parameter of a test that asks for data through the public API.
//
// A tree is the default table, which every partition has; a level store is a table of its own name. A test that takes
// its table from table_of() runs on either, and says which with CAPTURE(name_of(kind)). OneTable spares it to name the
// table in every call.
//
// Where a test is about what the tables share (the log, the commit) it takes a Home instead: a mix, in which each key
// has its table, so that batches and groups of the log span both.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/task.h>

namespace cambium::test {

inline constexpr const char* kLevelsTable = "levels";

inline const char* name_of(TableKind kind) noexcept { return kind == TableKind::tree ? "tree" : "levels"; }

// `mode`: of a level store; tests of damage must not make one.
inline Task<Result<Table>> table_of(Partition& db, TableKind kind, TableMode mode = TableMode::open_or_create) {
  if (kind == TableKind::tree) co_return db.default_table();
  Result<Table> table = co_await db.table(kLevelsTable, {.kind = kind}, mode);
  co_return table;
}

// A partition as if it had one table; -> is the partition itself. Requires: that outlives it.
class OneTable {
 public:
  static Task<Result<OneTable>> open(Partition& db, TableKind kind, TableMode mode = TableMode::open_or_create) {
    Table table = co_await check(table_of(db, kind, mode));
    co_return OneTable(db, std::move(table));
  }
  Partition* operator->() const noexcept { return db_; }
  const Table& table() const noexcept { return table_; }
  Op<void> put(Bytes key, Bytes value, WriteOptions options = {}) { return db_->put(table_, key, value, options); }
  Op<void> del(Bytes key, WriteOptions options = {}) { return db_->del(table_, key, options); }
  Op<Value> get(Bytes key, ReadOptions options = {}) { return db_->get(table_, key, options); }
  Op<void> multi_get(std::span<const Bytes> keys, std::span<Value> values, ReadOptions options = {}) {
    return db_->multi_get(table_, keys, values, options);
  }
  Scan scan(const ScanRange& range = {}, ScanOptions options = {}) { return db_->scan(table_, range, options); }

 private:
  OneTable(Partition& db, Table table) : db_(&db), table_(std::move(table)) {}
  Partition* db_;
  Table table_;
};

// Where the keys of a test live: in a tree, in a level store, or in both, by the last byte of the key.
enum class Home : std::uint8_t { tree, levels, mixed };

constexpr TableKind kind_of(Home home, Bytes key) noexcept {
  if (home == Home::mixed) return (key.data()[key.size() - 1] & 1) == 0 ? TableKind::tree : TableKind::levels;
  return home == Home::tree ? TableKind::tree : TableKind::levels;
}
inline const char* table_name_of(TableKind kind) noexcept { return kind == TableKind::tree ? "default" : kLevelsTable; }

}  // namespace cambium::test

// Runs what follows once for each kind.
#define CAMBIUM_BOTH_KINDS(kind)                                       \
  const TableKind kind = GENERATE(TableKind::tree, TableKind::levels); \
  CAPTURE(::cambium::test::name_of(kind))
