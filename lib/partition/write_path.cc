// SPDX-License-Identifier: MIT OR Apache-2.0
// The walk of a write: check limits, make room, into the log if there is one, into the active buffer in sequence order;
// then, if asked for, wait until it is durable.
//
// Room is the only back-pressure: when the active buffer is full it is frozen for the flusher and a spare one takes
// over; when the log is half full it grows, or a checkpoint empties it. Where there is none of either, writers wait in
// the order in which they came.
#include <array>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "base/text.h"
#include "partition/partition_state.h"

namespace cambium {

Status PartitionState::writable() const {
  if (closing) return Error(Errc::closed, rt::str("partition ", path, " is closed"));
  if (options.read_only) return Error(Errc::unsupported, rt::str(path, " was opened read-only"));
  if (committer->poisoned()) return committer->poison().error().within("the partition stopped writing after an error");
  return {};
}

// A sorted load appears at once, as one version: writes beside it would be neither before nor after it. It also holds
// the commit lane until it ends: whoever waited for that inside the coroutine that holds the load would wait for ever.
Status PartitionState::not_loading() const {
  if (!loading) return {};
  return Error(Errc::busy, rt::str("a sorted load of ", path, " is under way"), "finish() or drop the load first");
}

Status PartitionState::accepts_writes() const {
  if (loading) [[unlikely]]
    return not_loading();
  return writable();
}

Status PartitionState::check_write(Bytes key, std::size_t value_bytes) const {
  if (key.size() < kKeyBytesMin || key.size() > kKeyBytesMax) [[unlikely]] {
    return Error(Errc::invalid_argument,
                 rt::str("a key of ", key.size(), " bytes; keys have ", kKeyBytesMin, " to ", kKeyBytesMax));
  }
  const std::uint64_t limit = std::min<std::uint64_t>(kValueBytesMax, options.memory_bytes / 2);
  if (value_bytes > limit) [[unlikely]] {
    return Error(Errc::invalid_argument, rt::str("a value of ", value_bytes, " bytes; the limit here is ", limit),
                 value_bytes <= kValueBytesMax ? "raise memory_bytes to at least twice the largest value" : "");
  }
  return {};
}

// Are all of its tables there, and do they take writes?
Status PartitionState::check_tables(const WriteBatch& batch) noexcept {
  TableId seen = kDefaultTable;
  for (const WriteBatch::Write& write : batch.writes()) {
    if (write.table == seen) continue;
    seen = write.table;
    const TableState* const table = tables.find_live(seen);
    if (table == nullptr) return no_table(seen);
    if (table->backlog() != nullptr && !table->backlog()->refusal) return table->backlog()->refusal;
  }
  return {};
}

const BufferEntry& PartitionState::apply(TableId table, Bytes key, Bytes value, WriteKind kind, bool durable) {
  last_sequence = next(last_sequence);
  if (durable) asked_durable = last_sequence;
  return buffers->active().add(table, key, value, kind, last_sequence,
                               durable ? BufferEntry::kAskedDurable : std::uint8_t{0});
}

// Requires: the whole batch fits the active buffer. A table that was dropped while the record went to the log gets
// writes that nobody will see.
void PartitionState::apply_batch(const WriteBatch& batch, bool durable) {
  const BufferEntry* previous = nullptr;
  for (const WriteBatch::Write& write : batch.writes()) {
    if (CAMBIUM_PLANTED(batch_divided) && previous != nullptr) {
      static_cast<void>(buffers->rotate());
    } else if (previous != nullptr) {
      buffers->active().goes_on(*previous);
    }
    if (TableState* const table = tables.find(write.table); table != nullptr) {
      ++(write.remove ? table->counts.deletes : table->counts.puts);
      table->counts.bytes_put += batch.key_of(write).size() + batch.value_of(write).size();
    }
    previous = &apply(write.table, batch.key_of(write), batch.value_of(write),
                      write.remove ? WriteKind::del : WriteKind::put, durable);
  }
}

// ---- room ---------------------------------------------------------------------------------------------------------

// True when an entry of this size fits the active buffer, maybe after opening a new one.
bool PartitionState::make_room(std::size_t key_bytes, std::size_t value_bytes) {
  if (buffers->active().fits(key_bytes, value_bytes)) [[likely]]
    return true;
  return !buffers->active_empty() && buffers->rotate() && buffers->active().fits(key_bytes, value_bytes);
}

bool PartitionState::make_batch_room(std::size_t entries, std::size_t cost) {
  if (buffers->active().fits_batch(entries, cost)) return true;
  return !buffers->active_empty() && buffers->rotate() && buffers->active().fits_batch(entries, cost);
}

// False when the log has no room now. True when nothing is logged, too.
bool PartitionState::append_to_log(std::span<const WalEntry> entries) noexcept {
  WalWriter* const writer = log->writer();
  if (writer == nullptr) return true;
  if (!writer->append(next(last_sequence), entries)) return false;
  if (log->over_half()) [[unlikely]]
    relieve_log();
  return true;
}

// The log is half full, or a writer waits for it: it grows, or what it holds is flushed so that it may begin later.
void PartitionState::relieve_log() {
  const bool starved = log->starved();
  if (log->work_due(Sequence{committer->record().sequence})) {
    buffers->frozen_added.wake_all();
    if (!starved) return;
  }
  if (!log->can_grow() && (starved || !log->checkpoint_asked)) {
    log->checkpoint_asked = true;
    // A group that is still being filled keeps the segment in which its first record began.
    if (starved) log->writer()->request_durable(log->writer()->last_appended());
    if (!buffers->active_empty() && !buffers->has_frozen()) static_cast<void>(buffers->rotate());
  }
}

// Nothing is frozen, so no flush will free a buffer: there is no use in waiting.
Error PartitionState::no_buffer_memory() const {
  return Error(Errc::resource, rt::str("no memory for another write buffer of ", plan.buffer_bytes, " bytes"),
               "free some memory, or lower write_buffer_bytes");
}

Task<Status> PartitionState::wait_for_buffer(std::size_t entries, std::size_t cost) {
  Status ready = writable();
  while (ready && !buffers->active().fits_batch(entries, cost)) {
    if (!buffers->active_empty() && buffers->rotate()) continue;
    if (!buffers->has_frozen()) {
      ready = no_buffer_memory();
      break;
    }
    if (flusher->blocked()) {
      ready = flusher->failure().error().within("write buffers are full and cannot be flushed");
      break;
    }
    co_await buffers->space_freed.wait();
    ready = writable();
  }
  co_return ready;
}

// Until the log may have room for a record. Whatever could give it some wakes those who wait.
Task<Status> PartitionState::wait_for_segment(std::uint64_t body_bytes) {
  WalWriter& writer = *log->writer();
  log->set_starved(true);
  while (writer.room_for(body_bytes) == WalRoom::segments && !log->cannot_hold(body_bytes)) {
    if (flusher->blocked()) {
      log->set_starved(false);
      co_return flusher->failure().error().within("the log is full and its writes cannot be flushed");
    }
    relieve_log();
    co_await writer.room().wait();
  }
  log->set_starved(false);
  co_return Status();
}

// ---- one write ----------------------------------------------------------------------------------------------------

Op<void> PartitionState::write_one(TableState& table, Bytes key, Bytes value, WriteKind kind,
                                   WriteOptions write_options) {
  Status ok = check_write(key, value.size());
  if (!ok) [[unlikely]]
    return ok;
  ok = accepts_writes();
  if (!ok) [[unlikely]]
    return ok;
  if (table.backlog() != nullptr && !table.backlog()->refusal) [[unlikely]]
    return table.backlog()->refusal;
  if (!buffers->active().reserve_value(value.size())) [[unlikely]] {
    return Error(Errc::resource, rt::str("no memory for a value of ", value.size(), " bytes"));
  }
  const bool durable = write_options.durable || options.wal == WalMode::sync;
  if (waiting_writes_.empty() && make_room(key.size(), value.size())) [[likely]] {
    const std::array<WalEntry, 1> entry{
        {{table.id(), kind == WriteKind::put ? WalEntryKind::put : WalEntryKind::del, key, value}}};
    if (append_to_log(entry)) [[likely]] {
      ++(kind == WriteKind::put ? table.counts.puts : table.counts.deletes);
      table.counts.bytes_put += key.size() + value.size();
      apply(table.id(), key, value, kind, durable);
      return durable ? written(durable) : Op<void>(Status());
    }
  }
  if (write_options.no_stall) {
    return Error(Errc::would_stall,
                 rt::str("every write buffer is full (", buffers->bytes_used(), " bytes wait for the flusher), or the ",
                         "log is"),
                 "wait for a flush, or raise memory_bytes or wal_bytes_max");
  }
  WriteBatch batch;
  const Table handle = handle_of(table);
  kind == WriteKind::put ? batch.put(handle, key, value) : batch.del(handle, key);
  const Core::Scope scope(core);
  return write_waiting(batch, durable);
}

// ---- batches ------------------------------------------------------------------------------------------------------

PartitionState::BatchSize PartitionState::size_of(const WriteBatch& batch) const noexcept {
  BatchSize size;
  for (const WriteBatch::Write& write : batch.writes()) {
    size.cost += buffers->active().cost_bytes(write.key_bytes, write.value_bytes);
    size.body_bytes += wal_entry_bytes(write.key_bytes, write.value_bytes);
  }
  return size;
}

std::span<const WalEntry> PartitionState::log_entries(const WriteBatch& batch) {
  log_entries_.clear();
  if (log->writer() == nullptr) return {};
  for (const WriteBatch::Write& write : batch.writes()) {
    log_entries_.push_back({write.table, write.remove ? WalEntryKind::del : WalEntryKind::put, batch.key_of(write),
                            batch.value_of(write)});
  }
  return log_entries_;
}

Op<void> PartitionState::write_batch(const WriteBatch& batch, WriteOptions write_options) {
  for (const WriteBatch::Write& write : batch.writes()) {
    Status ok = check_write(batch.key_of(write), write.value_bytes);
    if (!ok) return ok;
  }
  const auto [cost, body_bytes] = size_of(batch);
  Status ok = accepts_writes();
  if (ok) ok = check_tables(batch);
  if (!ok) return ok;
  if (batch.empty()) return Status();
  if (cost > plan.buffer_bytes * 3 / 4 && batch.count() > 1) {
    return Error(Errc::invalid_argument,
                 rt::str("a batch of ", cost, " bytes does not fit one write buffer of ", plan.buffer_bytes),
                 "split the batch, or raise write_buffer_bytes");
  }
  const bool durable = write_options.durable || options.wal == WalMode::sync;
  if (waiting_writes_.empty() && body_bytes <= kWalBodyBytesMax && make_batch_room(batch.count(), cost) &&
      append_to_log(log_entries(batch))) {
    apply_batch(batch, durable);
    return written(durable);
  }
  if (write_options.no_stall) return Error(Errc::would_stall, "every write buffer is full, or the log is");
  const Core::Scope scope(core);
  return write_waiting(batch, durable);
}

// ---- writes that wait ---------------------------------------------------------------------------------------------

Op<void> PartitionState::write_waiting(const WriteBatch& batch, bool durable) {
  const GatePass pass(operations);
  const WriteBatch copy = batch;
  co_await check(write_in_turn(copy, durable));
  if (!durable || CAMBIUM_PLANTED(wal_acknowledged_early)) co_return Status();
  Status stays = co_await wait_until_durable(last_sequence);
  co_return stays;
}

// One writer at a time waits for room, the others for their turn: writes stay in the order of the calls. Whoever has
// got room writes for all who wait behind it. Were each to be woken for its own write, callers that write again at once
// would find somebody waiting for ever, and every write would pay for a wait.
Task<Status> PartitionState::write_in_turn(const WriteBatch& batch, bool durable) {
  ++counts.write_stalls;
  WaitingWrite waiting{&batch, durable};
  waiting_writes_.push_back(&waiting);
  if (waiting_writes_.size() > 1) {
    const Errc turn = co_await write_turn_.wait();
    static_cast<void>(turn);
    if (waiting.written) co_return Status();
  }
  Status done = co_await write_with_turn(batch, durable);
  waiting_writes_.pop_front();
  while (!waiting_writes_.empty() && write_now(*waiting_writes_.front())) {
    waiting_writes_.pop_front();
    write_turn_.wake_one();
  }
  write_turn_.wake_one();
  co_return done;
}

// False when it has to wait, or has an error to tell: its own turn will show.
bool PartitionState::write_now(WaitingWrite& waiting) {
  const WriteBatch& batch = *waiting.batch;
  const BatchSize size = size_of(batch);
  if (size.body_bytes > kWalBodyBytesMax || !writable() || !check_tables(batch) ||
      !make_batch_room(batch.count(), size.cost) ||
      !buffers->active().reserve_value(batch.writes().front().value_bytes) || !append_to_log(log_entries(batch))) {
    return false;
  }
  apply_batch(batch, waiting.durable);
  waiting.written = true;
  return true;
}

Task<Status> PartitionState::write_with_turn(const WriteBatch& batch, bool durable) {
  const auto [cost, body_bytes] = size_of(batch);
  for (;;) {
    co_await check(wait_for_buffer(batch.count(), cost));
    co_await check(check_tables(batch));  // one may have been dropped since
    if (!buffers->active().reserve_value(batch.writes().front().value_bytes)) {
      co_return Error(Errc::resource, rt::str("no memory for ", cost, " bytes"));
    }
    WalWriter* const writer = log->writer();
    const bool logged = writer == nullptr || body_bytes <= kWalBodyBytesMax;
    const WalRoom room = writer == nullptr ? WalRoom::yes : logged ? writer->room_for(body_bytes) : WalRoom::segments;
    if (room == WalRoom::yes) {
      const bool appended = append_to_log(log_entries(batch));
      CAMBIUM_ASSERT(appended);
      break;
    }
    if (room == WalRoom::staging) {
      co_await writer->room().wait();
    } else if (room == WalRoom::large) {
      // Nobody else writes meanwhile, so there stays room in the buffer.
      const std::span<const WalEntry> entries = log_entries(batch);
      co_await check(writer->append_large(next(last_sequence), entries));
      break;
    } else if (room == WalRoom::segments && log->cannot_hold(body_bytes)) {
      Status around = co_await write_around_log(batch, cost, durable);
      co_return around;
    } else if (room == WalRoom::segments) {
      co_await check(wait_for_segment(body_bytes));
    }
  }
  apply_batch(batch, durable);
  co_return Status();
}

// A record longer than the log: everything before it goes to the tables, then it does itself, then the log goes on
// behind it. So nothing that follows can be durable, or be replayed, without it.
Task<Status> PartitionState::write_around_log(const WriteBatch& batch, std::size_t cost, bool durable) {
  WalWriter& writer = *log->writer();
  co_await check(flush_at_last(last_sequence));
  writer.request_durable(writer.last_appended());
  Status logged = co_await writer.wait_durable(writer.last_appended());
  if (!logged) co_return logged;
  co_await check(wait_for_buffer(batch.count(), cost));
  co_await check(check_tables(batch));
  apply_batch(batch, durable);
  // From here on the log lacks these sequences: it may not go on before the tables, as both superblocks see them, have
  // them. Crash: before the commit they are not there, and were not acknowledged; after it they are in the tables.
  co_await check(flush_at_last(last_sequence));
  co_await committer->lane().lock();
  const MutexGuard lane(committer->lane());
  co_await check(committer->touch());
  writer.skip_to(last_sequence);
  co_return Status();
}

// Out of space is waited out: the caller cannot go back.
Task<Status> PartitionState::flush_at_last(Sequence through) {
  for (;;) {
    Status flushed = co_await flush_through(through);
    const bool again =
        flushed.code() == Errc::no_space || flushed.code() == Errc::busy || flushed.code() == Errc::resource;
    if (flushed || !again || closing) co_return flushed;
    co_await core.sleep_ns(100'000'000);
  }
}

// ---- durability ---------------------------------------------------------------------------------------------------

// What was written up to now has been taken; the answer waits if durability was asked for.
Op<void> PartitionState::written(bool durable) {
  if (!durable || CAMBIUM_PLANTED(wal_acknowledged_early)) return Status();
  if (log->writer() != nullptr) log->writer()->request_durable(last_sequence);
  const Core::Scope scope(core);
  return until_durable(last_sequence);
}

Op<void> PartitionState::until_durable(Sequence sequence) {
  const GatePass pass(operations);
  Status stays;
  if (log->writer() != nullptr && sequence <= log->writer()->last_appended()) {
    stays = co_await log->writer()->wait_durable(sequence);
  } else {
    stays = co_await flush_through(sequence);
  }
  if (!stays && durable_sequence() >= sequence) stays = Status();  // the error is of what came later
  co_return stays;
}

// The same for who holds the gate already, and for no longer than `cancel` and the deadline say. Asks for it, whoever
// wrote it.
Task<Status> PartitionState::wait_until_durable(Sequence sequence, CancelSource* cancel, std::int64_t deadline_ns) {
  WalWriter* const writer = log->writer();
  const bool logged = writer != nullptr && sequence <= writer->last_appended();
  if (logged) writer->request_durable(sequence);
  const bool patient = cancel == nullptr && deadline_ns == 0;
  if (!logged && patient && sequence > durable_sequence()) co_return co_await flush_through(sequence);
  while (sequence > durable_sequence()) {
    if (committer->poisoned()) co_return committer->poison();
    if (!logged && flusher->blocked()) co_return flusher->failure();
    if (cancel != nullptr && cancel->requested()) co_return Errc::cancelled;
    if (deadline_ns != 0 && core.now_ns() >= deadline_ns) co_return Errc::timeout;
    // Whoever wrote it waits for a flush, and drives it: it is enough to be there when one is done.
    rt::WaitQueue& queue = logged ? writer->progress() : buffers->frozen_dropped;
    const Errc woken = co_await queue.wait(cancel, deadline_ns);
    if (woken != Errc::ok) co_return woken;
  }
  co_return Status();
}

Op<void> PartitionState::durable(Sequence sequence) {
  if (sequence > last_sequence) {
    return Error(Errc::invalid_argument,
                 rt::str("sequence ", raw(sequence), " is still to come, the newest one is ", raw(last_sequence)));
  }
  if (sequence <= durable_sequence()) return Status();
  Status ok = accepts_writes();
  if (!ok) return ok;
  WalWriter* const writer = log->writer();
  if (writer != nullptr && sequence <= writer->last_appended()) writer->request_durable(sequence);
  return until_durable(sequence);
}

SnapshotState PartitionState::snapshot_now() const {
  SnapshotState now(*views, *buffers, visible_sequence());
  now.asked_durable = std::min(asked_durable, now.sequence());
  now.tables_epoch = tables_epoch;
  return now;
}

// Everything up to here is in the tables afterwards.
Task<Status> PartitionState::flush_through(Sequence through) {
  while (!buffers->active_empty() && buffers->active().first_sequence() <= through && !buffers->rotate()) {
    if (!buffers->has_frozen()) co_return no_buffer_memory();
    if (flusher->blocked()) co_return flusher->failure();
    co_await buffers->space_freed.wait();
  }
  if (CAMBIUM_PLANTED(flush_acknowledged_early)) co_return Status();
  Status flushed = co_await flusher->wait_for(through);
  co_return flushed;
}

// Everything written before the call is durable afterwards. Then, unless asked not to, excess space goes back.
Task<Status> PartitionState::flush(FlushOptions flush_options) {
  co_await check(accepts_writes());
  const Sequence through = last_sequence;
  co_await check(flush_through(through));
  constexpr double kSlack = 1.0 / 2;
  if (flush_options.trim && !buffers->has_frozen()) {
    co_await check(compact(kSlack, false));
  }
  co_return Status();
}

}  // namespace cambium
