// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Merges two sorted runs of one buffer into one, in bounded steps.
//
// Invariants
//   1. All entries of `newer` were appended after all of `older`: of equal keys those of `newer` come first.
//   2. A range of the result has the prefix its keys share in both runs; where that is shorter than in a
//      run, the heads of that run are taken anew from its keys.
//
// Units      StepBudget counts entries written. Memory: 16 bytes per entry, beside the two runs.
// Errors     std::bad_alloc only.
// Lifetime   shares the runs; the buffer is not reset meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "buffer/sorted_run.h"
#include "buffer/step_budget.h"

namespace cambium {

class RunMerger {
 public:
  /// Requires: neither is empty.
  RunMerger(SortedRun older, SortedRun newer);

  /// Goes on until the budget is spent; true when the run is ready.
  bool step(StepBudget& budget);

  [[nodiscard]] std::size_t bytes() const noexcept { return RefArray::bytes_for(count_); }

  /// Requires: step() returned true; once.
  [[nodiscard]] SortedRun take();

 private:
  // What is left of one input in the current table.
  struct Side {
    SortedRun run;
    std::size_t table = 0;  // the next range of run.tables()
    const SortedRef* at = nullptr;
    const SortedRef* end = nullptr;
    bool new_heads = false;
    std::uint64_t head = 0;  // of *at, in the prefix of the result

    void open(std::size_t depth) noexcept;
    void load(std::size_t depth) noexcept;
  };

  void begin_table();
  void merge(std::size_t count) noexcept;
  void copy(Side& side, std::size_t count) noexcept;
  [[nodiscard]] bool newer_first() const noexcept;

  Side older_;
  Side newer_;
  std::size_t count_;
  RefArray refs_;
  std::size_t written_ = 0;
  std::size_t depth_ = 0;
  std::vector<TableRange> tables_;
};

}  // namespace cambium
