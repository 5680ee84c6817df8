// SPDX-License-Identifier: MIT OR Apache-2.0
// A bounded number of device writes in flight, each from a slot of one buffer, and the wait for all of them.
//
// Invariants
//   1. A slot belongs to its write until that write has completed at full length.
//   2. The first error sticks: later writes are still waited for, and drain() reports it.
//
// Suspends   acquire(), when every slot is in flight; drain().
// Lifetime   drained before it is destroyed (asserted).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

#include "base/assert.h"
#include "rt/buffer_arena.h"

namespace cambium {

class WriteGroup {
 public:
  // `memory`: slots * slot_bytes, aligned for the device; it lies in `arena`, if that is not null.
  WriteGroup(BlockDevice& device, char* memory, std::size_t slots, std::size_t slot_bytes,
             const rt::BufferArena* arena = nullptr)
      : device_(device),
        memory_(memory),
        slot_bytes_(slot_bytes),
        arena_(arena),
        count_(slots),
        slots_(std::make_unique<Slot[]>(slots)) {
    for (std::size_t i = slots; i != 0; --i) {
      slots_[i - 1].group = this;
      free_.push_back(i - 1);
    }
  }
  WriteGroup(const WriteGroup&) = delete;
  WriteGroup& operator=(const WriteGroup&) = delete;
  ~WriteGroup() { CAMBIUM_ASSERT(in_flight() == 0); }

  // A slot to fill. Every slot acquired is written or returned.
  Task<std::size_t> acquire() {
    while (free_.empty()) co_await freed_.wait();
    const std::size_t slot = free_.back();
    free_.pop_back();
    co_return slot;
  }
  char* data(std::size_t slot) const noexcept { return memory_ + slot * slot_bytes_; }
  void put_back(std::size_t slot) { free_.push_back(slot); }

  void write(std::size_t slot, std::uint64_t offset, std::uint32_t bytes) noexcept {
    ++in_flight_;
    ++writes_;
    Slot& s = slots_[slot];
    s.request = {};
    s.request.io = {.kind = rt::IoKind::write,
                    .buffer_index = rt::BufferArena::index_in(arena_, data(slot), bytes),
                    .bytes = bytes,
                    .offset = offset,
                    .data = data(slot)};
    s.request.done = [](DeviceRequest& request) noexcept {
      auto& done = reinterpret_cast<Slot&>(request);  // the request is its first member
      done.group->completed(done);
    };
    device_.submit(s.request);
  }

  // Waits for everything in flight and reports the first error since the last drain.
  Task<Status> drain() {
    while (in_flight_ != 0) co_await freed_.wait();
    Status status = error_;
    error_ = Status();
    co_return status;
  }

  std::size_t in_flight() const noexcept { return in_flight_; }
  std::uint64_t writes() const noexcept { return writes_; }
  std::size_t slots() const noexcept { return count_; }

 private:
  struct Slot {
    DeviceRequest request;
    WriteGroup* group = nullptr;
  };
  void completed(Slot& slot) noexcept {
    if (slot.request.error != 0 && error_.has_value()) error_ = device_.status_of(slot.request);
    free_.push_back(static_cast<std::size_t>(&slot - slots_.get()));
    --in_flight_;
    freed_.wake_all();
  }

  BlockDevice& device_;
  char* memory_;
  std::size_t slot_bytes_;
  const rt::BufferArena* arena_;
  std::size_t count_;
  std::unique_ptr<Slot[]> slots_;
  std::vector<std::size_t> free_;
  std::size_t in_flight_ = 0;
  std::uint64_t writes_ = 0;
  Status error_;
  rt::WaitQueue freed_;
};

}  // namespace cambium
