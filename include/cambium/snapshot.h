// SPDX-License-Identifier: MIT OR Apache-2.0
// Snapshot: the state of a partition at one moment, for as long as it is held.
//
// Taking one is O(1). It pins the write buffers it needs only until they are flushed, then it is nothing but a
// generation; the pages that only it can see stay allocated.
//
// Lifetime   dropped before the partition is closed.
#pragma once

#include <cstdint>
#include <memory>

#include <cambium/ids.h>
#include <cambium/rt/export.h>

namespace cambium {

class SnapshotState;

class CAMBIUM_EXPORT Snapshot {
 public:
  explicit Snapshot(std::unique_ptr<SnapshotState> state) noexcept;
  Snapshot(Snapshot&& other) noexcept;
  Snapshot& operator=(Snapshot&& other) noexcept;
  ~Snapshot();

  Sequence sequence() const noexcept;           // the last write it sees
  std::uint64_t pinned_bytes() const noexcept;  // file space that would come back if it were dropped

  const SnapshotState& state() const noexcept { return *state_; }

 private:
  std::unique_ptr<SnapshotState> state_;
};

}  // namespace cambium
