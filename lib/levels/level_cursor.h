// SPDX-License-Identifier: MIT OR Apache-2.0
// The merge of a level store's runs: of each key the newest entry, tombstones left out.
//
// A page of it ends where the page of any run ends: its entries are views of pages that the runs' cursors pin, so
// nothing is copied but the views. Which run is next is decided by the first eight bytes of its key, kept side by side
// in one or two lines of memory: for the few runs a table has, looking at all of them is cheaper than a tree of losers
// that follows pointers. Where the next entries all come from one run they are taken in a row, at one comparison each.
//
// Suspends   seek() and next_page(), on a miss only.
// Lifetime   as TableCursor; it holds the version.
#pragma once

#include <memory>
#include <vector>

#include "cache/page_stream.h"
#include "levels/run_cursor.h"

namespace cambium {

class LevelCursor final : public TableCursor {
 public:
  // For compaction: yields tombstones too (`keep_tombstones`), and tells of the long values that newer entries hide.
  // `streams`: for long scans; nullptr: everything is read through the cache.
  LevelCursor(PageCache& cache, TableStore& trees, StreamBuffers* streams, std::shared_ptr<const TableContent> version,
              std::span<const LevelRun> runs, CursorOptions options, bool keep_tombstones = false);

  Task<Status> seek(Bytes key, bool inclusive) override;
  Task<Status> next_page() override;
  bool try_next_page() override;
  void report_hidden(std::vector<std::pair<PageRun, Generation>>* hidden) noexcept { hidden_ = hidden; }
  std::uint64_t hidden_count() const noexcept { return hidden_count_; }  // entries that newer ones have replaced

 private:
  static constexpr std::size_t kPageEntriesMax = 256;
  static bool exhausted(const RunCursor& run) noexcept { return !run.valid() && !run.at_end(); }
  // What a run has on its current page. In `heads_`, at the same index: the order of its next entry.
  struct Source {
    RunCursor* run;
    const Entry* at;
    const Entry* end;
    const format::EntryKind* kind;
  };
  std::uint64_t head_of(const Entry& entry) const noexcept;
  bool before(std::size_t a, std::size_t b) const noexcept;
  void ask_for_first_pages(Bytes key);
  void show_pages();
  void merge();
  void merge_pages();
  void take(Source& source);
  void advance(std::size_t source) noexcept;
  bool hide_older(std::size_t newest, std::size_t older);
  bool done() const noexcept;

  PageCache& cache_;
  TableStore& trees_;
  std::shared_ptr<const TableContent> version_;
  std::span<const LevelRun> version_runs_;
  bool forward_;
  bool keep_tombstones_;
  std::vector<std::unique_ptr<PageStream>> streams_;  // of the runs
  std::vector<std::unique_ptr<RunCursor>> runs_;      // newest first
  std::vector<Source> sources_;                       // those with entries on their page, newest first
  std::vector<std::uint64_t> heads_;
  std::vector<std::pair<PageRun, Generation>>* hidden_ = nullptr;
  std::uint64_t hidden_count_ = 0;
};

}  // namespace cambium
