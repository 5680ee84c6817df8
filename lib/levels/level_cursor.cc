// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/level_cursor.h"

#include <algorithm>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "cache/overflow_value.h"

namespace cambium {

LevelCursor::LevelCursor(TableStore& trees, std::shared_ptr<const TableContent> version, std::span<const LevelRun> runs,
                         CursorOptions options, bool keep_tombstones)
    : version_(std::move(version)),
      forward_(options.direction == Direction::forward),
      keep_tombstones_(keep_tombstones) {
  for (const LevelRun& run : runs) runs_.push_back(std::make_unique<RunCursor>(trees, run, options));
}

Task<Status> LevelCursor::seek(Bytes key, bool inclusive) {
  const std::string from = key.str();  // the caller's bytes are good until we suspend
  for (const auto& run : runs_) {
    co_await check(run->seek(from, inclusive));
  }
  merge();
  while (count_ == 0 && !at_end_) {
    co_await check(next_page());
  }
  co_return Status();
}

bool LevelCursor::try_next_page() {
  position_ = count_ = 0;
  while (count_ == 0 && !at_end_) {
    for (const auto& run : runs_) {
      while (exhausted(*run)) {
        if (!run->try_next_page()) return false;
      }
    }
    merge();
  }
  return true;
}

Task<Status> LevelCursor::next_page() {
  position_ = count_ = 0;
  for (const auto& run : runs_) {
    while (exhausted(*run)) {
      co_await check(run->next_page());
    }
  }
  merge();
  co_return Status();
}

bool LevelCursor::done() const noexcept {
  return std::all_of(runs_.begin(), runs_.end(), [](const auto& run) { return !run->valid() && run->at_end(); });
}

void LevelCursor::take(RunCursor& run) {
  const format::EntryKind kind = run.page().kind();
  if (kind != format::EntryKind::tombstone || keep_tombstones_) {
    entries_[count_] = run.page().entry();
    kinds_[count_] = kind;
    has_references_ = has_references_ || kind == format::EntryKind::overflow;
    ++count_;
  }
  run.page().step();
}

void LevelCursor::hide(RunCursor& run) {
  const bool told = hidden_ != nullptr && !CAMBIUM_PLANTED(hidden_value_not_freed);
  if (told && run.page().kind() == format::EntryKind::overflow) {
    const OverflowView value(run.page().entry().value);
    for (std::size_t i = 0; i < value.extent_count(); ++i) hidden_->emplace_back(value.extent(i), value.generation());
    if (CAMBIUM_PLANTED(hidden_value_freed_twice)) hidden_->push_back(hidden_->back());
  }
  run.page().step();
}

// Takes entries until a run has to load its next page: that would take away what this page shows.
void LevelCursor::merge() {
  if (entries_.empty()) {
    entries_.resize(kPageEntriesMax);
    kinds_.resize(kPageEntriesMax);
  }
  position_ = count_ = 0;
  has_references_ = false;
  while (count_ < kPageEntriesMax) {
    RunCursor* first = nullptr;   // on equal keys the newest
    RunCursor* second = nullptr;  // the least of the others
    for (const auto& run : runs_) {
      if (!run->valid()) continue;
      if (first == nullptr) {
        first = run.get();
      } else if (before(run->page().entry().key, first->page().entry().key)) {
        second = std::exchange(first, run.get());
      } else if (second == nullptr || before(run->page().entry().key, second->page().entry().key)) {
        second = run.get();
      }
    }
    if (first == nullptr) break;
    const Bytes key = first->page().entry().key;
    bool ended = false;
    if (second != nullptr && !before(key, second->page().entry().key)) {  // the same key, in older runs
      for (const auto& run : runs_) {
        if (run.get() == first || !run->valid() || run->page().entry().key != key) continue;
        hide(*run);
        ended = ended || exhausted(*run);
      }
      take(*first);
    } else {
      do {
        take(*first);
      } while (count_ < kPageEntriesMax && first->valid() &&
               (second == nullptr || before(first->page().entry().key, second->page().entry().key)));
    }
    if (ended || exhausted(*first)) break;
  }
  at_end_ = done();
}

}  // namespace cambium
