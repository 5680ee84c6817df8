// SPDX-License-Identifier: MIT OR Apache-2.0
// The write buffers of a partition: one active, some frozen and waiting to be flushed, some spare.
//
// Invariants
//   1. Sequences ascend from the oldest frozen buffer to the active one.
//   2. A buffer is recycled only when nobody references it: values, scans and snapshots pin buffers.
//   3. At most kBuffersMax buffers exist, pinned ones included: memory is a hard budget. Only when all of them but the
//      active one are flushed and still pinned by readers is another one made, and given back when they let go.
//
// Errors     throws std::bad_alloc when the system has no memory for the first buffer; without memory for another one
//            writers wait for the flusher.
// Suspends   nothing here; space_freed and frozen_added are what others wait on.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/wait_queue.h>

#include "buffer/buffer_pin.h"
#include "buffer/ordered_runs.h"
#include "buffer/write_buffer.h"

namespace cambium {

// A buffer with the order that scans and the flusher build over it.
struct OrderedBuffer {
  explicit OrderedBuffer(std::size_t capacity_bytes) : buffer(capacity_bytes), runs(buffer) {}
  WriteBuffer buffer;
  OrderedRuns runs;
  bool sorting = false;  // one task at a time steps `runs`
  rt::WaitQueue sorted;
};

class BufferSet {
 public:
  static constexpr std::size_t kBuffersMax = 3;

  explicit BufferSet(std::size_t capacity_bytes);

  WriteBuffer& active() noexcept { return active_->buffer; }
  OrderedBuffer& active_ordered() noexcept { return *active_; }
  bool empty() const noexcept { return active_->buffer.empty() && frozen_.empty(); }
  bool has_frozen() const noexcept { return !frozen_.empty(); }
  std::size_t frozen_count() const noexcept { return frozen_.size(); }
  OrderedBuffer& oldest_frozen() noexcept { return *frozen_.front(); }
  const std::deque<OrderedBuffer*>& frozen() const noexcept { return frozen_; }

  // Freezes the active buffer and opens a spare one. False when there is none: wait for space_freed. `beyond_budget`:
  // more of them are made, where nothing can be flushed (a log being recovered by a read-only open).
  bool rotate(bool beyond_budget = false);
  // The oldest frozen buffer is in the tables.
  void drop_oldest();
  // Every write up to here is in a frozen buffer or a table.
  bool active_empty() const noexcept { return active_->buffer.empty(); }

  std::size_t bytes_used() const noexcept;
  std::size_t entries() const noexcept;
  std::uint64_t range_skips() const noexcept;
  std::size_t capacity_bytes() const noexcept { return capacity_bytes_; }

  rt::WaitQueue space_freed;     // writers
  rt::WaitQueue frozen_added;    // the flusher
  rt::WaitQueue frozen_dropped;  // flush()

 private:
  OrderedBuffer* take_spare(bool beyond_budget = false);
  void drop_surplus();
  static void on_idle(void* self, WriteBuffer& buffer) noexcept;

  std::size_t capacity_bytes_;
  std::vector<std::unique_ptr<OrderedBuffer>> buffers_;
  OrderedBuffer* active_ = nullptr;
  std::deque<OrderedBuffer*> frozen_;    // oldest first
  std::vector<OrderedBuffer*> retired_;  // flushed, maybe still pinned
  std::uint64_t range_skips_retired_ = 0;
};

}  // namespace cambium
