// SPDX-License-Identifier: MIT OR Apache-2.0
// The walk of a read: active buffer, frozen buffers newest first, then the table: through the key index where that
// knows the place, else down the tree. Hits are plain calls; the first miss makes one coroutine, which holds its view
// so that the pages it is on its way to stay.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "base/text.h"
#include "cache/overflow_value.h"
#include "partition/partition_state.h"

namespace cambium {

namespace {

void release_page(void* cache, std::uint64_t frame) noexcept {
  static_cast<PageCache*>(cache)->release_pin(static_cast<FrameIndex>(frame));
}
void release_buffer(void* buffer, std::uint64_t) noexcept { static_cast<WriteBuffer*>(buffer)->release(); }
void release_memory(void* memory, std::uint64_t) noexcept { std::free(memory); }

}  // namespace

// ---- values -------------------------------------------------------------------------------------------------------

Value PartitionState::plain_value(const FoundEntry& found) {
  const Bytes bytes = found.entry.value;
  if (found.frame == kNoFrame || !may_pin()) [[unlikely]] {
    char* copy = static_cast<char*>(std::malloc(bytes.size() + 1));
    std::memcpy(copy, bytes.data(), bytes.size());
    return Value(Bytes(copy, bytes.size()), {&release_memory, copy, 0});
  }
  cache->take_pin(found.frame);
  return Value(bytes, {&release_page, cache.get(), found.frame});
}

Value PartitionState::value_in_buffer(WriteBuffer& buffer, const BufferEntry& entry) {
  if (entry.kind == WriteKind::del) return Value();
  buffer.retain();
  return Value(entry.value(), {&release_buffer, &buffer, 0});
}

Task<Result<Value>> PartitionState::overflow_value(Bytes reference) {
  ++counts.overflow_reads;
  OverflowBuffer buffer = co_await check(read_overflow(*device, OverflowView(reference)));
  const Bytes bytes = buffer.bytes();
  co_return Value(bytes, {&release_memory, buffer.release(), 0});
}

// ---- get ----------------------------------------------------------------------------------------------------------

const BufferEntry* PartitionState::find_in_buffers(TableId table, Bytes key, Sequence limit, WriteBuffer*& in) {
  in = &buffers->active();
  const BufferEntry* entry = in->empty() ? nullptr : in->find(table, key, limit);
  if (entry != nullptr) return entry;
  if (CAMBIUM_PLANTED(older_buffer_asked_first)) {
    for (OrderedBuffer* const frozen : buffers->frozen()) {
      in = &frozen->buffer;
      entry = in->find(table, key, limit);
      if (entry != nullptr) return entry;
    }
  }
  for (auto it = buffers->frozen().rbegin(); it != buffers->frozen().rend(); ++it) {
    in = &(*it)->buffer;
    entry = in->find(table, key, limit);
    if (entry != nullptr) return entry;
  }
  return nullptr;
}

// A tree has its newest pages in the cache; a level store has the newest rows in a level of their own, among others.
const BufferEntry* PartitionState::find_in_flushed(const TableState& table, Bytes key, WriteBuffer*& in) {
  in = buffers->flushed();
  return table.kind() != TableKind::levels || in == nullptr ? nullptr : in->find(table.id(), key, kLastSequence);
}

const BufferEntry* PartitionState::find_in_buffers(const SnapshotState& snapshot, TableId table, Bytes key,
                                                   Sequence limit, WriteBuffer*& in) {
  for (const PinnedBuffer& pinned : snapshot.buffers()) {
    in = &pinned.ordered->buffer;
    const BufferEntry* entry = in->find(table, key, std::min(limit, snapshot.sequence()));
    if (entry != nullptr) return entry;
  }
  return nullptr;
}

Status PartitionState::interrupted(const ReadOptions& read) const {
  if (read.cancel != nullptr && read.cancel->requested()) return Error(Errc::cancelled);
  if (read.deadline_ns != 0 && core.now_ns() >= read.deadline_ns) return Error(Errc::timeout);
  return {};
}

// Nothing is buffered, and the index knows the place: the most frequent get of a table that fits the cache.
Op<Value> PartitionState::get(TableState& table, Bytes key, ReadOptions read) {
  ++table.counts.gets;
  FoundEntry found;
  const bool newest = read.snapshot == nullptr;
  if (newest && table.kind() == TableKind::tree && buffers->empty() && !closing &&
      key_index->find(table.id(), key, found) && found.entry.kind == format::EntryKind::value && may_pin()) [[likely]] {
    cache->take_pin(found.frame);
    return Op<Value>(std::in_place, found.entry.value,
                     detail::ValueOwner{&release_page, cache.get(), std::uint64_t{found.frame}});
  }
  return get_through_buffers(table, key, read);
}

Op<Value> PartitionState::get_through_buffers(TableState& table, Bytes key, ReadOptions read) {
  if (closing || key.size() > kKeyBytesMax || key.empty()) [[unlikely]] {
    if (closing) return Error(Errc::closed, rt::str("partition ", path, " is closed"));
    return Error(Errc::invalid_argument,
                 rt::str("a key of ", key.size(), " bytes; keys have ", kKeyBytesMin, " to ", kKeyBytesMax));
  }
  WriteBuffer* in = nullptr;
  const SnapshotState* snapshot = read.snapshot != nullptr ? &read.snapshot->state() : nullptr;
  const auto find = [&](Sequence limit) {
    return snapshot != nullptr ? find_in_buffers(*snapshot, table.id(), key, limit, in)
                               : find_in_buffers(table.id(), key, limit, in);
  };
  const BufferEntry* entry = find(kLastSequence);
  if (entry != nullptr && pending(*entry)) [[unlikely]] {
    if (!committer->poisoned()) {
      const Core::Scope scope(core);
      return get_pending(value_in_buffer(*in, *entry), entry->sequence, read);
    }
    entry = find(durable_sequence());  // it will never be durable, and was never acknowledged
  }
  if (entry == nullptr && snapshot == nullptr) entry = find_in_flushed(table, key, in);
  if (entry != nullptr) return Result<Value>(value_in_buffer(*in, *entry));

  const TableRoot& root = snapshot != nullptr ? table.at(snapshot->generation()) : table.newest();
  if (root.height == 0) return Result<Value>(Value());
  const bool indexed = table.kind() == TableKind::tree;  // by the key index
  if (!indexed && !root.content) [[unlikely]] {
    const Core::Scope scope(core);
    return get_unloaded(table, key, read);
  }
  TableStore& store = publisher->store_of(table);
  Lookup lookup;
  FoundEntry found;
  FindState state = FindState::found;
  const bool asked_already = buffers->empty();
  if (!indexed || snapshot != nullptr || asked_already || !key_index->find(table.id(), key, found)) {
    state = store.find(root, key, lookup, found);
    if (state == FindState::absent) return Result<Value>(Value());
    if (state == FindState::damaged)
      return misfit(*device, lookup.missing.id(), "does not keep what its parent promises");
    if (state == FindState::found && indexed && snapshot == nullptr) key_index->visited(table.id(), found.frame);
  }
  if (state == FindState::found && found.entry.kind == format::EntryKind::value) {
    return Result<Value>(plain_value(found));
  }
  const Status stop = interrupted(read);
  if (!stop) return stop.error();
  const Core::Scope scope(core);
  ViewRef view = snapshot != nullptr ? snapshot->view() : ViewRef(*views);
  if (state == FindState::found) return get_stored(found, std::move(view));
  ++counts.get_misses;
  return get_waiting(key, store, root, std::move(view), lookup, read);
}

Op<Value> PartitionState::get_waiting(Bytes key, TableStore& store, TableRoot root, ViewRef view, Lookup lookup,
                                      ReadOptions read) {
  const GatePass pass(operations);
  const ViewRef held = std::move(view);
  // Most keys fit the frame; a copy is needed because the caller's bytes are only good until we first suspend.
  char inline_key[64];
  std::string long_key;
  if (key.size() <= sizeof inline_key) {
    std::memcpy(inline_key, key.data(), key.size());
    key = Bytes(inline_key, key.size());
  } else {
    long_key = key.str();
    key = long_key;
  }
  PageRef page;
  FoundEntry found;
  for (;;) {
    page.reset();  // many lookups that each hold a branch while they wait for a leaf could pin the whole cache
    Result<PageRef> fetched = co_await cache->fetch(lookup.missing, lookup.level);
    if (!fetched) co_return fetched.error();
    page = std::move(*fetched);
    lookup.arrived = page.frame();
    const FindState state = store.find(root, key, lookup, found);
    if (state == FindState::absent) co_return Value();
    if (state == FindState::found) break;
    if (state == FindState::damaged) {
      co_return misfit(*device, lookup.missing.id(), "does not keep what its parent promises");
    }
    co_await check(interrupted(read));
  }
  if (found.entry.kind == format::EntryKind::value) co_return plain_value(found);
  Result<Value> value = co_await stored_value(found);
  co_return value;
}

// Of an entry that is no plain value.
Task<Result<Value>> PartitionState::stored_value(const FoundEntry& found) {
  if (found.entry.kind != format::EntryKind::overflow) {
    const PageId page{format::header_of(cache->bytes(found.frame)).page_id};
    co_return misfit(*device, page, "has a tombstone, which trees do not hold");
  }
  Result<Value> value = co_await overflow_value(found.entry.value);
  co_return value;
}

Op<Value> PartitionState::get_stored(FoundEntry found, ViewRef view) {
  const GatePass pass(operations);
  const ViewRef held = std::move(view);
  Result<Value> value = co_await stored_value(found);
  co_return value;
}

// The first read of a table since it was opened has its content loaded, of the version that is read.
Op<Value> PartitionState::get_unloaded(TableState& table, Bytes key, ReadOptions read) {
  const GatePass pass(operations);
  const TablePin pin(table);
  const std::string copy = key.str();
  const Generation generation = read.snapshot != nullptr ? read.snapshot->state().generation() : Publisher::kNewest;
  co_await check(publisher->load(table, generation));
  Op<Value> again = get_through_buffers(table, copy, read);
  Result<Value> value = co_await again;
  if (!value) co_return value.error();
  co_return std::move(*value);
}

// The value is at hand; showing it has to wait until no crash can take it back.
Op<Value> PartitionState::get_pending(Value value, Sequence sequence, ReadOptions read) {
  const GatePass pass(operations);
  Value held = std::move(value);
  Status durable = co_await wait_until_durable(sequence, read.cancel, read.deadline_ns);
  if (!durable) co_return durable.error();
  co_return std::move(held);
}

// ---- multi_get ----------------------------------------------------------------------------------------------------

Op<void> PartitionState::multi_get(TableState& table, std::span<const Bytes> keys, std::span<Value> values,
                                   ReadOptions read) {
  constexpr std::size_t kInline = 32;
  const bool indexed = table.kind() == TableKind::tree;
  const bool plain = read.snapshot == nullptr && keys.size() <= kInline && buffers->empty() && !closing &&
                     table.newest().height != 0 && (indexed || table.newest().content != nullptr) &&
                     table.compression() == Compression::none;
  const Core::Scope scope(core);
  if (!plain) return multi_get_waiting(table, keys, values, read);
  MultiLookup lookups[kInline];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].empty() || keys[i].size() > kKeyBytesMax)
      return Error(Errc::invalid_argument, "a key of an impossible length");
    lookups[i].key = keys[i];
  }
  table.counts.gets += keys.size();
  if (indexed) key_index->find_many(table.id(), std::span(lookups, keys.size()));
  publisher->store_of(table).find_many(table.newest(), std::span(lookups, keys.size()));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const MultiLookup& lookup = lookups[i];
    const bool here = lookup.state == FindState::absent ||
                      (lookup.state == FindState::found && lookup.found.entry.kind == format::EntryKind::value &&
                       lookup.found.frame != kNoFrame);  // else it was packed, and is gone with the lookup after it
    if (!here) {
      table.counts.gets -= keys.size();
      return multi_get_waiting(table, keys, values, read);
    }
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const FoundEntry& found = lookups[i].found;
    if (lookups[i].state == FindState::found) {
      if (indexed) key_index->visited(table.id(), found.frame);
      values[i] = plain_value(found);
    } else {
      values[i] = Value();
    }
  }
  return Status();
}

// Something is not at hand: every key becomes a get of its own, and all of them wait together.
Op<void> PartitionState::multi_get_waiting(TableState& table, std::span<const Bytes> keys, std::span<Value> values,
                                           ReadOptions read) {
  const GatePass pass(operations);
  std::vector<Op<Value>> gets;
  gets.reserve(keys.size());
  for (const Bytes key : keys) gets.push_back(get(table, key, read));
  Status first_error;
  for (std::size_t i = 0; i < gets.size(); ++i) {
    Op<Value>& one = gets[i];  // g++ 12 copies the operand of co_await gets[i]
    Result<Value> value = co_await one;
    if (value) {
      values[i] = std::move(*value);
    } else if (first_error) {
      first_error = value.error();
    }
  }
  co_return first_error;
}

}  // namespace cambium
