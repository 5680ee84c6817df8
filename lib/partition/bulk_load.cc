// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/bulk_load.h"

#include <cambium/rt/check.h>

#include "base/assert.h"
#include "base/text.h"

namespace cambium {

BulkLoadState::BulkLoadState(PartitionState& partition, TableState& table)
    : partition_(partition),
      table_(table),
      pin_(table),
      writer_(partition.publisher->writer()),
      builder_(partition_.publisher->store_of(table_).builder(
          *writer_, {.index = table_.index(), .compression = table_.compression()})) {
  CAMBIUM_ASSERT(partition_.loading);
  ++partition_.scans_open;
}

BulkLoadState::~BulkLoadState() {
  --partition_.scans_open;
  if (ended_) return;
  partition_.loading = false;
  GatePass pass(partition_.operations);  // now: close() may be called before the task has run at all
  partition_.core.spawn(abandon(std::move(pass), std::move(writer_), partition_), Priority::background);
}

// Nothing of an unfinished load stays. The lane is let go when the pages are given back.
Task<void> BulkLoadState::abandon(GatePass, std::unique_ptr<PageWriter> writer, PartitionState& partition) {
  MutexGuard lane(partition.committer->lane());
  Status given_up = co_await partition.publisher->give_up(*writer, Errc::cancelled);
  static_cast<void>(given_up);
}

Op<void> BulkLoadState::add(Bytes key, Bytes value) {
  if (ended_) return Error(Errc::closed, "the sorted load has ended");
  if (key.empty() || key.size() > kKeyBytesMax || value.size() > kValueBytesMax) {
    return Error(Errc::invalid_argument,
                 rt::str("a key of ", key.size(), " or a value of ", value.size(), " bytes is out of bounds"));
  }
  const Core::Scope scope(partition_.core);
  if (value.size() > kInlineValueBytesMax) return add_long(key, value);
  if (!builder_->add(key, value, format::EntryKind::value))
    return Error(Errc::invalid_argument, "keys of a sorted load must ascend");
  bytes_ += key.size() + value.size();
  if (builder_->ready()) return pump();
  return Status();
}

Op<void> BulkLoadState::add_long(Bytes key, Bytes value) {
  const std::string key_copy = key.str();
  const std::string value_copy = value.str();
  co_await check(builder_->add_long(key_copy, value_copy));
  bytes_ += key_copy.size() + value_copy.size();
  Status pumped = co_await builder_->pump();
  co_return pumped;
}

Op<void> BulkLoadState::pump() {
  Status pumped = co_await builder_->pump();
  co_return pumped;
}

namespace {

// Writes are welcome again when the load has ended, however it did.
class Ended {
 public:
  explicit Ended(PartitionState& partition) noexcept : partition_(partition) {}
  Ended(const Ended&) = delete;
  Ended& operator=(const Ended&) = delete;
  ~Ended() { partition_.loading = false; }

 private:
  PartitionState& partition_;
};

}  // namespace

Op<void> BulkLoadState::finish() {
  if (ended_) co_return Error(Errc::closed, "the sorted load has ended");
  ended_ = true;
  const Ended ended(partition_);
  MutexGuard lane(partition_.committer->lane());
  Result<TableRoot> root = co_await builder_->finish();
  if (!root) {
    Status failed = co_await partition_.publisher->give_up(*writer_, root.error());
    co_return failed;
  }
  std::vector<NewRoot> roots;
  roots.push_back({&table_, *root});
  const std::uint64_t pages = writer_->stats().pages + writer_->stats().overflow_pages;
  Status committed = co_await partition_.publisher->commit(*writer_, roots, partition_.last_sequence);
  partition_.buffers->forget_flushed();  // whose deletes are older than what was loaded
  if (committed) {
    table_.counts.bytes_put += bytes_;
    table_.counts.bytes_flushed += pages * kPageBytes;
  }
  co_return committed;
}

Task<Result<std::unique_ptr<BulkLoadState>>> BulkLoadState::begin(PartitionState& partition, TableState& table) {
  const TablePin pin(table);
  FlushOptions flush;
  flush.trim = false;
  co_await check(partition.flush(flush));
  co_await check(partition.not_loading());  // another one may have begun meanwhile
  // From here on others are refused: who waits for the lane behind this load would wait as long as its owner likes.
  partition.loading = true;
  co_await partition.committer->lane().lock();
  if (!table.live() || table.newest().height != 0 || !partition.buffers->empty()) {
    partition.committer->lane().unlock();
    partition.loading = false;
    if (!table.live()) co_return partition.no_table(table.id());
    co_return Error(Errc::invalid_argument, rt::str("table ", table.name(), " is not empty"),
                    "a sorted load fills an empty table; use put() otherwise");
  }
  co_return std::make_unique<BulkLoadState>(partition, table);
}

}  // namespace cambium
