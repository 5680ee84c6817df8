// SPDX-License-Identifier: MIT OR Apache-2.0
// A cursor over one run: its sstables one after the other, each through a cursor of its tree.
//
// Suspends   seek() and next_page(), on a miss only.
// Lifetime   as TableCursor; the run outlives it.
#pragma once

#include <memory>

#include "levels/level_version.h"

namespace cambium {

class RunCursor {
 public:
  RunCursor(TableStore& trees, const LevelRun& run, CursorOptions options) noexcept
      : trees_(trees), run_(run), options_(options) {}

  Task<Status> seek(Bytes key, bool inclusive);
  Task<Status> next_page();
  bool try_next_page();

  bool valid() const noexcept { return cursor_ != nullptr && cursor_->valid() && !below_trim(); }
  // Nothing beyond the current page.
  bool at_end() const noexcept { return ended_ || (cursor_ != nullptr && table_done() && !has_next_table()); }
  TableCursor& page() noexcept { return *cursor_; }
  // The entries of the current page that are part of the run, from the current one on.
  std::span<const Entry> rest() const noexcept;

 private:
  bool forward() const noexcept { return options_.direction == Direction::forward; }
  bool has_next_table() const noexcept { return forward() ? table_ + 1 < run_.tables.size() : table_ > 0; }
  // Backwards, a trimmed sstable ends before its tree does.
  bool below_trim() const noexcept {
    return trimmed_ && cursor_->valid() && cursor_->entry().key < Bytes(run_.tables[table_]->min_key);
  }
  bool table_done() const noexcept { return cursor_->at_end() || below_trim(); }
  Task<Status> open_table(Bytes key, bool inclusive);
  Status named(Status done) const;  // an error says in which sstable it was met

  TableStore& trees_;
  const LevelRun& run_;
  CursorOptions options_;
  std::size_t table_ = 0;
  std::unique_ptr<TableCursor> cursor_;
  bool trimmed_ = false;  // the sstable is, and the direction is reverse
  bool ended_ = false;
};

}  // namespace cambium
