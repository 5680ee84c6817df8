// SPDX-License-Identifier: MIT OR Apache-2.0
// Opening, creating and closing a partition. A file that fails to open is not changed.
#include <cstring>

#include <cambium/rt/check.h>

#include "base/hash.h"
#include "base/text.h"
#include "partition/partition_state.h"
#include "space/superblock_store.h"

namespace cambium {

namespace {

constexpr std::uint64_t kFirstFilePages = 64;

}  // namespace

Task<Result<std::unique_ptr<PartitionState>>> PartitionState::open(Core& core, Options options) {
  std::unique_ptr<PartitionState> state(new PartitionState(core));
  state->path = options.path.str();
  state->options = options;
  state->options.path = state->path;
  if (state->path.empty()) co_return Error(Errc::invalid_argument, "the path of the partition is empty");
  state->plan = co_await check(MemoryPlan::of(options));

  Status opened = co_await state->open_device();
  if (!opened) {
    if (state->cache) co_await state->cache->drained();
    if (state->device) state->device->close();
    co_return opened.error();
  }
  state->start_background();
  co_return state;
}

Task<Status> PartitionState::open_device() {
  FileOptions file;
  file.read_only = options.read_only;
  file.direct = options.direct_io;
  file.lock_wait_ms = options.lock_wait_ms;
  file.create = options.mode == OpenMode::create;
  Result<std::unique_ptr<BlockDevice>> opened = co_await FileBlockDevice::open(core, path, file);
  bool created = file.create;
  if (!opened && opened.code() == Errc::not_found && options.mode == OpenMode::open_or_create && !options.read_only) {
    file.create = created = true;
    opened = co_await FileBlockDevice::open(core, path, file);
  }
  if (!opened) co_return opened.error();
  device = std::move(*opened);
  if (device->alignment() > kPageBytes) {
    co_return Error(Errc::unsupported, rt::str(path, " needs an alignment of ", device->alignment(), " bytes"));
  }
  Status ready;
  if (created) {
    ready = co_await create_file();
  } else {
    ready = co_await load_file();
  }
  co_return ready;
}

// One registered arena: cache frames first, so that they share huge pages, then staging.
Status PartitionState::build_memory(std::uint64_t file_id) {
  Result<rt::BufferArena> made = rt::BufferArena::create(core, plan.arena_bytes());
  if (!made) return made.error();
  arena.emplace(std::move(*made));
  char* at = arena->data();
  cache = std::make_unique<PageCache>(*device, *arena, at, plan.cache_frames, file_id);
  at += plan.cache_frames * kPageBytes;
  const std::size_t staging_bytes = plan.staging_bytes * plan.staging_buffers;
  staging = std::make_unique<WriteGroup>(*device, at, plan.staging_buffers, plan.staging_bytes,
                                         arena->index_of(at, staging_bytes));
  at += staging_bytes;
  space_staging = std::make_unique<WriteGroup>(*device, at, plan.space_pages, kPageBytes,
                                               arena->index_of(at, plan.space_pages * kPageBytes));
  trees = std::make_unique<TreeStore>(*cache);
  buffers = std::make_unique<BufferSet>(plan.buffer_bytes);
  return {};
}

Task<Status> PartitionState::create_file() {
  const std::uint64_t file_id = rt::hash64(path.data(), path.size(), static_cast<std::uint64_t>(core.now_ns()));
  co_await check(build_memory(file_id));
  Status sized = co_await device->resize(kFirstFilePages * kPageBytes);
  if (!sized) co_return sized;
  space = SpaceMap::format(*device, kFirstFilePages, file_id);

  format::Superblock record{};
  record.page.type = format::PageType::superblock;
  record.page.generation = 0;
  record.page.file_id = file_id;
  record.magic = format::kMagic;
  record.version = format::kFormatVersion;
  record.page_bytes = kPageBytes;
  record.next_table_id = raw(kDefaultTable) + 1;
  char* superblock_pages = arena->data() + (plan.arena_bytes() - format::kSuperblockPages * kPageBytes);
  committer = std::make_unique<Committer>(*device, *space, *space_staging, superblock_pages, record, 1);
  co_await check(committer->touch());  // generation 1, slot 0
  co_await check(committer->touch());  // generation 2, slot 1: both slots are valid from the start
  views = std::make_unique<Views>(*space, tables, committer->newest());
  publisher = std::make_unique<Publisher>(*committer, *space, *cache, PageStaging{*staging, plan.staging_bytes}, *trees,
                                          *views, TableRoot{});
  co_return Status();
}

Task<Status> PartitionState::load_file() {
  // The superblock decides the file id that the cache checks pages against, so it is read before the cache exists.
  co_await check(build_memory(0));
  char* superblock_pages = arena->data() + (plan.arena_bytes() - format::kSuperblockPages * kPageBytes);
  LoadedSuperblock loaded = co_await check(load_superblock(*device, superblock_pages));
  superblock_damaged = loaded.damaged;
  cache = std::make_unique<PageCache>(*device, *arena, arena->data(), plan.cache_frames, loaded.record.page.file_id);
  trees = std::make_unique<TreeStore>(*cache);
  space = co_await check(SpaceMap::load(*device, loaded.record, superblock_pages));
  committer =
      std::make_unique<Committer>(*device, *space, *space_staging, superblock_pages, loaded.record, loaded.slot);
  space->opened(Generation{loaded.record.page.generation}, loaded.slot, loaded.other);
  last_sequence = Sequence{loaded.record.sequence};
  co_await check(load_catalog(loaded.record));
  // Generation advances at every open, so that an aborted commit of the last run and its retry never share one. Only
  // now: everything that can make opening fail has been looked at.
  if (!options.read_only) {
    co_await check(committer->touch());
  }
  views = std::make_unique<Views>(*space, tables, committer->newest());
  TableRoot catalog;
  catalog.pointer = loaded.record.catalog;
  catalog.height = loaded.record.catalog_height;
  catalog.node_pages = loaded.record.catalog_pages;
  publisher = std::make_unique<Publisher>(*committer, *space, *cache, PageStaging{*staging, plan.staging_bytes}, *trees,
                                          *views, catalog);
  co_return Status();
}

Task<Status> PartitionState::load_catalog(const format::Superblock& record) {
  if (record.catalog_height == 0) co_return Status();
  TableRoot root;
  root.pointer = record.catalog;
  root.height = record.catalog_height;
  co_await check(space->expect_used({root.pointer.id(), 1}));
  const std::unique_ptr<TableCursor> cursor = trees->cursor(root, {});
  co_await check(cursor->seek(Bytes(), true));
  while (cursor->valid()) {
    if (cursor->kind() != format::EntryKind::value) co_return Error(Errc::corruption, "catalog row out of its page");
    co_await check(read_catalog_row(cursor->entry().key, cursor->entry().value, tables));
    cursor->step();
    if (!cursor->valid() && !cursor->at_end()) {
      co_await check(cursor->next_page());
    }
  }
  // The space map is wrong if it calls a root free; whatever it gave away next might be the tree itself.
  for (const auto& [id, table] : tables) {
    if (table->newest().height == 0) continue;
    co_await check(space->expect_used({table->newest().pointer.id(), 1}));
  }
  co_return Status();
}

void PartitionState::start_background() {
  flusher = std::make_unique<Flusher>(core, *buffers, *publisher, tables, *views, snapshots);
  if (!options.read_only) {
    core.spawn(flusher->run(), Priority::background);
    background_running = true;
  }
  if (options.scrub_mb_per_s != 0) {
    scrubber = std::make_unique<Scrubber>(*device, *publisher, tables, *views, options.scrub_mb_per_s);
    core.spawn(scrubber->run(), Priority::background);
    background_running = true;
  }
}

Task<void> PartitionState::stop_background() {
  if (scrubber) {
    scrubber->stop();
    co_await scrubber->stopped();
  }
  if (!options.read_only) {
    flusher->stop();
    co_await flusher->stopped();
  }
  background_running = false;
}

Task<Status> PartitionState::close() {
  if (snapshots.count() != 0 || scans_open != 0) {
    co_return Error(
        Errc::busy,
        rt::str("partition ", path, " has ", snapshots.count(), " snapshots and ", scans_open, " scans open"),
        "drop them before close()");
  }
  Status flushed;
  if (!options.read_only) {
    flushed = co_await flush({});
  }
  closing = true;
  co_await operations.close();
  co_await stop_background();
  co_await cache->drained();  // a scan that was dropped may have read ahead
  device->close();
  co_return flushed;
}

PartitionState::~PartitionState() {
  CAMBIUM_ASSERT_MSG(!background_running, "close() a partition, or let its destructor hand it to the loop");
}

}  // namespace cambium
