// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/buffer_cursor.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace cambium {

namespace {

// Two refs of one run have the same key.
bool same_key(const SortedRef& a, const SortedRef& b) noexcept {
  return a.head == b.head && a.entry->key() == b.entry->key();
}

// Refs of one key are adjacent; these find where they end, and begin, from one of them. Nearly always that
// is next door; otherwise the distance is doubled, then halved.
std::size_t key_end(const SortedRef* refs, std::size_t at, std::size_t end) noexcept {
  std::size_t step = 1;
  std::size_t low = at;  // has the key
  while (low + step < end && same_key(refs[low + step], refs[at])) {
    low += step;
    step *= 2;
  }
  std::size_t high = std::min(low + step, end);  // has not, or is the end
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (same_key(refs[middle], refs[at]) ? low : high) = middle;
  }
  return high;
}

std::size_t key_begin(const SortedRef* refs, std::size_t at, std::size_t begin) noexcept {
  std::size_t step = 1;
  std::size_t high = at;  // has the key
  while (high - begin >= step && same_key(refs[high - step], refs[at])) {
    high -= step;
    step *= 2;
  }
  std::size_t span = std::min(step, high - begin + 1);  // high - span has not, or is before the beginning
  while (span > 1) {
    const std::size_t half = span / 2;
    if (same_key(refs[high - half], refs[at])) {
      high -= half;
      span -= half;
    } else {
      span = half;
    }
  }
  return high;
}

}  // namespace

BufferCursor::BufferCursor(BufferPin buffer, std::span<const SortedRun> runs, TableId table, Sequence limit)
    : buffer_(std::move(buffer)), limit_(limit) {
  sources_.reserve(runs.size());
  for (const SortedRun& run : runs) {
    const TableRange* const range = run.range(table);
    if (range == nullptr) continue;
    sources_.push_back({run, range, run.refs().data(), range->begin, 0});
    const Source& source = sources_.back();
    const Bytes key = source.refs[range->begin].entry->key();
    depth_ = sources_.size() == 1
                 ? range->prefix_bytes
                 : common_prefix(key, sources_.front().refs[sources_.front().range->begin].entry->key(),
                                 std::min<std::size_t>(depth_, range->prefix_bytes));
  }
}

// Moves a source and loads the head of its next ref, if it has one.
void BufferCursor::set(Source& source, std::size_t at) const noexcept {
  source.at = at;
  if (at_end(source)) return;
  const SortedRef& ref = next_ref(source);
  source.head = source.range->prefix_bytes == depth_ ? ref.head : key_head(ref.entry->key(), depth_);
  // The entries lie in append order, far from each other: fetch those the next steps will yield.
  constexpr std::size_t kAhead = 8;
  if (forward_ && source.range->end - at > kAhead) __builtin_prefetch(source.refs[at + kAhead].entry);
  if (!forward_ && at - source.range->begin > kAhead) __builtin_prefetch(source.refs[at - 1 - kAhead].entry);
}

void BufferCursor::position_all(Bytes key, bool past_equal, bool forward) {
  forward_ = forward;
  for (Source& source : sources_) {
    set(source, past_equal ? source.run.upper_bound(*source.range, key) : source.run.lower_bound(*source.range, key));
  }
}

bool BufferCursor::seek_first() {
  forward_ = true;
  for (Source& source : sources_) set(source, source.range->begin);
  return step_forward();
}

bool BufferCursor::seek_last() {
  forward_ = false;
  for (Source& source : sources_) set(source, source.range->end);
  return step_backward();
}

bool BufferCursor::seek_from(Bytes key, bool past_equal, bool forward) {
  position_all(key, past_equal, forward);
  return forward ? step_forward() : step_backward();
}

bool BufferCursor::seek(Bytes key) { return seek_from(key, false, true); }
bool BufferCursor::seek_after(Bytes key) { return seek_from(key, true, true); }
bool BufferCursor::seek_before(Bytes key) { return seek_from(key, false, false); }
bool BufferCursor::seek_at_or_before(Bytes key) { return seek_from(key, true, false); }

bool BufferCursor::next() {
  CAMBIUM_ASSERT(valid());
  if (!forward_) position_all(current_->key(), true, true);
  return step_forward();
}

bool BufferCursor::previous() {
  CAMBIUM_ASSERT(valid());
  if (forward_) position_all(current_->key(), false, false);
  return step_backward();
}

// The source whose next key comes first in the direction of travel; null when all are at their end.
const BufferCursor::Source* BufferCursor::nearest() const noexcept {
  const Source* best = nullptr;
  for (const Source& source : sources_) {
    if (at_end(source)) continue;
    if (best == nullptr) {
      best = &source;
      continue;
    }
    bool closer = forward_ ? source.head < best->head : source.head > best->head;
    if (source.head == best->head) {
      const int order =
          compare(key_tail(next_ref(source).entry->key(), depth_), key_tail(next_ref(*best).entry->key(), depth_));
      closer = forward_ ? order < 0 : order > 0;
    }
    if (closer) best = &source;
  }
  return best;
}

bool BufferCursor::has_key(const Source& source, std::uint64_t head, Bytes key) const noexcept {
  return !at_end(source) && source.head == head && next_ref(source).entry->key() == key;
}

// Versions of one key, [begin, end), are newest first: the first one not above the limit.
const BufferEntry* BufferCursor::newest_visible(const Source& source, std::size_t begin,
                                                std::size_t end) const noexcept {
  const SortedRef* const last = source.refs + end;
  const SortedRef* const ref = std::partition_point(source.refs + begin, last,
                                                    [this](const SortedRef& r) { return r.entry->sequence > limit_; });
  return ref == last ? nullptr : ref->entry;
}

bool BufferCursor::step_forward() {
  current_ = nullptr;
  while (const Source* const first = nearest()) {
    const std::uint64_t head = first->head;
    const Bytes key = next_ref(*first).entry->key();
    // From the newest run to the oldest: the first visible version found is the newest one.
    for (std::size_t i = sources_.size(); i-- > 0;) {
      Source& source = sources_[i];
      if (!has_key(source, head, key)) continue;
      const std::size_t end = key_end(source.refs, source.at, source.range->end);
      if (current_ == nullptr) current_ = newest_visible(source, source.at, end);
      set(source, end);
    }
    if (current_ != nullptr) return true;
  }
  return false;
}

bool BufferCursor::step_backward() {
  current_ = nullptr;
  while (const Source* const first = nearest()) {
    const std::uint64_t head = first->head;
    const Bytes key = next_ref(*first).entry->key();
    for (std::size_t i = sources_.size(); i-- > 0;) {
      Source& source = sources_[i];
      if (!has_key(source, head, key)) continue;
      const std::size_t begin = key_begin(source.refs, source.at - 1, source.range->begin);
      if (current_ == nullptr) current_ = newest_visible(source, begin, source.at);
      set(source, begin);
    }
    if (current_ != nullptr) return true;
  }
  return false;
}

}  // namespace cambium
