// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Walks the keys of one table in a write buffer, in order, in both directions.
//
// Reads a set of sorted runs (OrderedRuns::runs(), or the one run of a frozen buffer) and yields for each
// key, once, the newest version with sequence <= limit. Tombstones are yielded: whoever merges the buffer
// with a table needs them.
//
// Invariants
//   1. The runs are those given at construction: later puts change nothing.
//   2. Each source is positioned on the near side of the current key's versions, in the direction of travel;
//      turning round positions all sources anew (a binary search each).
//   3. Heads of different runs may follow different prefixes; they are compared in depth_, the shortest.
//
// Units      a step is O(runs) plus one prefetched cache miss; versions of a key are skipped by galloping.
//            Keys that have no version below the limit are skipped within one step.
// Errors     none. Only the constructor allocates.
// Lifetime   holds a pin on the buffer and shares the runs. entry() stays valid as long as the buffer is pinned.
#pragma once

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "buffer/buffer_pin.h"
#include "buffer/sorted_run.h"

namespace cambium {

class BufferCursor {
 public:
  /// Positioned nowhere. Requires: the runs cover adjacent stretches of this buffer, oldest first.
  BufferCursor(BufferPin buffer, std::span<const SortedRun> runs, TableId table, Sequence limit);

  // Each positions the cursor and returns valid().
  bool seek_first();
  bool seek_last();
  bool seek(Bytes key);               // the first key >= key
  bool seek_after(Bytes key);         // the first key > key
  bool seek_before(Bytes key);        // the last key < key
  bool seek_at_or_before(Bytes key);  // the last key <= key

  /// To the neighbouring key; returns valid(). Requires: valid(). Past either end the cursor is invalid and
  /// needs a seek.
  bool next();
  bool previous();

  [[nodiscard]] bool valid() const noexcept { return current_ != nullptr; }
  /// Requires: valid().
  [[nodiscard]] const BufferEntry& entry() const noexcept { return *current_; }
  [[nodiscard]] const BufferPin& pin() const noexcept { return buffer_; }

 private:
  struct Source {
    SortedRun run;
    const TableRange* range = nullptr;
    const SortedRef* refs = nullptr;
    std::size_t at = 0;      // forward: the next ref; backward: one past it
    std::uint64_t head = 0;  // of that ref, in depth_; meaningless at the end
  };

  bool seek_from(Bytes key, bool past_equal, bool forward);
  void position_all(Bytes key, bool past_equal, bool forward);
  bool step_forward();
  bool step_backward();
  void set(Source& source, std::size_t at) const noexcept;
  [[nodiscard]] bool at_end(const Source& source) const noexcept {
    return source.at == (forward_ ? source.range->end : source.range->begin);
  }
  [[nodiscard]] const SortedRef& next_ref(const Source& source) const noexcept {
    return source.refs[forward_ ? source.at : source.at - 1];
  }
  [[nodiscard]] const Source* nearest() const noexcept;
  [[nodiscard]] bool has_key(const Source& source, std::uint64_t head, Bytes key) const noexcept;
  [[nodiscard]] const BufferEntry* newest_visible(const Source& source, std::size_t begin,
                                                  std::size_t end) const noexcept;

  BufferPin buffer_;
  std::vector<Source> sources_;  // the runs that have the table, oldest first
  std::size_t depth_ = 0;
  Sequence limit_;
  const BufferEntry* current_ = nullptr;
  bool forward_ = true;
};

}  // namespace cambium
