// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/recovery.h"

#include <algorithm>

#include <cambium/rt/check.h>

#include "base/log.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "partition/partition_state.h"

namespace cambium {

namespace {

std::size_t cost_of(const WriteBuffer& buffer, const WalRecord& record) noexcept {
  std::size_t cost = 0;
  for (const WalEntry& entry : record.entries) cost += buffer.cost_bytes(entry.key.size(), entry.value.size());
  return cost;
}

}  // namespace

// Why no buffer will ever take it.
Status Recovery::refuses(const WalRecord& record) const {
  const auto is_known = [](const WalEntry& entry) {
    return entry.kind == WalEntryKind::put || entry.kind == WalEntryKind::del;
  };
  if (!std::all_of(record.entries.begin(), record.entries.end(), is_known)) {
    return Error(Errc::unsupported, rt::str("the log of ", partition_.path, " has entries of a kind unknown here"),
                 "open it with a newer version of Cambium");
  }
  // A table is in both superblocks before a record names it. One that was dropped since is no error: its writes go the
  // way of all writes, until the flush finds no table for them.
  const auto was_made = [&](const WalEntry& entry) {
    return entry.table != kCatalogTable && raw(entry.table) < partition_.committer->record().next_table_id;
  };
  if (!std::all_of(record.entries.begin(), record.entries.end(), was_made)) {
    return Error(Errc::corruption, rt::str("the log of ", partition_.path, " has writes of a table that never was"),
                 "run `cambium check`; restore the file from a backup, or use `cambium salvage`");
  }
  const std::size_t cost = cost_of(partition_.buffers->active(), record);
  if (record.entries.size() > 1 && cost > partition_.plan.buffer_bytes * 3 / 4) {
    return Error(Errc::resource,
                 rt::str("the log of ", partition_.path, " has a batch of ", cost,
                         " bytes, which does not fit one write buffer of ", partition_.plan.buffer_bytes),
                 "raise write_buffer_bytes to what it was when the batch was written");
  }
  return {};
}

bool Recovery::take(const WalRecord& record) {
  if (left_over_ && looking_) return true;  // seen, and for the second reading
  BufferSet& buffers = *partition_.buffers;
  if (!refuses(record)) return false;
  const std::size_t cost = cost_of(buffers.active(), record);
  if (!buffers.active().fits_batch(record.entries.size(), cost)) {
    const bool rotated = !buffers.active_empty() && buffers.rotate(partition_.options.read_only);
    if (!rotated || !buffers.active().fits_batch(record.entries.size(), cost)) {
      left_over_ = looking_;
      return looking_;
    }
  }
  Sequence sequence = record.first_sequence;
  for (const WalEntry& entry : record.entries) {
    if (!buffers.active().reserve_value(entry.value.size())) return false;  // of a batch: none is as long as that
    const WriteKind kind = entry.kind == WalEntryKind::put ? WriteKind::put : WriteKind::del;
    buffers.active().add(entry.table, entry.key, entry.value, kind, sequence);
    sequence = next(sequence);
  }
  taken_ = record.last_sequence();
  return true;
}

Task<Status> Recovery::make_room(const WalRecord& record) {
  co_await check(refuses(record));
  BufferSet& buffers = *partition_.buffers;
  if (looking_ || !buffers.has_frozen()) {
    co_return Error(Errc::resource, rt::str("no memory to recover the log of ", partition_.path),
                    "raise memory_bytes, or free some memory");
  }
  if (partition_.flusher->blocked()) co_return partition_.flusher->failure();
  co_await buffers.space_freed.wait();
  co_return partition_.flusher->failure();
}

Task<Status> Recovery::look() {
  PartitionState& p = partition_;
  const std::int64_t began_ns = p.core.now_ns();
  const WalLayout& layout = p.log->layout();
  for (const std::uint32_t page : layout.first_pages) {
    co_await check(p.space->expect_used({PageId{page}, layout.segment_pages}));
  }
  taken_ = p.last_sequence;
  const Sequence expected = CAMBIUM_PLANTED(wal_replay_ignores_sequence) ? Sequence{1} : next(p.last_sequence);
  replayed_ = co_await check(replay(*p.device, layout, expected, *this));
  if (left_over_ && p.options.read_only) {
    co_return Error(Errc::resource, rt::str("no memory for the log of ", p.path, " (", replayed_.bytes, " bytes)"),
                    "free some memory, or open it for writing once");
  }
  if (p.options.read_only) p.log->set_replayed(replayed_.range(layout, p.last_sequence));
  p.last_sequence = replayed_.last_sequence;
  p.recovery_records = replayed_.records;
  p.recovery_bytes = replayed_.bytes;
  p.recovery_ns = static_cast<std::uint64_t>(p.core.now_ns() - began_ns);
  if (replayed_.records != 0 && rt::log_enabled(rt::LogLevel::info)) {
    rt::log(rt::LogLevel::info, rt::str(p.path, ": recovered ", replayed_.entries, " writes from ", replayed_.bytes,
                                        " bytes of the log, up to sequence ", raw(replayed_.last_sequence)));
  }
  co_return Status();
}

Task<Status> Recovery::finish() {
  PartitionState& p = partition_;
  const std::int64_t began_ns = p.core.now_ns();
  looking_ = false;
  if (left_over_) {
    replayed_ = co_await check(replay(*p.device, p.log->layout(), next(taken_), *this));
  }
  if (!CAMBIUM_PLANTED(wal_tail_not_erased)) {
    co_await check(erase_tail(*p.device, replayed_));
  }
  p.recovery_ns += static_cast<std::uint64_t>(p.core.now_ns() - began_ns);
  co_return Status();
}

}  // namespace cambium
