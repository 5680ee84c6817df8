// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/wal_replay.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "rt/buffer_arena.h"
#include "space/write_group.h"
#include "wal/log_map.h"
#include "wal/log_window.h"
#include "wal/record_assembler.h"
#include "wal/tail_scan.h"

namespace cambium {
namespace {

using format::kWalBlockBytes;
using format::WalGroupHeader;

constexpr std::size_t kEntriesPerLook = 256;  // how often the clock is asked; an entry takes about 0.1 us

static_assert(LogWindow::kMemoryBytes + kLogMapMemoryBytes <= std::size_t{2} << 20, "one huge page holds it all");

// The extents of the chain, from the start position on.
std::vector<LogExtent> extents_of(const WalLayout& layout, const LogMap& map) {
  std::vector<LogExtent> extents;
  const std::uint64_t start = layout.canonical(layout.start_position);
  std::uint64_t ordinal = layout.ordinal_of(start);
  for (const std::uint32_t first_page : map.chain) {
    const std::uint64_t begin = std::max(start, layout.begin_of(ordinal) + kWalBlockBytes);
    const std::uint64_t skipped = layout.offset_of(begin);
    extents.push_back({begin, wal_file_offset(first_page) + skipped, layout.segment_bytes() - skipped});
    ++ordinal;
  }
  return extents;
}

class Replayer {
 public:
  Replayer(BlockDevice& device, const WalLayout& layout, const LogMap& map, Sequence expected, WalSink& sink,
           LogMemory memory)
      : device_(device),
        layout_(layout),
        expected_(expected),
        sink_(sink),
        window_(device, memory.data, memory.buffer_index, extents_of(layout, map)) {
    result_.end_position = layout.canonical(layout.start_position);
    result_.first_ordinal = layout.ordinal_of(result_.end_position);
  }

  Task<Status> run() {
    Status status = co_await read_groups();
    co_await window_.stop();
    co_return status;
  }
  WalReplay take_result() {
    result_.last_sequence = std::max(seen_, Sequence{raw(expected_) - 1});
    return std::move(result_);
  }

 private:
  Task<Status> read_groups() {
    for (;;) {
      Result<bool> there = co_await find_group();
      if (!there) co_return there.error();
      if (!*there) co_return Status();
      const auto& header = *reinterpret_cast<const WalGroupHeader*>(window_.data());
      assembler_.begin_group(header, window_.data() + format::kWalGroupHeaderBytes);
      Status taken = co_await hand_out();
      if (!taken) co_return taken;
      const std::uint32_t bytes = format::wal_group_bytes(header.payload_bytes);
      ++result_.groups;
      result_.bytes += bytes;
      window_.consume(bytes);
      result_.end_position = window_.position();
    }
  }

  // True when a whole group lies at the window's position, all of it in memory. False at the end of the log.
  Task<Result<bool>> find_group() {
    for (;;) {
      if (window_.available() != 0) {
        const auto& header = *reinterpret_cast<const WalGroupHeader*>(window_.data());
        if (!plausible(header, layout_.log_id, window_.position(), window_.extent_left())) co_return false;
        if (window_.available() >= format::kWalGroupHeaderBytes + std::size_t{header.payload_bytes})
          co_return format::intact_group(window_.data());
      }
      Result<bool> more = co_await window_.more();
      if (!more || !*more) co_return more;
    }
  }

  // Every record that is whole with this group.
  Task<Status> hand_out() {
    WalRecord record;
    for (;;) {
      const RecordAssembler::Step step = assembler_.next(record);
      if (step == RecordAssembler::Step::need_group) co_return Status();
      if (step == RecordAssembler::Step::damaged) co_return damaged(assembler_.problem());
      if (!follows(record)) {
        co_return damaged(rt::str("sequence ", raw(record.first_sequence), " where ", raw(seen_) + 1,
                                  " was to come (the tables end before ", raw(expected_), ")"));
      }
      seen_ = record.last_sequence();
      looked_ += record.entries.size();
      if (looked_ >= kEntriesPerLook) {
        looked_ = 0;
        if (device_.core().over_budget()) co_await device_.core().yield();
      }
      if (seen_ < expected_) continue;  // in the tables already
      while (!sink_.take(record)) {
        Status room = co_await sink_.make_room(record);
        if (!room) co_return room;
      }
      ++result_.records;
      result_.entries += record.entries.size();
    }
  }

  // No record is missing. Before the first one, and after a cut, the tables may have been ahead of the log.
  bool follows(const WalRecord& record) noexcept {
    const bool may_jump = assembler_.take_resumed() || seen_ == Sequence{};
    const Sequence next_seen = next(seen_);
    if (!may_jump) return record.first_sequence == next_seen;
    return record.first_sequence >= next_seen && record.first_sequence <= std::max(next_seen, expected_);
  }

  Status damaged(std::string_view what) const {
    return Error(Errc::corruption,
                 rt::str("the log of ", device_.name(), " is damaged at position ", window_.position(), ", page ",
                         window_.offset() / kPageBytes, ": ", what),
                 "restore the file from a backup; it was not changed");
  }

  BlockDevice& device_;
  const WalLayout& layout_;
  Sequence expected_;
  WalSink& sink_;
  LogWindow window_;
  RecordAssembler assembler_;
  Sequence seen_{};         // the last sequence of the records so far
  std::size_t looked_ = 0;  // entries since the clock was asked
  WalReplay result_;
};

}  // namespace

Task<Result<WalReplay>> replay(BlockDevice& device, const WalLayout& layout, Sequence expected, WalSink& sink) {
  CAMBIUM_ASSERT(raw(expected) != 0);
  co_await check(check_layout(device, layout));
  Result<rt::BufferArena> arena = rt::BufferArena::create(device.core(), LogWindow::kMemoryBytes + kLogMapMemoryBytes);
  if (!arena) co_return arena.error();
  const LogMemory memory{arena->data(), arena->index_of(arena->data(), arena->size())};

  // (1) Which segment is which.
  Result<LogMap> map =
      co_await read_log_map(device, layout, memory.data + LogWindow::kMemoryBytes, memory.buffer_index);
  if (!map) co_return map.error();

  // (2) Every group up to the first place where none stands.
  Replayer replayer(device, layout, *map, expected, sink, memory);
  Status read = co_await replayer.run();
  if (!read) co_return read.error();
  WalReplay result = replayer.take_result();
  result.end_position = layout.canonical(result.end_position);

  // (3) Was it the end? Segments that hold nothing before it are not in use, whatever their headers say.
  const std::uint64_t end = result.end_position;
  const std::uint64_t used = layout.ordinal_of(end) - result.first_ordinal + (layout.offset_of(end) != 0 ? 1 : 0);
  CAMBIUM_ASSERT(used <= map->chain.size());
  result.live_pages.assign(map->chain.begin(), map->chain.begin() + static_cast<std::ptrdiff_t>(used));
  Result<std::vector<std::uint64_t>> stale = co_await scan_tail(device, layout, *map, end, used, memory);
  if (!stale) co_return stale.error();
  result.stale_offsets = std::move(*stale);
  co_return result;
}

Task<Status> erase_tail(BlockDevice& device, const WalReplay& replayed) {
  constexpr std::size_t kSlots = 8;
  Result<rt::BufferArena> arena = rt::BufferArena::create(device.core(), kSlots * kWalBlockBytes);
  if (!arena) co_return arena.error();
  WriteGroup blocks(device, arena->data(), kSlots, kWalBlockBytes, &*arena);
  std::memset(arena->data(), 0, kSlots * kWalBlockBytes);  // every slot stays zero
  for (const std::uint64_t offset : replayed.stale_offsets) {
    const std::size_t slot = co_await blocks.acquire();
    blocks.write(slot, offset, kWalBlockBytes);
  }
  Status erased = co_await blocks.drain();
  if (!erased) co_return erased;
  Status synced = co_await device.sync();
  co_return synced;
}

}  // namespace cambium
