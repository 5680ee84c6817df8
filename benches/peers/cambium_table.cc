// SPDX-License-Identifier: MIT OR Apache-2.0
#include "peers/cambium_table.h"

#include "harness/fail.h"

namespace cambium::bench {

void CambiumTable::require_kind(std::string_view kind) {
  if (kind != "tree" && kind != "levels") fail("there are no tables of the kind '" + std::string(kind) + "'");
}

namespace {

std::string name_of(TableKind kind) { return kind == TableKind::levels ? "in levels" : "in a tree"; }

// What was put goes to the table, then compactions settle.
Op<void> settle_all(Partition& db) {
  FlushOptions options;
  options.trim = false;  // giving space back is not part of it
  co_await check(db.flush(options));
  co_await check(db.settle());
  co_return Status();
}

}  // namespace

Op<void> CambiumTable::settle() { return settle_all(db_); }

Task<Result<CambiumTable>> CambiumTable::open(Core& core, const Options& options, std::string_view kind) {
  require_kind(kind);
  Partition db = co_await check(Partition::open(core, options));
  const TableKind wanted = kind == "levels" ? TableKind::levels : TableKind::tree;
  Table table = co_await check(db.table(name_of(wanted), {.kind = wanted}));
  co_return CambiumTable(std::move(db), std::move(table));
}

}  // namespace cambium::bench
