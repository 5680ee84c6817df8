// SPDX-License-Identifier: MIT OR Apache-2.0
// Kinds: both kinds of tables as a parameter of a test that asks for data through the public API.
//
// A tree is the default table, which every partition has; a level store is a table of its own name. A test that takes
// its table from table_of() runs on either, and says which with CAPTURE(name_of(kind)).
#pragma once

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

}  // namespace cambium::test

// Runs what follows once for each kind.
#define CAMBIUM_BOTH_KINDS(kind)                                       \
  const TableKind kind = GENERATE(TableKind::tree, TableKind::levels); \
  CAPTURE(::cambium::test::name_of(kind))
