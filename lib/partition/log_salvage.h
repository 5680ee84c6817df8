// SPDX-License-Identifier: MIT OR Apache-2.0
// The part of salvage() that reads the log: what the tables do not have yet, in order, up to the first write missing.
//
// Damage in what the tables have already costs nothing; where it takes a write beyond them, nothing that follows is
// copied: it may build on what is gone.
//
// Suspends   run().
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <cambium/salvage.h>

#include "format/superblock.h"
#include "partition/partition_state.h"
#include "wal/log_range.h"

namespace cambium {

class LogSalvage final : public LogVisitor {
 public:
  // Reads from `device`, the log that `record` describes; writes to the tables of `to`.
  LogSalvage(BlockDevice& device, const format::Superblock& record, PartitionState& to, SalvageReport& report)
      : device_(device), record_(record), to_(to), report_(report), taken_{record.sequence} {}

  // Table `id` of the log is this one.
  void add_table(TableId id, TableState& table) { tables_[id] = &table; }
  Task<Status> run();

  void damaged(const LogDamage& damage) override;
  bool take(const WalRecord& record) override;
  Task<Status> store(const WalRecord& record) override;

 private:
  void lose(Sequence last);

  BlockDevice& device_;
  const format::Superblock& record_;
  PartitionState& to_;
  SalvageReport& report_;
  std::map<TableId, TableState*> tables_;
  Sequence taken_;              // every write up to here is in the output, or in the tables that it came from
  bool gap_ = false;            // a write after that one is missing
  bool unclear_ = false;        // ... at the end of the log: how many is not known
  Sequence missing_through_{};  // the newest one that is known to be
};

}  // namespace cambium
