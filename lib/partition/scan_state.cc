// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/scan_state.h"

#include <algorithm>

#include <cambium/rt/check.h>

namespace cambium {

namespace {

constexpr std::size_t kPageEntriesMax = 512;  // of a page that comes from buffers alone

// The smallest key above every key with this prefix; empty when there is none (a prefix of 0xff bytes).
std::string after_prefix(Bytes prefix) {
  std::string bound = prefix.str();
  while (!bound.empty() && static_cast<unsigned char>(bound.back()) == 0xff) bound.pop_back();
  if (!bound.empty()) bound.back() = static_cast<char>(static_cast<unsigned char>(bound.back()) + 1);
  return bound;
}

}  // namespace

ScanState::ScanState(PartitionState& partition, TableState& table, const SnapshotState& snapshot,
                     const ScanRange& range, const ScanOptions& options)
    : partition_(partition),
      table_(table),
      pin_(table),
      snapshot_(snapshot),
      options_(options),
      from_(range.prefix.empty() ? range.from.str() : range.prefix.str()),
      to_(range.prefix.empty() ? range.to.str() : after_prefix(range.prefix)),
      from_exclusive_(range.prefix.empty() && range.from_exclusive),
      to_inclusive_(range.prefix.empty() && range.to_inclusive),
      left_(options.limit == 0 ? ~std::uint64_t{0} : options.limit) {
  ++partition_.scans_open;
  options_.snapshot = nullptr;  // the copy above is what counts
}

ScanState::~ScanState() { --partition_.scans_open; }

bool ScanState::within(Bytes key) const noexcept {
  if (forward()) return to_.empty() || key < Bytes(to_) || (to_inclusive_ && key == Bytes(to_));
  return from_.empty() || key > Bytes(from_) || (!from_exclusive_ && key == Bytes(from_));
}

bool ScanState::overlaps(const WriteBuffer& buffer) const noexcept {
  if (buffer.empty()) return false;
  const TableKey low = buffer.min_key();
  const TableKey high = buffer.max_key();
  if (table_.id() < low.table || table_.id() > high.table) return false;
  if (low.table == table_.id() && !to_.empty() && low.key > Bytes(to_)) return false;
  return !(high.table == table_.id() && high.key < Bytes(from_));
}

// Puts every source on its first entry.
Task<Status> ScanState::start() {
  // Everything it is going to show must be there to stay. Seldom is anything still on its way.
  if (snapshot_.asked_durable > partition_.durable_sequence()) {
    co_await check(partition_.wait_until_durable(snapshot_.asked_durable, options_.cancel));
  }
  for (const PinnedBuffer& pinned : snapshot_.buffers()) {
    if (!overlaps(pinned.ordered->buffer)) continue;
    co_await Flusher::order(partition_.core, *pinned.ordered, pinned.ordered->buffer.count(), false);
    auto cursor =
        std::make_unique<BufferCursor>(pinned.pin, pinned.ordered->runs.runs(), table_.id(), snapshot_.sequence());
    if (forward()) {
      from_.empty() ? cursor->seek_first() : (from_exclusive_ ? cursor->seek_after(from_) : cursor->seek(from_));
    } else {
      to_.empty() ? cursor->seek_last() : (to_inclusive_ ? cursor->seek_at_or_before(to_) : cursor->seek_before(to_));
    }
    if (cursor->valid()) buffers_.push_back(std::move(cursor));
  }
  CursorOptions cursor_options;
  cursor_options.direction = forward() ? Direction::forward : Direction::reverse;
  cursor_options.readahead_pages =
      options_.readahead_pages != 0 ? options_.readahead_pages : partition_.options.readahead_pages;
  cursor_options.entries_max = options_.limit;
  TableStore& store = partition_.publisher->store_of(table_);
  TableRoot root = table_.at(snapshot_.generation());
  co_await check(store.load(root));
  cursor_ = store.cursor(root, cursor_options);
  const Bytes begin = forward() ? Bytes(from_) : Bytes(to_);
  const bool inclusive = forward() ? !from_exclusive_ : to_inclusive_;
  co_await check(cursor_->seek(begin, inclusive));
  started_ = true;
  co_return Status();
}

// ---- the merge ----------------------------------------------------------------------------------------------------

// No buffered write is left: the leaf's entries as they are, up to the bound.
void ScanState::take_table_page() {
  std::span<const Entry> rest = cursor_->rest_of_page();
  if (!within(rest.back().key)) {
    const auto end = std::partition_point(rest.begin(), rest.end(), [&](const Entry& e) { return within(e.key); });
    rest = rest.first(static_cast<std::size_t>(end - rest.begin()));
    done_ = true;
  }
  if (rest.size() > left_) rest = rest.first(left_);
  if (cursor_->page_has_references()) {
    // Values that have to be read replace what the page says: that needs entries of our own.
    const std::span<const format::EntryKind> kinds = cursor_->rest_of_kinds();
    for (std::size_t i = 0; i < rest.size(); ++i) {
      if (kinds[i] != format::EntryKind::value) long_values_.push_back(i);
      if (kinds[i] == format::EntryKind::tombstone) unreadable_ = cursor_->page();
    }
    merged_.assign(rest.begin(), rest.end());
    rest = merged_;
  }
  page_ = rest;
  cursor_->skip_page();
}

// The buffer cursor that stands on the next key in the scan's direction; on equal keys the newest buffer.
BufferCursor* ScanState::first_buffer() noexcept {
  BufferCursor* first = nullptr;
  for (const auto& cursor : buffers_) {
    if (first == nullptr || comes_before(cursor->entry().key(), first->entry().key())) first = cursor.get();
  }
  return first;
}

void ScanState::move(BufferCursor& cursor) {
  const bool valid = forward() ? cursor.next() : cursor.previous();
  if (!valid) std::erase_if(buffers_, [&](const auto& owned) { return owned.get() == &cursor; });
}

void ScanState::merge_page() {
  merged_.clear();
  while (merged_.size() < left_ && merged_.size() < kPageEntriesMax) {
    const bool in_table = cursor_->valid();
    if (!in_table && !cursor_->at_end()) break;  // the next leaf decides what comes first
    BufferCursor* buffer = first_buffer();
    if (buffer == nullptr) {  // the rest of the leaf has no buffered writes
      if (in_table && merged_.empty()) {
        take_table_page();
        return;
      }
      break;
    }
    const Bytes buffered = buffer->entry().key();
    const bool table_first = in_table && comes_before(cursor_->entry().key, buffered);
    const Bytes key = table_first ? cursor_->entry().key : buffered;
    if (!within(key)) {
      done_ = true;
      break;
    }
    if (table_first) {
      if (cursor_->kind() != format::EntryKind::value) long_values_.push_back(merged_.size());
      if (cursor_->kind() == format::EntryKind::tombstone) unreadable_ = cursor_->page();
      merged_.push_back(cursor_->entry());
      cursor_->step();
      continue;
    }
    if (buffer->entry().kind == WriteKind::put) merged_.push_back({buffered, buffer->entry().value()});
    if (in_table && cursor_->entry().key == buffered) cursor_->step();  // overwritten or deleted
    for (std::size_t i = buffers_.size(); i != 0; --i) {                // and in older buffers
      if (buffers_[i - 1]->entry().key() == buffered) move(*buffers_[i - 1]);
    }
  }
  page_ = merged_;
}

void ScanState::finish_page() {
  left_ -= page_.size();
  if (left_ == 0 || (buffers_.empty() && !cursor_->valid() && cursor_->at_end())) done_ = true;
}

ScanState::Fill ScanState::try_fill() {
  if (!started_) return Fill::wait;
  page_ = {};
  position_ = 0;
  long_values_.clear();
  value_memory_.clear();
  while (page_.empty() && !done_) {
    if (!cursor_->valid() && !cursor_->at_end() && !cursor_->try_next_page()) return Fill::wait;
    if (!buffers_.empty()) {
      merge_page();
    } else if (cursor_->valid()) {
      take_table_page();
    }
    finish_page();
  }
  return long_values_.empty() ? Fill::ready : Fill::wait;
}

Task<Status> ScanState::fill() {
  if (!started_) {
    co_await check(start());
  }
  for (;;) {
    if (options_.cancel != nullptr && options_.cancel->requested()) co_return Errc::cancelled;
    if (try_fill() == Fill::ready) co_return Status();
    if (!page_.empty()) break;
    co_await check(cursor_->next_page());
  }
  Status loaded = co_await load_values();
  co_return loaded;
}

Task<Status> ScanState::load_values() {
  if (unreadable_ != kNoPage) {
    co_return misfit(*partition_.device, unreadable_, "has a tombstone, which trees do not hold");
  }
  for (const std::size_t index : long_values_) {
    ++partition_.counts.overflow_reads;
    OverflowBuffer value = co_await check(read_overflow(*partition_.device, OverflowView(merged_[index].value)));
    merged_[index].value = value.bytes();
    value_memory_.push_back(std::move(value));
  }
  long_values_.clear();
  co_return Status();
}

// ---- what the user calls ------------------------------------------------------------------------------------------

Op<std::span<const Entry>> ScanState::next_page() {
  if (!error_) return error_.error();
  if (position_ < page_.size()) {  // next() was used before
    const std::size_t from = std::exchange(position_, page_.size());
    return Result<std::span<const Entry>>(page_.subspan(from));
  }
  if (done_) return Result<std::span<const Entry>>(std::span<const Entry>());
  if (try_fill() == Fill::ready) {
    position_ = page_.size();
    return Result<std::span<const Entry>>(page_);
  }
  const Core::Scope scope(partition_.core);
  return next_page_waiting();
}

Op<std::span<const Entry>> ScanState::next_page_waiting() {
  const GatePass pass(partition_.operations);
  if (!page_.empty()) {
    error_ = co_await load_values();
  } else {
    error_ = co_await fill();
  }
  if (!error_) co_return error_.error();
  position_ = page_.size();
  co_return page_;
}

Op<const Entry*> ScanState::next() {
  if (position_ < page_.size()) [[likely]]
    return Result<const Entry*>(&page_[position_++]);
  if (!error_) return error_.error();
  if (done_) return Result<const Entry*>(nullptr);
  if (try_fill() == Fill::ready) {
    return Result<const Entry*>(page_.empty() ? nullptr : &page_[position_++]);
  }
  const Core::Scope scope(partition_.core);
  return next_waiting();
}

Op<const Entry*> ScanState::next_waiting() {
  const GatePass pass(partition_.operations);
  if (!page_.empty()) {
    error_ = co_await load_values();
  } else {
    error_ = co_await fill();
  }
  if (!error_) {
    page_ = {};  // its long values are still references
    co_return error_.error();
  }
  const Entry* entry = page_.empty() ? nullptr : &page_[position_++];
  co_return entry;
}

}  // namespace cambium
