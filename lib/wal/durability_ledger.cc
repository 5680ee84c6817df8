// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/durability_ledger.h"

namespace cambium {

void DurabilityLedger::submit(std::uint64_t end, Sequence last, bool durable) noexcept {
  CAMBIUM_ASSERT(!full() && end > (count_ == 0 ? durable_position_ : runs_[count_ - 1].end));
  CAMBIUM_ASSERT(last >= (count_ == 0 ? durable_sequence_ : runs_[count_ - 1].last));
  runs_[count_++] = {end, last, durable ? State::writing_durably : State::writing};
}

void DurabilityLedger::complete(std::uint64_t end) noexcept {
  std::size_t at = 0;
  while (at < count_ && runs_[at].end != end) ++at;
  CAMBIUM_ASSERT(at < count_);
  Run& run = runs_[at];
  CAMBIUM_ASSERT(run.state == State::writing || run.state == State::writing_durably);
  run.state = run.state == State::writing ? State::written : State::durable;
  settle();
}

void DurabilityLedger::begin_sync() noexcept {
  CAMBIUM_ASSERT(!syncing_);
  syncing_ = true;
  for (std::size_t i = 0; i < count_; ++i) {
    if (runs_[i].state == State::written) runs_[i].state = State::syncing;
  }
}

void DurabilityLedger::end_sync() noexcept {
  CAMBIUM_ASSERT(syncing_);
  syncing_ = false;
  for (std::size_t i = 0; i < count_; ++i) {
    if (runs_[i].state == State::syncing) runs_[i].state = State::durable;
  }
  settle();
}

bool DurabilityLedger::sync_due(Sequence wanted) const noexcept {
  if (syncing_) return false;
  bool some = false;
  Sequence before = durable_sequence_;
  for (std::size_t i = 0; i < count_ && before < wanted; ++i) {
    if (runs_[i].state == State::writing) return false;
    some = some || runs_[i].state == State::written;
    before = runs_[i].last;
  }
  return some;
}

std::uint64_t DurabilityLedger::written_position() const noexcept {
  std::uint64_t position = durable_position_;
  for (std::size_t i = 0; i < count_; ++i) {
    if (runs_[i].state == State::writing || runs_[i].state == State::writing_durably) break;
    position = runs_[i].end;
  }
  return position;
}

void DurabilityLedger::settle() noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const Run run = runs_[i];
    if (kept == 0 && run.state == State::durable) {
      durable_position_ = run.end;
      durable_sequence_ = run.last;
      continue;
    }
    const bool landed = run.state == State::written || run.state == State::syncing || run.state == State::durable;
    if (landed && kept != 0 && runs_[kept - 1].state == run.state) {
      runs_[kept - 1] = run;  // one run that ends where this one does
    } else {
      runs_[kept++] = run;
    }
  }
  count_ = kept;
}

}  // namespace cambium
