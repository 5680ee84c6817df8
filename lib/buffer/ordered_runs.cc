// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/ordered_runs.h"

#include "base/assert.h"

namespace cambium {

// Merges come first: a new run is begun only when the sizes are geometric again, which bounds their number.
// Except at freeze, where sorting all that is missing first makes for fewer merges.
bool OrderedRuns::step(StepBudget& budget, std::size_t through, bool down_to_one) {
  CAMBIUM_ASSERT(through <= buffer_->count());
  for (;;) {
    if (budget.spent()) return false;
    if (merger_) {
      if (!merger_->step(budget)) return false;
      merge_done();
    } else if (sorter_) {
      if (!sorter_->step(budget)) return false;
      sort_done();
    } else if (down_to_one && covered_ < through) {
      begin_sort();
    } else if (begin_merge(down_to_one)) {
      continue;
    } else if (covered_ < through) {
      begin_sort();
    } else {
      return true;
    }
  }
}

bool OrderedRuns::begin_merge(bool down_to_one) {
  if (runs_.size() < 2) return false;
  const SortedRun& older = runs_[runs_.size() - 2];
  const SortedRun& newer = runs_.back();
  if (!down_to_one && older.count() >= 2 * newer.count()) return false;
  merger_.emplace(older, newer);
  return true;
}

void OrderedRuns::merge_done() {
  runs_.pop_back();
  runs_.back() = merger_->take();
  merger_.reset();
}

// Takes all that is there now, also what was put after the scan began: it would have to be sorted anyway.
void OrderedRuns::begin_sort() {
  const BufferEntry* const first = last_covered_ == nullptr ? buffer_->first() : last_covered_->next_in_arena();
  sorter_.emplace(*buffer_, *first, buffer_->count() - covered_);
}

void OrderedRuns::sort_done() {
  covered_ += sorter_->count();
  last_covered_ = &sorter_->last_entry();
  runs_.push_back(sorter_->take());
  sorter_.reset();
}

SortedRun OrderedRuns::whole() const {
  CAMBIUM_ASSERT_MSG(covered_ == buffer_->count() && runs_.size() <= 1 && !merger_,
                     "the runs are not merged into one yet");
  return runs_.empty() ? SortedRun() : runs_.front();
}

std::size_t OrderedRuns::bytes_used() const noexcept {
  std::size_t bytes = 0;
  for (const SortedRun& run : runs_) bytes += run.bytes();
  if (sorter_) bytes += sorter_->bytes();
  if (merger_) bytes += merger_->bytes();
  return bytes;
}

void OrderedRuns::reset() noexcept {
  merger_.reset();
  sorter_.reset();
  runs_.clear();
  covered_ = 0;
  last_covered_ = nullptr;
}

}  // namespace cambium
