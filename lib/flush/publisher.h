// SPDX-License-Identifier: MIT OR Apache-2.0
// From new table roots to a new generation that everybody sees: catalog rows, commit, publication.
//
// Flusher, compaction and sorted load all end here, each holding the commit lane.
//
// Errors     as Committer::commit(). On an error nothing is published and the writer's pages are given back.
// Suspends   commit(); publication itself is one step without suspension.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

#include "flush/committer.h"
#include "flush/snapshot_state.h"
#include "flush/table_set.h"
#include "flush/table_stores.h"
#include "flush/views.h"
#include "table_store.h"

namespace cambium {

struct NewRoot {
  TableState* table;
  TableRoot root;
};

// What a commit changes in the catalog besides the roots of tables: rows that come, change or go.
struct CatalogEdit {
  struct Row {
    std::string key;
    std::string value;
    bool remove = false;
  };
  std::vector<Row> rows;  // none of a table that gets a root by the same commit
  std::uint32_t next_table_id;
  std::uint64_t features_needed = 0;  // by rows that come
};

// What it takes to build pages: one writer per commit.
struct PageStaging {
  WriteGroup& buffers;
  std::size_t buffer_bytes;
};

class Publisher {
 public:
  static constexpr Generation kNewest{~std::uint64_t{0}};

  Publisher(Committer& committer, SpaceMap& space, PageCache& cache, PageStaging staging, TableStores stores,
            Views& views, TableRoot catalog)
      : committer_(committer),
        space_(space),
        cache_(cache),
        staging_(staging),
        stores_(stores),
        views_(views),
        catalog_(std::move(catalog)) {}

  // Followed by commit() or give_up(), whatever happens.
  std::unique_ptr<PageWriter> writer(SpaceUse use = SpaceUse::ordinary) {
    cache_.version_begins();
    auto writer = std::make_unique<PageWriter>(space_, cache_, staging_.buffers, staging_.buffer_bytes,
                                               committer_.record().page.file_id, committer_.building());
    writer->use(use);
    return writer;
  }
  // Makes the roots, whose pages `writer` holds, the newest version, and the edit, if any, part of it. Requires: the
  // lane is held.
  Task<Status> commit(PageWriter& writer, std::vector<NewRoot>& roots, Sequence sequence,
                      const CatalogEdit* edit = nullptr);
  // Instead of commit(), when building failed.
  Task<Status> give_up(PageWriter& writer, Status cause);
  // Moves the fallback superblock on, if that frees pages: takes the lane.
  Task<Status> release_fallback(bool& released);
  // Moves what the catalog itself has at or beyond `limit` (compaction); part of the commit that follows.
  Task<Status> relocate_catalog(PageId limit, PageWriter& writer);

  // Woken by every commit that was published, and when flushes may go on.
  rt::WaitQueue& published() noexcept { return published_; }
  // How far compaction is behind, as the number of its slices that a flush waits for: so it slows writers down little
  // by little, and only stops them at kStopFlushes.
  static constexpr unsigned kStopFlushes = ~0u;
  void set_flush_toll(unsigned slices) noexcept {
    if (std::exchange(flush_toll_, slices) > slices) published_.wake_all();
  }
  void slice_done() noexcept {
    ++slices_since_flush_;
    published_.wake_all();
  }
  bool flush_may_begin() const noexcept { return flush_toll_ != kStopFlushes && slices_since_flush_ >= flush_toll_; }
  void flush_begins() noexcept { slices_since_flush_ = 0; }

  // A flush has found no space: whatever can give some back is due now.
  void set_short_of_space(bool is_short) noexcept {
    if (!std::exchange(short_of_space_, is_short) && is_short) published_.wake_all();
  }
  bool short_of_space() const noexcept { return short_of_space_; }

  const TableRoot& catalog() const noexcept { return catalog_; }
  TableStore& catalog_store() const noexcept { return stores_.of(TableKind::tree); }
  Committer& committer() noexcept { return committer_; }
  SpaceMap& space() noexcept { return space_; }
  const TableStores& stores() const noexcept { return stores_; }
  TableStore& store_of(const TableState& table) noexcept { return stores_.of(table.kind()); }
  // Brings what the table's store keeps in memory of it there: once after opening, and for a snapshot that is older
  // than the first flush since. Requires: the table stays in place, and the generation live.
  Task<Status> load(TableState& table, Generation generation = kNewest);
  const WriterStats& stats() const noexcept { return stats_; }

 private:
  Task<Result<TableRoot>> write_rows(PageWriter& writer, const std::vector<NewRoot>& roots, const CatalogEdit* edit);

  Committer& committer_;
  SpaceMap& space_;
  PageCache& cache_;
  PageStaging staging_;
  TableStores stores_;
  Views& views_;
  TableRoot catalog_;
  TableRoot moved_catalog_;
  bool catalog_moved_ = false;
  rt::WaitQueue published_;
  unsigned flush_toll_ = 0;
  unsigned slices_since_flush_ = 0;
  bool short_of_space_ = false;
  WriterStats stats_;
};

}  // namespace cambium
