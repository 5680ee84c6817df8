// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/run_sorter.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace cambium {

namespace {

std::size_t digit_of(std::uint64_t head, std::size_t digit) noexcept {
  return static_cast<std::size_t>((head >> (8 * digit)) & 0xff);
}

}  // namespace

RunSorter::RunSorter(const WriteBuffer& buffer, const BufferEntry& first, std::size_t count)
    : count_(count), walk_(&first), last_(&first), refs_array_(count), refs_(refs_array_.data()) {
  CAMBIUM_ASSERT(count > 0 && count <= buffer.count());
  CAMBIUM_ASSERT(count <= 0xffffffffu);  // counts_ is 32 bits wide
  if (count > kSmallSegment) {
    scratch_array_ = RefArray(count);
    scratch_ = scratch_array_.data();
  }
  const TableKey min = buffer.min_key();
  const TableKey max = buffer.max_key();
  task_ = {Kind::tables, 0, 0, count, 0, kNoTable};
  if (min.table == max.table) {
    // The buffer knows what all its keys share: no pass is needed to find it.
    const std::size_t common = common_prefix(min.key, max.key, min.key.size());
    task_.kind = Kind::keys;
    task_.depth = static_cast<std::uint32_t>(common);
    tables_.push_back({min.table, task_.depth, 0, count});
  }
}

SortedRun RunSorter::take() {
  CAMBIUM_ASSERT(phase_ == Phase::next_task && tasks_.empty() && refs_ != nullptr);
  refs_ = nullptr;
  return SortedRun(std::move(refs_array_), count_, std::move(tables_));
}

bool RunSorter::step(StepBudget& budget) {
  while (phase_ != Phase::next_task || !tasks_.empty()) {
    if (budget.spent()) return false;
    advance(budget);
  }
  return true;
}

// One slice of the current pass. Each pass moves position_ from begin to end of the task's segment, then
// enters the next one; only then may the segment be looked at as a whole.
void RunSorter::advance(StepBudget& budget) {
  if (phase_ == Phase::next_task) begin_task();
  const std::size_t slice = std::min(budget.left(), task_.end - position_);
  if (phase_ != Phase::groups) budget.use(slice);  // groups cost what is in them
  switch (phase_) {
    case Phase::walk:
      walk(slice);
      if (position_ == task_.end) sort_segment(budget);
      break;
    case Phase::prefix:
      find_prefix(slice);
      if (position_ == task_.end) prefix_found();
      break;
    case Phase::heads:
      take_heads(slice);
      if (position_ == task_.end) sort_segment(budget);
      break;
    case Phase::count_digits:
      count_digits(slice);
      if (position_ == task_.end) begin_digit(budget);
      break;
    case Phase::scatter:
      scatter(slice);
      if (position_ == task_.end) {
        in_scratch_ = !in_scratch_;
        ++digit_;
        begin_digit(budget);
      }
      break;
    case Phase::copy_back:
      std::memcpy(refs_ + position_, scratch_ + position_, slice * sizeof(SortedRef));
      position_ += slice;
      if (position_ == task_.end) enter(task_.kind == Kind::lengths ? Phase::next_task : Phase::groups);
      break;
    case Phase::groups:
      groups(budget);
      if (position_ == task_.end) enter(Phase::next_task);
      break;
    case Phase::count_lengths:
      count_lengths(slice);
      if (position_ == task_.end) lengths_counted();
      break;
    case Phase::scatter_lengths:
      scatter_lengths(slice);
      if (position_ == task_.end) enter(Phase::copy_back);
      break;
    case Phase::restore:
      for (const std::size_t to = position_ + slice; position_ < to; ++position_) {
        refs_[position_].head = task_.head;
      }
      if (position_ == task_.end) enter(Phase::next_task);
      break;
    case Phase::next_task:
      CAMBIUM_UNREACHABLE();
  }
}

void RunSorter::enter(Phase phase) noexcept {
  phase_ = phase;
  position_ = task_.begin;
  group_ = task_.begin;
}

void RunSorter::push(Kind kind, std::size_t begin, std::size_t end, std::size_t depth, std::uint64_t head,
                     std::size_t table) {
  tasks_.push_back({kind, static_cast<std::uint32_t>(depth), begin, end, head, table});
}

void RunSorter::begin_task() {
  task_ = tasks_.back();
  tasks_.pop_back();
  CAMBIUM_ASSERT(task_.begin < task_.end);
  switch (task_.kind) {
    case Kind::keys:
      common_bytes_ = refs_[task_.begin].entry->key_bytes;
      enter(Phase::prefix);
      break;
    case Kind::lengths:
      std::fill(std::begin(next_), std::begin(next_) + kLengthClasses, std::size_t{0});
      enter(Phase::count_lengths);
      break;
    case Kind::restore:
      enter(Phase::restore);
      break;
    case Kind::tables:
      CAMBIUM_UNREACHABLE();  // only the first task, set by the constructor
  }
}

void RunSorter::prefetch_entry(std::size_t index) const noexcept {
  if (index < task_.end) __builtin_prefetch(refs_[index].entry);
}

// --- gathering ------------------------------------------------------------------------------------------

// Fills the refs from the back: append order is oldest first, the run is newest first.
void RunSorter::walk(std::size_t count) {
  // The first scatter pass writes all over the scratch array at once. Faulting it in here, slice by slice,
  // keeps that step from paying for all pages together.
  if (scratch_ != nullptr) {
    for (std::size_t i = position_; i < position_ + count; i += kRefsPerPage) scratch_[i].entry = nullptr;
  }
  const bool by_table = task_.kind == Kind::tables;
  for (std::size_t i = 0; i < count; ++i) {
    if (position_ > 0) walk_ = walk_->next_in_arena();
    const BufferEntry& entry = *walk_;
    const std::uint64_t head = by_table ? raw(entry.table) : key_head(entry.key(), task_.depth);
    refs_[count_ - 1 - position_] = {head, &entry};
    ++position_;
  }
  last_ = walk_;
}

void RunSorter::find_prefix(std::size_t count) {
  const Bytes first = refs_[task_.begin].entry->key();
  for (std::size_t i = 0; i < count && common_bytes_ > task_.depth; ++i) {
    prefetch_entry(position_ + i + kPrefetchAhead);
    const Bytes key = refs_[position_ + i].entry->key();
    common_bytes_ = task_.depth + common_prefix(key_tail(first, task_.depth), key_tail(key, task_.depth),
                                                common_bytes_ - task_.depth);
  }
  position_ += count;
}

void RunSorter::prefix_found() {
  task_.depth = static_cast<std::uint32_t>(common_bytes_);
  if (task_.table != kNoTable) tables_[task_.table].prefix_bytes = task_.depth;
  enter(Phase::heads);
}

void RunSorter::take_heads(std::size_t count) {
  for (const std::size_t to = position_ + count; position_ < to; ++position_) {
    prefetch_entry(position_ + kPrefetchAhead);
    refs_[position_].head = key_head(refs_[position_].entry->key(), task_.depth);
  }
}

// --- sorting by head ------------------------------------------------------------------------------------

void RunSorter::sort_segment(StepBudget& budget) {
  if (task_.end - task_.begin > kSmallSegment) {
    std::memset(counts_, 0, sizeof counts_);
    enter(Phase::count_digits);
    return;
  }
  sort_small(task_.begin, task_.end, budget);
  enter(task_.kind == Kind::tables ? Phase::groups : Phase::next_task);
}

void RunSorter::sort_small(std::size_t begin, std::size_t end, StepBudget& budget) {
  const bool by_table = task_.kind == Kind::tables;
  const std::size_t depth = task_.depth;
  const auto order = [by_table, depth](const SortedRef& a, const SortedRef& b) {
    if (a.head != b.head) return a.head < b.head;
    if (!by_table) {
      const int keys = compare(key_tail(a.entry->key(), depth), key_tail(b.entry->key(), depth));
      if (keys != 0) return keys < 0;
    }
    return a.entry > b.entry;  // later in the arena is newer
  };
  budget.use(4 * (end - begin));  // comparing costs more than a pass
  // Versions of one key, the usual reason for equal heads, are in order already.
  if (!std::is_sorted(refs_ + begin, refs_ + end, order)) std::sort(refs_ + begin, refs_ + end, order);
}

void RunSorter::count_digits(std::size_t count) {
  for (const std::size_t to = position_ + count; position_ < to; ++position_) {
    std::uint64_t head = refs_[position_].head;
    for (std::size_t digit = 0; digit < kDigits; ++digit, head >>= 8) ++counts_[digit][head & 0xff];
  }
  if (position_ == task_.end) {
    digit_ = 0;
    in_scratch_ = false;
  }
}

// Finds the next digit that differs at all and sets up its pass; after the last one, goes on to the groups.
void RunSorter::begin_digit(StepBudget& budget) {
  budget.use(kDigitValues / 4);
  const std::size_t count = task_.end - task_.begin;
  const std::uint64_t some_head = (in_scratch_ ? scratch_ : refs_)[task_.begin].head;
  while (digit_ < kDigits && counts_[digit_][digit_of(some_head, digit_)] == count) ++digit_;
  if (digit_ == kDigits) {
    enter(in_scratch_ ? Phase::copy_back : Phase::groups);
    return;
  }
  std::size_t at = task_.begin;
  for (std::size_t value = 0; value < kDigitValues; ++value) {
    next_[value] = at;
    at += counts_[digit_][value];
  }
  enter(Phase::scatter);
}

void RunSorter::scatter(std::size_t count) {
  const SortedRef* const from = in_scratch_ ? scratch_ : refs_;
  SortedRef* const to = in_scratch_ ? refs_ : scratch_;
  const std::size_t shift = 8 * digit_;
  for (std::size_t i = position_; i < position_ + count; ++i) {
    to[next_[(from[i].head >> shift) & 0xff]++] = from[i];
  }
  position_ += count;
}

void RunSorter::groups(StepBudget& budget) {
  while (position_ < task_.end && !budget.spent()) {
    budget.use(1);
    const std::size_t ahead = position_ + kPrefetchAhead;
    if (ahead + 1 < task_.end && refs_[ahead].head == refs_[ahead + 1].head) {
      __builtin_prefetch(refs_[ahead].entry);
      __builtin_prefetch(refs_[ahead + 1].entry);
    }
    ++position_;
    if (position_ < task_.end && refs_[position_].head == refs_[group_].head) continue;
    group_found(group_, position_, budget);
    group_ = position_;
  }
}

void RunSorter::group_found(std::size_t begin, std::size_t end, StepBudget& budget) {
  if (task_.kind == Kind::tables) {
    tables_.push_back({refs_[begin].entry->table, 0, begin, end});
    push(Kind::keys, begin, end, 0, 0, tables_.size() - 1);
  } else if (end - begin > kSmallSegment) {
    push(Kind::lengths, begin, end, task_.depth, refs_[begin].head, kNoTable);
  } else if (end - begin > 1) {
    sort_small(begin, end, budget);
  }
}

// --- equal heads ----------------------------------------------------------------------------------------

// Equal heads of keys that end within the head differ by their number of zero bytes only: the shorter is
// the smaller, and equal length means equal keys. Keys that go on past the head come last.
std::size_t RunSorter::length_class(const BufferEntry& entry) const noexcept {
  return std::min<std::size_t>(entry.key_bytes - task_.depth, kLengthClasses - 1);
}

void RunSorter::count_lengths(std::size_t count) {
  for (const std::size_t to = position_ + count; position_ < to; ++position_) {
    prefetch_entry(position_ + kPrefetchAhead);
    ++next_[length_class(*refs_[position_].entry)];
  }
}

void RunSorter::lengths_counted() {
  const std::size_t longer = next_[kLengthClasses - 1];
  if (longer > 0) {
    push(Kind::restore, task_.end - longer, task_.end, 0, task_.head, kNoTable);
    push(Kind::keys, task_.end - longer, task_.end, task_.depth + 8, 0, kNoTable);
  }
  const std::size_t count = task_.end - task_.begin;
  if (std::find(next_, next_ + kLengthClasses, count) != next_ + kLengthClasses) {
    enter(Phase::next_task);  // all in one class: in order as they are
    return;
  }
  std::size_t at = task_.begin;
  for (std::size_t i = 0; i < kLengthClasses; ++i) at += std::exchange(next_[i], at);
  enter(Phase::scatter_lengths);
}

void RunSorter::scatter_lengths(std::size_t count) {
  for (const std::size_t to = position_ + count; position_ < to; ++position_) {
    prefetch_entry(position_ + kPrefetchAhead);
    scratch_[next_[length_class(*refs_[position_].entry)]++] = refs_[position_];
  }
}

}  // namespace cambium
