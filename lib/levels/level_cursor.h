// SPDX-License-Identifier: MIT OR Apache-2.0
// The merge of a level store's runs: of each key the newest entry, tombstones left out.
//
// A page of it ends where the page of any run ends: its entries are views of pages that the runs' cursors pin, so
// nothing is copied but the views. Where the next entries all come from one run they are taken in a row, at one
// comparison each.
//
// Suspends   seek() and next_page(), on a miss only.
// Lifetime   as TableCursor; it holds the version.
#pragma once

#include <memory>
#include <vector>

#include "levels/run_cursor.h"

namespace cambium {

class LevelCursor final : public TableCursor {
 public:
  // For compaction: yields tombstones too (`keep_tombstones`), and tells of the long values that newer entries hide.
  LevelCursor(TableStore& trees, std::shared_ptr<const TableContent> version, std::span<const LevelRun> runs,
              CursorOptions options, bool keep_tombstones = false);

  Task<Status> seek(Bytes key, bool inclusive) override;
  Task<Status> next_page() override;
  bool try_next_page() override;
  void report_hidden(std::vector<std::pair<PageRun, Generation>>* hidden) noexcept { hidden_ = hidden; }

 private:
  static constexpr std::size_t kPageEntriesMax = 256;
  bool before(Bytes a, Bytes b) const noexcept { return forward_ ? a < b : b < a; }
  static bool exhausted(const RunCursor& run) noexcept { return !run.valid() && !run.at_end(); }
  void merge();
  void take(RunCursor& run);
  void hide(RunCursor& run);
  bool done() const noexcept;

  std::shared_ptr<const TableContent> version_;
  bool forward_;
  bool keep_tombstones_;
  std::vector<std::unique_ptr<RunCursor>> runs_;  // newest first
  std::vector<std::pair<PageRun, Generation>>* hidden_ = nullptr;
};

}  // namespace cambium
