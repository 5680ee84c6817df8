// SPDX-License-Identifier: MIT OR Apache-2.0
// The table under measurement, of whatever kind: the only place of the benches that knows how a kind is asked for.
//
// One thread, one core. Calls are those of the partition; see cambium/partition.h.
#pragma once

#include <cambium/cambium.h>

#include <string>
#include <string_view>

namespace cambium::bench {

class CambiumTable {
 public:
  // Ends the program unless this build has tables of that kind.
  static void require_kind(std::string_view kind);
  static Task<Result<CambiumTable>> open(Core& core, const Options& options, std::string_view kind);

  Op<void> put(Bytes key, Bytes value) { return db_.put(table_, key, value); }
  Op<Value> get(Bytes key) { return db_.get(table_, key); }
  Scan scan(const ScanRange& range, ScanOptions options) { return db_.scan(table_, range, options); }
  // Until everything put is in the table, and no background work is left.
  Op<void> settle();
  Op<void> close() { return db_.close(); }
  Stats stats() const { return db_.stats(); }

 private:
  CambiumTable(Partition db, Table table) : db_(std::move(db)), table_(std::move(table)) {}

  Partition db_;
  Table table_;
};

}  // namespace cambium::bench
