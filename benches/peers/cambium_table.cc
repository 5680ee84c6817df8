// SPDX-License-Identifier: MIT OR Apache-2.0
#include "peers/cambium_table.h"

#include "harness/fail.h"

namespace cambium::bench {

void CambiumTable::require_kind(std::string_view kind) {
  if (kind != "tree" && kind != "levels" && kind != "levels-lz4" && kind != "levels-zstd")
    fail("there are no tables of the kind '" + std::string(kind) + "'");
}

namespace {

TableOptions options_of(std::string_view kind) {
  TableOptions options;
  if (kind != "tree") options.kind = TableKind::levels;
  if (kind == "levels-lz4") options.compression = Compression::lz4;
  if (kind == "levels-zstd") options.compression = Compression::zstd;
  return options;
}

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
  const std::string name = "in a " + std::string(kind);
  Table table = co_await check(db.table(name, options_of(kind)));
  co_return CambiumTable(std::move(db), std::move(table));
}

}  // namespace cambium::bench
