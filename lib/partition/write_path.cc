// SPDX-License-Identifier: MIT OR Apache-2.0
// The walk of a write: check limits, make room, into the active buffer in sequence order.
//
// Room is the only back-pressure: when the active buffer is full it is frozen for the flusher and a spare one takes
// over; when there is none, writers wait in the order in which they came.
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

const BufferEntry& PartitionState::apply(TableState& table, Bytes key, Bytes value, WriteKind kind) {
  last_sequence = next(last_sequence);
  ++(kind == WriteKind::put ? counts.puts : counts.deletes);
  return buffers->active().add(table.id(), key, value, kind, last_sequence);
}

// Requires: the whole batch fits the active buffer.
void PartitionState::apply_batch(TableState& table, const WriteBatch& batch) {
  const BufferEntry* previous = nullptr;
  for (const WriteBatch::Write& write : batch.writes()) {
    if (CAMBIUM_PLANTED(batch_divided) && previous != nullptr) {
      static_cast<void>(buffers->rotate());
    } else if (previous != nullptr) {
      buffers->active().goes_on(*previous);
    }
    previous =
        &apply(table, batch.key_of(write), batch.value_of(write), write.remove ? WriteKind::del : WriteKind::put);
  }
}

// True when an entry of this size fits the active buffer, maybe after opening a new one.
bool PartitionState::make_room(std::size_t key_bytes, std::size_t value_bytes) {
  if (buffers->active().fits(key_bytes, value_bytes)) [[likely]]
    return true;
  return !buffers->active_empty() && buffers->rotate() && buffers->active().fits(key_bytes, value_bytes);
}

Op<void> PartitionState::write_one(TableState& table, Bytes key, Bytes value, WriteKind kind,
                                   WriteOptions write_options) {
  Status ok = check_write(key, value.size());
  if (!ok) [[unlikely]]
    return ok;
  ok = accepts_writes();
  if (!ok) [[unlikely]]
    return ok;
  if (!buffers->active().reserve_value(value.size())) [[unlikely]] {
    return Error(Errc::resource, rt::str("no memory for a value of ", value.size(), " bytes"));
  }
  if (waiting_writers_ == 0 && make_room(key.size(), value.size())) [[likely]] {
    apply(table, key, value, kind);
    return Status();
  }
  if (write_options.no_stall) {
    return Error(Errc::would_stall,
                 rt::str("every write buffer is full (", buffers->bytes_used(), " bytes wait for the flusher)"),
                 "wait for a flush, or raise memory_bytes");
  }
  const Core::Scope scope(core);
  return write_one_waiting(table, key, value, kind);
}

// Nothing is frozen, so no flush will free a buffer: there is no use in waiting.
Error PartitionState::no_buffer_memory() const {
  return Error(Errc::resource, rt::str("no memory for another write buffer of ", plan.buffer_bytes, " bytes"),
               "free some memory, or lower write_buffer_bytes");
}

// One writer at a time waits for room, the others for their turn: writes stay in the order of the calls.
Task<Status> PartitionState::wait_for_room(std::size_t entries, std::size_t cost) {
  ++counts.write_stalls;
  ++waiting_writers_;
  Errc turn = Errc::ok;
  if (waiting_writers_ > 1) turn = co_await write_turn_.wait();
  static_cast<void>(turn);
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
  --waiting_writers_;
  write_turn_.wake_one();
  co_return ready;
}

Op<void> PartitionState::write_one_waiting(TableState& table, Bytes key, Bytes value, WriteKind kind) {
  const GatePass pass(operations);
  const std::string key_copy = key.str();
  const std::string value_copy = value.str();
  co_await check(wait_for_room(1, buffers->active().cost_bytes(key_copy.size(), value_copy.size())));
  apply(table, key_copy, value_copy, kind);
  co_return Status();
}

Op<void> PartitionState::write_batch(TableState& table, const WriteBatch& batch, WriteOptions write_options) {
  std::size_t cost = 0;
  for (const WriteBatch::Write& write : batch.writes()) {
    Status ok = check_write(batch.key_of(write), write.value_bytes);
    if (!ok) return ok;
    cost += buffers->active().cost_bytes(write.key_bytes, write.value_bytes);
  }
  Status ok = accepts_writes();
  if (!ok) return ok;
  if (batch.empty()) return Status();
  if (cost > plan.buffer_bytes * 3 / 4 && batch.count() > 1) {
    return Error(Errc::invalid_argument,
                 rt::str("a batch of ", cost, " bytes does not fit one write buffer of ", plan.buffer_bytes),
                 "split the batch, or raise write_buffer_bytes");
  }
  const bool room =
      buffers->active().fits_batch(batch.count(), cost) ||
      (!buffers->active_empty() && buffers->rotate() && buffers->active().fits_batch(batch.count(), cost));
  if (waiting_writers_ == 0 && room) {
    apply_batch(table, batch);
    return Status();
  }
  if (write_options.no_stall) return Error(Errc::would_stall, "every write buffer is full");
  const Core::Scope scope(core);
  return write_batch_waiting(table, batch);
}

Op<void> PartitionState::write_batch_waiting(TableState& table, const WriteBatch& batch) {
  const GatePass pass(operations);
  const WriteBatch copy = batch;
  std::size_t cost = 0;
  for (const WriteBatch::Write& write : copy.writes())
    cost += buffers->active().cost_bytes(write.key_bytes, write.value_bytes);
  co_await check(wait_for_room(copy.count(), cost));
  apply_batch(table, copy);
  co_return Status();
}

// Everything written before the call is durable afterwards. Then, unless asked not to, excess space goes back.
Task<Status> PartitionState::flush(FlushOptions flush_options) {
  co_await check(accepts_writes());
  const Sequence through = last_sequence;
  while (!buffers->active_empty() && buffers->active().first_sequence() <= through && !buffers->rotate()) {
    if (!buffers->has_frozen()) co_return no_buffer_memory();
    if (flusher->blocked()) co_return flusher->failure();
    co_await buffers->space_freed.wait();
  }
  if (CAMBIUM_PLANTED(flush_acknowledged_early)) co_return Status();
  co_await check(flusher->wait_for(through));
  constexpr double kSlack = 1.0 / 3;
  if (flush_options.trim && !buffers->has_frozen()) {
    co_await check(compact(kSlack));
  }
  co_return Status();
}

}  // namespace cambium
