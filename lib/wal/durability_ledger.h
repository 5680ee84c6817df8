// SPDX-License-Identifier: MIT OR Apache-2.0
// DurabilityLedger: what of the log is durable, told by what completed before what. Pure: it sees no device.
//
// Group writes are submitted in the order of their positions and complete in any. A durable write (RWF_DSYNC) makes
// its own range durable and nothing else; a sync makes durable what had completed before it was submitted. A position
// is durable when everything before it is.
//
// Invariants
//   1. durable_position() <= written_position(), and both only grow.
//   2. A group in flight when a sync is submitted gains nothing from it.
//   3. At most one sync is in flight.
//
// Units      positions in bytes of the log; sequences: `last` of a group is that of the newest record that ends in or
//            before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <cambium/ids.h>

#include "base/assert.h"

namespace cambium {

class DurabilityLedger {
 public:
  // Everything up to here is durable.
  DurabilityLedger(std::uint64_t position, Sequence sequence) noexcept
      : durable_position_(position), durable_sequence_(sequence) {}

  // Runs of groups that differ in what they wait for. A writer submits no more while it is full.
  bool full() const noexcept { return count_ >= kRunsMax; }

  void submit(std::uint64_t end, Sequence last, bool durable) noexcept;  // Requires: !full()
  void complete(std::uint64_t end) noexcept;                             // of a group submitted
  void begin_sync() noexcept;                                            // Requires: !syncing()
  void end_sync() noexcept;                                              // it succeeded
  void abandon_sync() noexcept { syncing_ = false; }                     // it failed: what it covered is lost

  // Sequences up to this one are durable elsewhere. Requires: everything submitted is durable.
  void skip_to(Sequence sequence) noexcept {
    CAMBIUM_ASSERT(count_ == 0 && sequence >= durable_sequence_);
    durable_sequence_ = sequence;
  }

  // A sync would bring a sequence up to `wanted` nearer: some of it is written and not durable, none of it is on its
  // way by a plain write (which the sync would miss), and no sync is in flight.
  bool sync_due(Sequence wanted) const noexcept;
  bool syncing() const noexcept { return syncing_; }

  std::uint64_t durable_position() const noexcept { return durable_position_; }
  Sequence durable_sequence() const noexcept { return durable_sequence_; }
  std::uint64_t written_position() const noexcept;  // every group before it has completed

 private:
  static constexpr std::size_t kRunsMax = 32;
  enum class State : std::uint8_t { writing, writing_durably, written, syncing, durable };
  struct Run {
    std::uint64_t end;
    Sequence last;
    State state;
  };
  void settle() noexcept;  // joins equal neighbours, and moves the durable position on

  std::array<Run, kRunsMax> runs_{};
  std::size_t count_ = 0;
  std::uint64_t durable_position_;
  Sequence durable_sequence_;
  bool syncing_ = false;
};

}  // namespace cambium
