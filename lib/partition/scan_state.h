// SPDX-License-Identifier: MIT OR Apache-2.0
// A scan: the merge of write buffers and table, a page at a time.
//
// The table's cursor sets the pace: each page is one leaf's worth of entries with the buffered writes that fall among
// them laid over, newest buffer first. A leaf no buffered write falls into passes through untouched, as views of the
// pinned page. The merge itself is a plain function; only loading the next leaf, ordering a buffer, and reading
// overflow values suspend.
//
// Invariants
//   1. Everything shown was written at or before the sequence of the scan's snapshot.
//   2. After an error every further call fails with it.
//
// Lifetime   the snapshot copy pins view and buffers; entries are valid until the next call.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <cambium/options.h>
#include <cambium/scan.h>

#include "buffer/buffer_cursor.h"
#include "cache/overflow_value.h"
#include "flush/snapshot_state.h"
#include "partition/partition_state.h"

namespace cambium {

class ScanState {
 public:
  ScanState(PartitionState& partition, TableState& table, const SnapshotState& snapshot, const ScanRange& range,
            const ScanOptions& options);
  ~ScanState();

  Op<const Entry*> next();
  Op<std::span<const Entry>> next_page();
  // From now on every call answers this.
  void fail(const Error& why) noexcept { error_ = why; }

 private:
  enum class Fill : std::uint8_t { ready, wait };  // wait: something has to be loaded first

  bool forward() const noexcept { return !options_.reverse; }
  Fill try_fill();
  Task<Status> fill();
  Op<const Entry*> next_waiting();
  Op<std::span<const Entry>> next_page_waiting();
  Task<Status> start();
  bool overlaps(const WriteBuffer& buffer) const noexcept;
  void take_table_page();
  void merge_page();
  BufferCursor* first_buffer() noexcept;
  bool comes_before(Bytes a, Bytes b) const noexcept { return forward() ? a < b : b < a; }
  bool within(Bytes key) const noexcept;
  void move(BufferCursor& cursor);
  void finish_page();
  Task<Status> load_values();

  PartitionState& partition_;
  TableState& table_;
  TablePin pin_;
  SnapshotState snapshot_;
  ScanOptions options_;
  std::string from_;
  std::string to_;
  bool from_exclusive_;
  bool to_inclusive_;
  std::unique_ptr<TableCursor> cursor_;
  std::vector<std::unique_ptr<BufferCursor>> buffers_;  // newest first
  std::vector<Entry> merged_;                           // a page put together from several sources
  std::span<const Entry> page_;                         // what is shown: merged_, or the cursor's own page
  std::size_t position_ = 0;                            // of next() in the page
  std::vector<std::size_t> long_values_;                // entries of the page whose value is in extents
  std::vector<OverflowBuffer> value_memory_;
  std::uint64_t left_;           // entries until the limit
  PageId unreadable_ = kNoPage;  // a page with an entry of a kind that nobody can show
  bool started_ = false;
  bool done_ = false;
  Status error_;
};

}  // namespace cambium
