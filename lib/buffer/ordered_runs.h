// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The order of one write buffer, built lazily: sorted runs that together cover its entries [0, covered()).
//
// A scan over the active buffer catches up to what was written before it, then reads the runs; the flusher
// merges everything into one run at freeze, reusing what scans have sorted. Nobody scans: nothing is sorted
// before the freeze, and a put costs the same either way.
//
// Invariants
//   1. Run i was appended before run i + 1; together they cover a beginning of the buffer, without gaps.
//   2. When catch_up_step() returns true, each run has at least twice the entries of the next. So there are
//      at most log2 of them, and an entry is merged O(log n) times however often scans and puts alternate.
//   3. At most one sort or one merge is under way; whoever steps next goes on with it.
//
// Units      StepBudget counts entries per pass; bytes_used() is beside the buffer's capacity: 16 bytes per
//            covered entry, up to twice that more while sorting or merging.
// Errors     std::bad_alloc only.
// Lifetime   shorter than the buffer; reset() before the buffer's reset. Runs that scans hold live on.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "buffer/run_merger.h"
#include "buffer/run_sorter.h"
#include "buffer/sorted_run.h"
#include "buffer/step_budget.h"
#include "buffer/write_buffer.h"

namespace cambium {

class OrderedRuns {
 public:
  explicit OrderedRuns(const WriteBuffer& buffer) noexcept : buffer_(&buffer) {}

  OrderedRuns(const OrderedRuns&) = delete;
  OrderedRuns& operator=(const OrderedRuns&) = delete;

  /// Goes on until the budget is spent; true when runs() cover the first `through` entries. Fix `through`
  /// before the first step: with the buffer's current count, writers could keep a scan from ever starting.
  /// Requires: through <= the buffer's count().
  bool catch_up_step(StepBudget& budget, std::size_t through) { return step(budget, through, false); }

  /// The same, for the whole buffer and down to one run. Requires: no puts from the first step on.
  bool merge_all_step(StepBudget& budget) { return step(budget, buffer_->count(), true); }

  /// Oldest first. Copy what you keep: the next step may replace them.
  [[nodiscard]] std::span<const SortedRun> runs() const noexcept { return runs_; }

  /// The one run of the whole buffer; empty for an empty buffer. Requires: merge_all_step() returned true.
  [[nodiscard]] SortedRun whole() const;

  [[nodiscard]] std::size_t covered() const noexcept { return covered_; }
  [[nodiscard]] std::size_t bytes_used() const noexcept;

  /// What sorting and merging may need at most for a buffer of `count` entries.
  [[nodiscard]] static constexpr std::size_t bytes_max(std::size_t count) noexcept {
    return 3 * RefArray::bytes_for(count);
  }

  /// Lets go of everything, also of work under way.
  void reset() noexcept;

 private:
  bool step(StepBudget& budget, std::size_t through, bool down_to_one);
  bool begin_merge(bool down_to_one);
  void begin_sort();
  void sort_done();
  void merge_done();

  const WriteBuffer* buffer_;
  std::vector<SortedRun> runs_;
  std::size_t covered_ = 0;
  const BufferEntry* last_covered_ = nullptr;
  std::optional<RunSorter> sorter_;  // of the entries after the covered ones
  std::optional<RunMerger> merger_;  // of the last two runs
};

}  // namespace cambium
