// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/run_merger.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace cambium {

RunMerger::RunMerger(SortedRun older, SortedRun newer) : count_(older.count() + newer.count()), refs_(count_) {
  CAMBIUM_ASSERT(older.count() > 0 && newer.count() > 0);
  older_.run = std::move(older);
  newer_.run = std::move(newer);
  tables_.reserve(older_.run.tables().size() + newer_.run.tables().size());
}

SortedRun RunMerger::take() {
  CAMBIUM_ASSERT(written_ == count_ && older_.run.count() > 0);
  older_.run = SortedRun();
  newer_.run = SortedRun();
  return SortedRun(std::move(refs_), count_, std::move(tables_));
}

bool RunMerger::step(StepBudget& budget) {
  while (written_ < count_) {
    if (budget.spent()) return false;
    const auto left = static_cast<std::size_t>((older_.end - older_.at) + (newer_.end - newer_.at));
    if (left == 0) {
      budget.use(1);
      begin_table();
      continue;
    }
    const std::size_t slice = std::min(budget.left(), left);
    budget.use(slice);
    merge(slice);
  }
  return true;
}

// Opens the next table: in both runs, or in the one that has it.
void RunMerger::begin_table() {
  const auto older_tables = older_.run.tables();
  const auto newer_tables = newer_.run.tables();
  const TableRange* a = older_.table < older_tables.size() ? &older_tables[older_.table] : nullptr;
  const TableRange* b = newer_.table < newer_tables.size() ? &newer_tables[newer_.table] : nullptr;
  CAMBIUM_ASSERT(a != nullptr || b != nullptr);
  if (a != nullptr && b != nullptr && a->table != b->table) (a->table < b->table ? b : a) = nullptr;

  std::size_t prefix = a != nullptr ? a->prefix_bytes : b->prefix_bytes;
  if (a != nullptr && b != nullptr) {
    prefix = common_prefix(older_.run.refs()[a->begin].entry->key(), newer_.run.refs()[b->begin].entry->key(),
                           std::min(a->prefix_bytes, b->prefix_bytes));
  }
  depth_ = prefix;
  if (a != nullptr) older_.open(depth_);
  if (b != nullptr) newer_.open(depth_);
  const std::size_t entries = (a != nullptr ? a->end - a->begin : 0) + (b != nullptr ? b->end - b->begin : 0);
  tables_.push_back(
      {a != nullptr ? a->table : b->table, static_cast<std::uint32_t>(depth_), written_, written_ + entries});
}

void RunMerger::Side::open(std::size_t depth) noexcept {
  const TableRange& range = run.tables()[table++];
  at = run.refs().data() + range.begin;
  end = run.refs().data() + range.end;
  new_heads = range.prefix_bytes != depth;
  load(depth);
}

inline void RunMerger::Side::load(std::size_t depth) noexcept {
  if (at == end) return;
  if (!new_heads) {
    head = at->head;
    return;
  }
  if (end - at > 12) __builtin_prefetch(at[12].entry);
  head = key_head(at->entry->key(), depth);
}

inline bool RunMerger::newer_first() const noexcept {
  if (newer_.head != older_.head) return newer_.head < older_.head;
  return compare(key_tail(newer_.at->entry->key(), depth_), key_tail(older_.at->entry->key(), depth_)) <= 0;
}

void RunMerger::merge(std::size_t count) noexcept {
  SortedRef* const refs = refs_.data();
  while (count > 0 && older_.at != older_.end && newer_.at != newer_.end) {
    Side& side = newer_first() ? newer_ : older_;
    refs[written_++] = {side.head, side.at->entry};
    ++side.at;
    side.load(depth_);
    --count;
  }
  if (count > 0) copy(older_.at != older_.end ? older_ : newer_, count);
}

// The other side is exhausted.
void RunMerger::copy(Side& side, std::size_t count) noexcept {
  SortedRef* const refs = refs_.data();
  for (; count > 0; --count) {
    refs[written_++] = {side.head, side.at->entry};
    ++side.at;
    side.load(depth_);
  }
}

}  // namespace cambium
