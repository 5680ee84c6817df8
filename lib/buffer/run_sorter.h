// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Sorts a stretch of a write buffer into a SortedRun, in bounded steps.
//
// The method: 8-byte heads taken after the common prefix, an LSD radix sort over those of their bytes that
// differ, then a pass over equal heads. Measured against std::sort on heads: 80 instead of 144 ns per entry
// (LIMITS, "Write-buffer index").
// Large groups of equal heads are sorted again by the next 8 bytes; small ones by comparing keys.
//
// Several tables: the same sort with the table id as the head first, then each table on its own.
//
// Invariants
//   1. Every pass is stable and entries enter newest first, so versions of a key stay newest first.
//   2. A task pushed on the stack covers refs that no other waiting task reorders; a task that replaces
//      heads lies above the task that puts them back.
//
// Units      StepBudget counts entries per pass. Memory: 32 bytes per entry while sorting, 16 after.
// Errors     std::bad_alloc only.
// Lifetime   the buffer is not reset meanwhile; puts may go on. The stretch is fixed at construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "buffer/sorted_run.h"
#include "buffer/step_budget.h"
#include "buffer/write_buffer.h"

namespace cambium {

class RunSorter {
 public:
  /// Sorts the `count` entries that begin with `first`, in append order. Requires: count > 0, and so many.
  RunSorter(const WriteBuffer& buffer, const BufferEntry& first, std::size_t count);

  RunSorter(const RunSorter&) = delete;
  RunSorter& operator=(const RunSorter&) = delete;

  /// Goes on until the budget is spent; true when the run is ready.
  bool step(StepBudget& budget);

  /// The last entry of the stretch. Requires: step() returned true.
  [[nodiscard]] const BufferEntry& last_entry() const noexcept { return *last_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return 2 * RefArray::bytes_for(count_); }

  /// Requires: step() returned true; once.
  [[nodiscard]] SortedRun take();

 private:
  // Segments up to this size are sorted by std::sort at once: a radix pass costs 256 counters anyway.
  static constexpr std::size_t kSmallSegment = 128;
  static constexpr std::size_t kPrefetchAhead = 12;
  static constexpr std::size_t kRefsPerPage = 4096 / sizeof(SortedRef);
  static constexpr std::size_t kDigits = 8;
  static constexpr std::size_t kDigitValues = 256;
  static constexpr std::size_t kNoTable = ~std::size_t{0};
  static constexpr std::size_t kLengthClasses = 10;  // 0..8 bytes left after the depth, and more

  enum class Kind : std::uint8_t {
    tables,   // heads are table ids: sort by them, then each table by its keys
    keys,     // sort by the 8 bytes after `depth` and what they share after it
    lengths,  // heads are equal: order by length up to depth + 8; the longer ones become `keys`
    restore,  // set all heads to `head`
  };

  struct Task {
    Kind kind;
    std::uint32_t depth;
    std::size_t begin;
    std::size_t end;
    std::uint64_t head;
    std::size_t table;  // index of the range whose prefix this task finds, or kNoTable
  };

  enum class Phase : std::uint8_t {
    walk,          // gather the refs from the arena
    prefix,        // find what the keys of the segment share
    heads,         // take new heads
    count_digits,  // histograms of all digits at once
    scatter,       // one stable pass per digit that differs
    copy_back,     // from the scratch array, after an odd number of passes
    groups,        // find equal heads and deal with them
    count_lengths,
    scatter_lengths,
    restore,
    next_task,
  };

  void advance(StepBudget& budget);
  void enter(Phase phase) noexcept;
  void begin_task();
  void walk(std::size_t count);
  void find_prefix(std::size_t count);
  void prefix_found();
  void take_heads(std::size_t count);
  void sort_segment(StepBudget& budget);
  void count_digits(std::size_t count);
  void begin_digit(StepBudget& budget);
  void scatter(std::size_t count);
  void groups(StepBudget& budget);
  void group_found(std::size_t begin, std::size_t end, StepBudget& budget);
  void count_lengths(std::size_t count);
  void lengths_counted();
  void scatter_lengths(std::size_t count);
  void sort_small(std::size_t begin, std::size_t end, StepBudget& budget);
  void push(Kind kind, std::size_t begin, std::size_t end, std::size_t depth, std::uint64_t head, std::size_t table);
  [[nodiscard]] std::size_t length_class(const BufferEntry& entry) const noexcept;
  void prefetch_entry(std::size_t index) const noexcept;

  std::size_t count_;
  const BufferEntry* walk_;  // the next entry to gather
  const BufferEntry* last_;  // the last one gathered
  RefArray refs_array_;
  RefArray scratch_array_;
  SortedRef* refs_;
  SortedRef* scratch_ = nullptr;
  std::vector<TableRange> tables_;
  std::vector<Task> tasks_;

  // The task at work, and where in which pass.
  Task task_{};
  Phase phase_ = Phase::walk;
  std::size_t position_ = 0;
  std::size_t common_bytes_ = 0;
  std::size_t group_ = 0;
  std::size_t digit_ = 0;
  bool in_scratch_ = false;
  std::uint32_t counts_[kDigits][kDigitValues];
  std::size_t next_[kDigitValues];  // where the next ref of each digit value (or length class) goes
};

}  // namespace cambium
