// SPDX-License-Identifier: MIT OR Apache-2.0
// What a snapshot or scan holds on to: a view of the tables, and the write buffers whose entries it still needs.
//
// A snapshot sees a write if its sequence is not above the snapshot's. Buffers are looked at newest first, then the
// tables of the view. When a buffer that a registered snapshot needs is flushed, the snapshot's view moves forward and
// the buffer is let go (the flusher splits the flush at the snapshot's sequence): it becomes a plain root.
//
// Invariants
//   1. view + pinned buffers (up to the sequence) is the state at the moment the snapshot was taken, at any time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/wait_queue.h>

#include "base/planted_bug.h"
#include "flush/buffer_set.h"
#include "flush/views.h"

namespace cambium {

struct PinnedBuffer {
  explicit PinnedBuffer(OrderedBuffer& buffer) : ordered(&buffer), pin(buffer.buffer) {}
  OrderedBuffer* ordered;
  BufferPin pin;
};

class SnapshotRegistry;

class SnapshotState {
 public:
  // The state of this moment.
  SnapshotState(Views& views, BufferSet& buffers, Sequence sequence) : view_(views), sequence_(sequence) {
    if (!buffers.active().empty()) buffers_.emplace_back(buffers.active_ordered());
    for (auto it = buffers.frozen().rbegin(); it != buffers.frozen().rend(); ++it) buffers_.emplace_back(**it);
  }
  // A copy to scan with; not registered.
  SnapshotState(const SnapshotState& other)
      : asked_durable(other.asked_durable),
        tables_epoch(other.tables_epoch),
        view_(other.view_),
        buffers_(other.buffers_),
        sequence_(other.sequence_) {}
  SnapshotState& operator=(const SnapshotState&) = delete;
  inline ~SnapshotState();

  Generation generation() const noexcept { return view_.generation(); }
  const ViewRef& view() const noexcept { return view_; }
  const std::vector<PinnedBuffer>& buffers() const noexcept { return buffers_; }  // newest first
  Sequence sequence() const noexcept { return sequence_; }

  const SpaceMap* space = nullptr;  // for Snapshot::pinned_bytes()
  Sequence asked_durable{};         // the newest write of then whose durability was asked for: scans wait for it
  std::uint64_t tables_epoch = 0;   // how many tables had been dropped by then: those dropped later are seen

 private:
  friend class SnapshotRegistry;
  ViewRef view_;
  std::vector<PinnedBuffer> buffers_;
  Sequence sequence_;
  SnapshotRegistry* registry_ = nullptr;
};

class SnapshotRegistry {
 public:
  void add(SnapshotState& snapshot) {
    snapshot.registry_ = this;
    snapshots_.push_back(&snapshot);
  }
  void remove(SnapshotState& snapshot) {
    std::erase(snapshots_, &snapshot);
    ended.wake_all();
  }
  // Was one taken before drop number `epoch`? It still reads the table that was dropped then.
  bool any_before(std::uint64_t epoch) const noexcept {
    return std::any_of(snapshots_.begin(), snapshots_.end(),
                       [&](const SnapshotState* snapshot) { return snapshot->tables_epoch < epoch; });
  }

  // The lowest sequence in (after, last) at which a flush of `buffer` has to stop for a snapshot; else `last`.
  Sequence next_stop(const OrderedBuffer& buffer, Sequence after, Sequence last) const noexcept {
    Sequence stop = last;
    for (const SnapshotState* snapshot : snapshots_) {
      const bool needs = std::any_of(snapshot->buffers_.begin(), snapshot->buffers_.end(),
                                     [&](const PinnedBuffer& pinned) { return pinned.ordered == &buffer; });
      if (needs && snapshot->sequence_ > after && snapshot->sequence_ < stop) stop = snapshot->sequence_;
    }
    return stop;
  }
  // The tables now hold every write up to `flushed`, and `buffer` none below it that they do not.
  void advance(Views& views, const OrderedBuffer& buffer, Sequence flushed) {
    for (SnapshotState* snapshot : snapshots_) {
      if (snapshot->sequence_ < flushed && !CAMBIUM_PLANTED(snapshot_moved_too_far)) continue;
      snapshot->view_ = ViewRef(views);
      const bool done = snapshot->sequence_ == flushed || flushed >= buffer.buffer.last_sequence() ||
                        CAMBIUM_PLANTED(snapshot_buffer_let_go);
      if (done)
        std::erase_if(snapshot->buffers_, [&](const PinnedBuffer& pinned) { return pinned.ordered == &buffer; });
      // Buffers that only hold later writes were pinned for nothing.
      std::erase_if(snapshot->buffers_, [&](const PinnedBuffer& pinned) {
        return pinned.ordered->buffer.first_sequence() > snapshot->sequence_;
      });
    }
  }
  std::size_t count() const noexcept { return snapshots_.size(); }

  rt::WaitQueue ended;  // one of them

 private:
  std::vector<SnapshotState*> snapshots_;
};

inline SnapshotState::~SnapshotState() {
  if (registry_ != nullptr) registry_->remove(*this);
}

}  // namespace cambium
