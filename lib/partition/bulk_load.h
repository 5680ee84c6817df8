// SPDX-License-Identifier: MIT OR Apache-2.0
// A sorted load under way: holds the commit lane from begin() to finish(); see BulkLoad in partition.h.
#pragma once

#include <memory>

#include <cambium/partition.h>

#include "partition/partition_state.h"
#include "table_store.h"

namespace cambium {

class BulkLoadState {
 public:
  static Task<Result<std::unique_ptr<BulkLoadState>>> begin(PartitionState& partition, TableState& table);
  BulkLoadState(PartitionState& partition, TableState& table);  // Requires: loading is set, the lane is held
  ~BulkLoadState();

  Op<void> add(Bytes key, Bytes value);
  Op<void> finish();
  Core& core() const noexcept { return partition_.core; }

 private:
  Op<void> add_long(Bytes key, Bytes value);
  Op<void> pump();
  static Task<void> abandon(GatePass pass, std::unique_ptr<PageWriter> writer, PartitionState& partition);

  PartitionState& partition_;
  TableState& table_;
  TablePin pin_;
  std::unique_ptr<PageWriter> writer_;
  std::unique_ptr<SortedBuilder> builder_;
  std::uint64_t bytes_ = 0;  // of keys and values
  bool ended_ = false;
};

}  // namespace cambium
