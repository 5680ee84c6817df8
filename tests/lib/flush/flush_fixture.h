// SPDX-License-Identifier: MIT OR Apache-2.0
// What a commit needs, from the device to the flusher, on a simulated disk; and a log of its I/O.
#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cambium/options.h>

#include "flush/flusher.h"
#include "lib/tree/tree_fixture.h"
#include "space/superblock_store.h"

namespace cambium::test {

inline Task<Status> touch_once(Committer& committer) {
  co_await committer.lane().lock();
  MutexGuard lane(committer.lane());
  Status status = co_await committer.touch();
  co_return status;
}

// Applies the changes to one table and commits them, as the flusher does.
inline Task<Status> commit_changes(Publisher& publisher, TableState& table, std::span<const Change> changes,
                                   Sequence sequence) {
  co_await publisher.committer().lane().lock();
  MutexGuard lane(publisher.committer().lane());
  const std::unique_ptr<PageWriter> writer = publisher.writer();
  Result<TableRoot> root = co_await publisher.store_of(table).apply(table.newest(), changes, *writer);
  if (!root) {
    Status failed = co_await publisher.give_up(*writer, root.error());
    co_return failed;
  }
  std::vector<NewRoot> roots;
  roots.push_back({&table, *root});
  Status status = co_await publisher.commit(*writer, roots, sequence);
  co_return status;
}

// The completed I/O of a disk while it lives.
class StepLog {
 public:
  explicit StepLog(SimDisk& disk) : disk_(disk) {
    disk_.on_step([](void* self, const SimStep& step) { static_cast<StepLog*>(self)->steps.push_back(step); }, this);
  }
  StepLog(const StepLog&) = delete;
  StepLog& operator=(const StepLog&) = delete;
  ~StepLog() { disk_.on_step(nullptr, nullptr); }
  std::vector<SimStep> steps;

 private:
  SimDisk& disk_;
};

class FlushFixture {
 public:
  static constexpr std::size_t kSlotBytes = 16 * kPageBytes;
  static constexpr std::size_t kFrames = 128;
  static constexpr std::uint64_t kFilePages = 512;

  FlushFixture()
      : base(kFilePages),
        space(SpaceMap::format(base.device(), kFilePages, kFileId)),
        cache(base.device(), base.arena(), base.memory(kFrames + kFrames / 64 + 1), kFrames, kFileId),
        staging(base.device(), base.memory(4 * 16), 4, kSlotBytes),
        space_staging(base.device(), base.memory(4), 4, kPageBytes),
        superblock_pages(base.memory(format::kSuperblockPages)),
        store(cache),
        committer(base.device(), *space, space_staging, superblock_pages, first_record(), 1),
        buffers(64 * KiB) {
    base.run(touch_once(committer)).value();
    base.run(touch_once(committer)).value();
    views = std::make_unique<Views>(*space, tables, committer.newest());
    publisher = std::make_unique<Publisher>(committer, *space, cache, PageStaging{staging, kSlotBytes}, store, *views,
                                            TableRoot{});
    flusher = std::make_unique<Flusher>(base.core(), buffers, *publisher, tables, *views, snapshots);
  }
  ~FlushFixture() { base.settle(); }

  static format::Superblock first_record() {
    format::Superblock record{};
    record.page.type = format::PageType::superblock;
    record.page.file_id = kFileId;
    record.magic = format::kMagic;
    record.version = format::kFormatVersion;
    record.page_bytes = kPageBytes;
    record.next_table_id = raw(kDefaultTable) + 1;
    return record;
  }

  static Batch batch_of(std::size_t keys, const std::string& value) {
    Batch batch;
    for (std::size_t i = 0; i < keys; ++i) batch["key" + std::to_string(1000 + i)] = value;
    return batch;
  }
  Status commit(const Batch& batch, Sequence through = Sequence{1}) {
    const std::vector<Change> changes = TreeFixture::changes_of(batch);
    return base.run(commit_changes(*publisher, table(), changes, through));
  }
  void put(const std::string& key, const std::string& value) {
    sequence = next(sequence);
    buffers.active().add(kDefaultTable, key, value, WriteKind::put, sequence);
  }
  TableState& table() { return tables.default_table(); }
  LoadedSuperblock on_disk() {
    char* const pages = base.memory(format::kSuperblockPages);
    return base.run(load_superblock(base.device(), pages)).value();
  }
  Pairs read(const TableRoot& root) {
    Pairs out;
    base.run(collect(store, cache, root, {}, {}, true, ~std::size_t{0}, out)).value();
    return out;
  }

  DeviceFixture base;
  std::unique_ptr<SpaceMap> space;
  PageCache cache;
  WriteGroup staging;
  WriteGroup space_staging;
  char* superblock_pages;
  TreeStore store;
  Committer committer;
  TableSet tables;
  std::unique_ptr<Views> views;
  SnapshotRegistry snapshots;
  BufferSet buffers;
  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<Flusher> flusher;
  Sequence sequence{0};
};

}  // namespace cambium::test
