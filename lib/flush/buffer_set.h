// SPDX-License-Identifier: MIT OR Apache-2.0
// The write buffers of a partition: one active, some frozen and waiting to be flushed, some spare.
//
// A spare one is of use all the same: the one flushed last still answers for the keys written last, which often are the
// ones read most; the memory of another holds rows that were read (cache/row_cache.h).
//
// Invariants
//   1. Sequences ascend from the oldest frozen buffer to the active one.
//   2. A buffer is recycled only when nobody references it: values, scans and snapshots pin buffers.
//   3. flushed() holds no key of which an older version is newer elsewhere: nothing was flushed after it.
//   4. What an idle buffer has lent to the cache of rows is withdrawn before anybody writes to it.
//   5. At most kBuffersMax buffers exist, pinned ones included: memory is a hard budget. Only when all of them but the
//      active one are flushed and still pinned by readers is another one made, and given back when they let go.
//
// Errors     throws std::bad_alloc when the system has no memory for the first buffer; without memory for another one
//            writers wait for the flusher.
// Suspends   nothing here; space_freed and frozen_added are what others wait on.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/wait_queue.h>

#include "buffer/buffer_pin.h"
#include "buffer/ordered_runs.h"
#include "buffer/write_buffer.h"
#include "cache/row_cache.h"

namespace cambium {

// A buffer with the order that scans and the flusher build over it.
struct OrderedBuffer {
  explicit OrderedBuffer(std::size_t capacity_bytes) : buffer(capacity_bytes), runs(buffer) {}
  WriteBuffer buffer;
  OrderedRuns runs;
  bool sorting = false;  // one task at a time steps `runs`
  std::span<char> lent;  // of a buffer that is idle: what the cache of rows has of it
  bool idle() const noexcept { return buffer.references() == 0 && !sorting; }
  rt::WaitQueue sorted;
};

class BufferSet {
 public:
  static constexpr std::size_t kBuffersMax = 3;

  // `rows`: to which the memory of idle buffers is lent; may be null.
  explicit BufferSet(std::size_t capacity_bytes, RowCache* rows = nullptr);

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
  // The one flushed last, while its memory was not needed: what it has of a key is the newest below the frozen buffers,
  // or null. Its writes are in the tables.
  WriteBuffer* flushed() noexcept { return flushed_ == nullptr ? nullptr : &flushed_->buffer; }
  // A table changes past the buffers.
  void forget_flushed() noexcept { flushed_ = nullptr; }
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
  OrderedBuffer* make();
  OrderedBuffer* take_spare(bool beyond_budget = false);
  void drop_surplus();
  std::vector<OrderedBuffer*>::iterator least_useful();
  void put_out_of_use(OrderedBuffer& buffer) noexcept;
  void lend_idle();
  static void on_idle(void* self, WriteBuffer& buffer) noexcept;

  std::size_t capacity_bytes_;
  RowCache* rows_;
  std::vector<std::unique_ptr<OrderedBuffer>> buffers_;
  OrderedBuffer* active_ = nullptr;
  OrderedBuffer* flushed_ = nullptr;     // one of retired_
  std::size_t asked_ = 0;                // how often rows had to make way since the last rotation
  std::deque<OrderedBuffer*> frozen_;    // oldest first
  std::vector<OrderedBuffer*> retired_;  // flushed, maybe still pinned
  std::uint64_t range_skips_retired_ = 0;
};

}  // namespace cambium
