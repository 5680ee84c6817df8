// SPDX-License-Identifier: MIT OR Apache-2.0
// Opening, creating and closing a partition. A file that fails to open is not changed.
#include <new>
#include <utility>

#include <cambium/rt/check.h>

#include "base/hash.h"
#include "base/huge_memory.h"
#include "base/text.h"
#include "partition/partition_state.h"
#include "space/creation.h"
#include "space/superblock_store.h"

namespace cambium {

namespace {

// Of the arena, registered when it is first used.
constexpr std::size_t kArenaPiece = rt::kHugePageBytes;

}  // namespace

Task<Result<std::unique_ptr<PartitionState>>> PartitionState::open(Core& core, Options options, Purpose purpose) {
  std::unique_ptr<PartitionState> state(new PartitionState(core));
  CAMBIUM_ASSERT(purpose == Purpose::use || options.read_only);
  state->purpose = purpose;
  state->path = options.path.str();
  state->options = options;
  state->options.path = state->path;
  if (state->path.empty()) co_return Error(Errc::invalid_argument, "the path of the partition is empty");
  if (options.read_only && options.mode == OpenMode::create) {
    co_return Error(Errc::invalid_argument, rt::str("cannot create ", state->path, " read-only"),
                    "open it for writing");
  }
  state->plan = co_await check(MemoryPlan::of(options));

  Status opened = co_await state->open_device();
  if (opened) {
    state->start_background();
    if (!options.read_only) opened = co_await state->start_log();
  }
  if (!opened) {
    if (state->background_running) co_await state->stop_background();
    co_await state->reads_drained();
    if (state->device) state->device->close();
    co_return opened.error();
  }
  co_return state;
}

// Opens or makes the file; true when it is new.
Task<Result<bool>> PartitionState::open_file() {
  FileOptions file;
  file.read_only = options.read_only;
  file.direct = options.direct_io;
  file.lock_wait_ms = options.lock_wait_ms;
  FileOptions made = file;
  made.create = true;
  const bool may_create = options.mode != OpenMode::open && !options.read_only;
  Result<std::unique_ptr<BlockDevice>> opened(Errc::not_found);
  if (options.mode != OpenMode::create) {
    opened = co_await FileBlockDevice::open(core, path, file);
  }
  if (!opened && opened.code() == Errc::not_found && may_create) {
    opened = co_await FileBlockDevice::open(core, path, made);
    if (opened) {
      device = std::move(*opened);
      co_return true;
    }
    if (opened.code() == Errc::exists) {
      // Somebody was faster; or it is what an interrupted creation left, and may be looked at when nobody else has it.
      const Error exists = opened.error();
      if (options.mode == OpenMode::create) file.lock_wait_ms = 0;
      opened = co_await FileBlockDevice::open(core, path, file);
      if (!opened && options.mode == OpenMode::create) co_return exists;
    }
  }
  if (!opened) co_return opened.error();
  device = std::move(*opened);
  co_return false;
}

Task<Status> PartitionState::open_device() {
  const bool fresh = co_await check(open_file());
  if (device->alignment() > kPageBytes) {
    co_return Error(Errc::unsupported, rt::str(path, " needs an alignment of ", device->alignment(), " bytes"));
  }
  co_await check(build_memory());
  bool make = fresh;
  if (!fresh) {
    const bool interrupted = co_await check(creation_interrupted(*device, superblock_pages()));
    make = interrupted && options.mode != OpenMode::open && !options.read_only;
    if (interrupted && !make) {
      co_return Error(Errc::unsupported, rt::str("making the partition ", path, " was interrupted: it holds nothing"),
                      "make it anew: cambium create, or open it with mode=create or mode=open_or_create");
    }
    if (!make && options.mode == OpenMode::create) {
      co_return Error(Errc::exists, rt::str("cannot create ", path, ": it exists already"),
                      "open it instead, or choose another path");
    }
  }
  Status ready;
  if (make) {
    ready = co_await create_file();
  } else {
    ready = co_await load_file();
  }
  co_return ready;
}

char* PartitionState::superblock_pages() noexcept {
  return arena->data() + plan.arena_bytes() - (plan.cache_frames + format::kSuperblockPages) * kPageBytes;
}

// The parts allocate like any container; what the system refuses is an answer to whoever chose the sizes.
Status PartitionState::build_memory() {
  try {
    return map_memory();
  } catch (const std::bad_alloc&) {
    return Error(Errc::resource,
                 rt::str("no memory to open ", path, ": memory_bytes is ", rt::format_bytes(options.memory_bytes),
                         ", a write buffer has ", rt::format_bytes(plan.buffer_bytes)),
                 "lower memory_bytes or write_buffer_bytes, or raise the limit (ulimit -v)");
  }
}

// One arena: staging first, whose parts have sizes of powers of two, the larger ones before the smaller ones, so that
// no transfer crosses two pieces. What every open touches, the pages of superblocks and of the space map, lies beside
// the first frames of the cache.
Status PartitionState::map_memory() {
  Result<rt::BufferArena> made = rt::BufferArena::create(core, plan.arena_bytes(), kArenaPiece);
  if (!made) return made.error();
  arena.emplace(std::move(*made));
  char* at = arena->data();
  const auto group_of = [&](std::uint64_t count, std::uint64_t bytes) {
    return std::make_unique<WriteGroup>(*device, std::exchange(at, at + count * bytes), count, bytes, &*arena);
  };
  staging = group_of(plan.staging_buffers, plan.staging_bytes);
  for (const std::uint64_t count : plan.compaction_buffers) {
    if (count != 0) compaction_staging.push_back(group_of(count, plan.staging_bytes));
  }
  if (plan.wal_groups != 0) {
    log_staging = {at, plan.wal_groups, static_cast<std::uint32_t>(plan.wal_group_bytes), &*arena};
    at += plan.wal_group_bytes * plan.wal_groups;
  }
  if (plan.stream_pieces != 0) {
    streams = std::make_unique<StreamBuffers>(
        *device, at, plan.stream_pieces, static_cast<std::uint32_t>(plan.stream_piece_bytes / kPageBytes), &*arena);
    at += plan.stream_piece_bytes * plan.stream_pieces;
  }
  space_staging = group_of(plan.space_pages, kPageBytes);
  CAMBIUM_ASSERT(at == superblock_pages());
  at += format::kSuperblockPages * kPageBytes;
  cache = std::make_unique<PageCache>(*device, *arena, at, plan.cache_frames, 0);  // see set_file_id()
  trees = std::make_unique<TreeStore>(*cache, TreeStore::Of::tables, streams.get());
  sstables = std::make_unique<TreeStore>(*cache, TreeStore::Of::sstables, streams.get());
  row_cache = std::make_unique<RowCache>(plan.row_index_bytes);
  levels = std::make_unique<LevelStore>(*cache, *sstables, plan.sstable_pages_max(), streams.get(), row_cache.get());
  key_index = std::make_unique<KeyIndex>(*cache, plan.key_index_bytes);
  buffers = std::make_unique<BufferSet>(plan.buffer_bytes, row_cache.get());
  return {};
}

Task<Status> PartitionState::create_file() {
  const std::uint64_t file_id = rt::hash64(path.data(), path.size(), static_cast<std::uint64_t>(core.now_ns()));
  cache->set_file_id(file_id);
  co_await check(begin_creation(*device));
  space = SpaceMap::format(*device, kFirstFilePages, file_id);

  format::Superblock record{};
  record.page.type = format::PageType::superblock;
  record.page.generation = 0;
  record.page.file_id = file_id;
  record.magic = format::kMagic;
  record.version = format::kFormatVersion;
  record.page_bytes = kPageBytes;
  record.next_table_id = raw(kDefaultTable) + 1;
  committer = std::make_unique<Committer>(*device, *space, *space_staging, superblock_pages(), record, 1);
  co_await check(committer->touch());  // generation 1, slot 0
  co_await check(committer->touch());  // generation 2, slot 1: both slots are valid from the start
  co_await check(end_creation(*device));
  views = std::make_unique<Views>(*space, tables, committer->newest());
  publisher = std::make_unique<Publisher>(*committer, *space, *cache, PageStaging{*staging, plan.staging_bytes},
                                          TableStores(*trees, levels.get()), *views, TableRoot{});
  open_log(record);
  co_return Status();
}

void PartitionState::open_log(const format::Superblock& record) {
  const PartitionLog::Plan log_plan{static_cast<std::uint32_t>(plan.wal_segment_bytes / kPageBytes),
                                    plan.wal_segments_max};
  log = std::make_unique<PartitionLog>(*device, *space, *staging, plan.staging_bytes, record, log_plan);
  committer->attach(*log);
}

// The log as the mode wants it: recovered, begun or taken away. The flusher runs.
Task<Status> PartitionState::start_log() {
  if (recovery) {
    co_await check(recovery->finish());
    last_sequence = recovery->replayed().last_sequence;
  }
  const WalPolicy policy{.interval_ms = options.wal == WalMode::batched ? std::max(options.wal_interval_ms, 1u) : 0,
                         .lazy_bytes = options.wal == WalMode::batched ? log_staging.bytes / 2 : 0};
  Status ready;
  if (options.wal == WalMode::none) {
    if (recovery) ready = co_await flush_through(last_sequence);
    if (!ready || !log->exists()) co_return ready;
    co_await committer->lane().lock();
    const MutexGuard lane(committer->lane());
    ready = co_await log->remove(*committer);
  } else if (recovery) {
    log->go_on(recovery->replayed(), log_staging, policy);
  } else {
    co_await committer->lane().lock();
    const MutexGuard lane(committer->lane());
    const std::uint64_t salt =
        committer->record().page.file_id ^ static_cast<std::uint64_t>(core.now_ns()) ^ raw(committer->newest()) << 32;
    ready = co_await log->begin(*committer, salt, last_sequence, log_staging, policy);
  }
  recovery.reset();
  co_return ready;
}

Task<Status> PartitionState::load_file() {
  LoadedSuperblock loaded = co_await check(load_superblock(*device, superblock_pages()));
  superblock_damaged = loaded.damaged;
  cache->set_file_id(loaded.record.page.file_id);
  space =
      co_await check(SpaceMap::load(*device, loaded.record, {space_staging->data(0), plan.space_pages * kPageBytes}));
  committer =
      std::make_unique<Committer>(*device, *space, *space_staging, superblock_pages(), loaded.record, loaded.slot);
  space->opened(Generation{loaded.record.page.generation}, loaded.slot, loaded.other);
  last_sequence = Sequence{loaded.record.sequence};
  co_await check(load_catalog(loaded.record));
  open_log(loaded.record);
  if (log->exists() && !log->clean() && purpose == Purpose::use) {
    recovery = std::make_unique<Recovery>(*this);
    co_await check(recovery->look());
  }
  // Generation advances at every open, so that an aborted commit of the last run and its retry never share one. Only
  // now: everything that can make opening fail has been looked at.
  if (!options.read_only) {
    if (device->size_bytes() == kUnfinishedBytes) {
      co_await check(end_creation(*device));  // its last step was cut off
    }
    // And before anything else is written, bitmaps included: a superblock that the last run left with one bad sector
    // may become whole by chance, when just that sector of this one arrives.
    co_await check(committer->touch());
  }
  views = std::make_unique<Views>(*space, tables, committer->newest());
  TableRoot rows;
  rows.pointer = loaded.record.catalog;
  rows.height = loaded.record.catalog_height;
  rows.node_pages = loaded.record.catalog_pages;
  publisher = std::make_unique<Publisher>(*committer, *space, *cache, PageStaging{*staging, plan.staging_bytes},
                                          TableStores(*trees, levels.get()), *views, rows);
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
    if (table->kind() == TableKind::levels) space->reserve_for_sstables(plan.sstable_pages_max());
    if (raw(id) >= record.next_table_id) {
      co_return Error(Errc::corruption, rt::str("the catalog of ", path, " has a table number that is still to come"));
    }
    if (table->newest().height == 0) continue;
    co_await check(space->expect_used({table->newest().pointer.id(), 1}));
  }
  co_return Status();
}

void PartitionState::start_background() {
  catalog = std::make_unique<Catalog>(*this);
  remover = std::make_unique<TableRemover>(core, *publisher, tables, snapshots);
  flusher = std::make_unique<Flusher>(core, *buffers, *publisher, tables, *views, snapshots);
  if (!options.read_only) {
    core.spawn(flusher->run(), Priority::background);
    core.spawn(remover->run(), Priority::background);
    std::vector<PageStaging> lanes;
    for (const auto& buffers_of_one : compaction_staging) lanes.push_back({*buffers_of_one, plan.staging_bytes});
    keeper = std::make_unique<LevelKeeper>(core, *publisher, tables, *views, *levels, std::move(lanes));
    core.spawn(keeper->run(), Priority::background);
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
    remover->stop();
    co_await remover->stopped();
    flusher->stop();
    co_await flusher->stopped();
    keeper->stop();
    co_await keeper->stopped();
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
    if (flushed) co_await keeper->catch_up();
  }
  closing = true;
  co_await operations.close();
  co_await stop_background();
  Status logged = co_await end_log(flushed.has_value());
  if (flushed) flushed = std::move(logged);
  co_await reads_drained();
  device->close();
  co_return flushed;
}

// A scan that was dropped may have read ahead.
Task<void> PartitionState::reads_drained() {
  if (cache) co_await cache->drained();
  if (streams) co_await streams->drained();
}

// `clean`: the next open need not read the log, if the tables hold everything.
Task<Status> PartitionState::end_log(bool clean) {
  if (!log || log->writer() == nullptr) co_return Status();
  co_await committer->lane().lock();
  const MutexGuard lane(committer->lane());
  const bool in_tables = buffers->empty() && Sequence{committer->record().sequence} == last_sequence;
  Status ended = co_await log->finish(*committer, clean && in_tables);
  co_return ended;
}

PartitionState::~PartitionState() {
  CAMBIUM_ASSERT_MSG(!background_running, "close() a partition, or let its destructor hand it to the loop");
}

}  // namespace cambium
