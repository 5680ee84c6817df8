// SPDX-License-Identifier: MIT OR Apache-2.0
// Giving file space back: pages at the end of the file move to free places before it, then the file is cut.
//
// Works in rounds of at most kPagesPerRound pages, each an ordinary commit, so that flushes go on in between and
// readers never notice: what they see stays held until they are done.
#include <algorithm>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "partition/compactor.h"
#include "partition/partition_state.h"

namespace cambium {

Task<Status> PartitionState::compact(double slack, bool shrink_log) {
  co_await check(accepts_writes());
  if (shrink_log && log->writer() != nullptr) {
    co_await committer->lane().lock();
    const MutexGuard lane(committer->lane());
    co_await check(log->shrink(*committer));
  }
  Compactor compactor(*this, slack);
  Status status = co_await compactor.run();
  co_return status;
}

// What snapshots hold does not count: moving things about would not bring it back. What waits only for the fallback
// superblock to move on does.
std::uint64_t Compactor::spare_pages() const noexcept {
  return partition_.space->free_pages() + partition_.space->held_by_fallback();
}
// Measured by what is in use, so that it means the same beside snapshots, however much they hold. A block device has no
// end to cut off.
bool Compactor::excess() const noexcept {
  if (!partition_.device->resizable()) return false;
  return static_cast<double>(spare_pages()) >
         slack_ * static_cast<double>(partition_.space->used_pages()) + kSlackPages;
}
// The length of the file that is aimed at: what has to stay, and a little room.
std::uint64_t Compactor::target_pages() const noexcept {
  const SpaceMap& space = *partition_.space;
  return space.file_pages() - spare_pages() + space.used_pages() / 64 + kSlackPages / 2;
}
// The same for this round.
std::uint64_t Compactor::limit_pages() const noexcept {
  const std::uint64_t now = partition_.space->file_pages();
  const std::uint64_t target = target_pages();
  return target >= now ? target : now - static_cast<std::uint64_t>(static_cast<double>(now - target) * reach_);
}

Task<Status> Compactor::run() {
  // A sorted load that began between two rounds holds the lane until it ends: what is left can wait for another time.
  for (unsigned rounds = 0; excess() && rounds < kRoundsMax && !partition_.loading; ++rounds) {
    Status status = co_await round();
    if (status.code() == Errc::no_space) {
      // Nowhere to move all of that to, for now: an sstable that reaches beyond the limit moves as a whole. Where even
      // little does not fit it is as compact as it gets.
      reach_ /= 2;
      if (reach_ < kReachMin) co_return Status();
      continue;
    }
    if (!status || !progress_) co_return status;
    co_await partition_.core.yield();
  }
  co_return Status();
}

Task<Status> Compactor::round() {
  co_await partition_.committer->lane().lock();
  MutexGuard lane(partition_.committer->lane());
  SpaceMap& space = *partition_.space;
  const std::uint64_t before = space.file_pages();
  // Both superblocks agree after this: pages that only the fallback could see are free.
  co_await check(partition_.committer->touch());
  co_await check(cut_tail());
  progress_ = space.file_pages() < before;
  if (!excess()) co_return Status();

  const std::uint64_t target = limit_pages();
  if (target >= space.file_pages()) co_return Status();
  space.set_ceiling(target);
  Status moved = co_await move_pages(PageId{target});
  space.set_ceiling(kFilePagesMax);
  if (!moved) co_return moved;
  co_await check(partition_.committer->touch());
  co_await check(cut_tail());
  progress_ = progress_ || moved_;
  co_return Status();
}

Task<Status> Compactor::move_pages(PageId limit) {
  moved_ = false;
  Publisher& publisher = *partition_.publisher;
  const std::unique_ptr<PageWriter> writer = publisher.writer(SpaceUse::reserve);
  std::vector<NewRoot> roots;
  std::uint64_t left = kPagesPerRound;
  for (const auto& [id, table] : partition_.tables) {
    // One of many small tables, whose only page is in front of the limit: nothing to be read for it.
    const TableRoot& newest = table->newest();
    const bool one_page = newest.node_pages == 1 && newest.overflow_pages == 0;
    if (newest.height == 0 || (one_page && newest.pointer.id() < limit)) continue;
    bool more = false;
    Result<TableRoot> root = co_await publisher.store_of(*table).relocate(table->newest(), limit, left, *writer, more);
    if (!root) {
      Status failed = co_await publisher.give_up(*writer, root.error());
      co_return failed;
    }
    const std::uint64_t written = writer->stats().pages;
    left = written < kPagesPerRound ? kPagesPerRound - written : 0;
    const bool moved = root->pointer != table->newest().pointer;
    if (moved && !CAMBIUM_PLANTED(compaction_keeps_old_root)) roots.push_back({table.get(), *root});
  }
  Status catalog = co_await publisher.relocate_catalog(limit, *writer);
  if (!catalog) {
    Status failed = co_await publisher.give_up(*writer, catalog);
    co_return failed;
  }
  moved_ = writer->stats().pages + writer->stats().overflow_pages != 0;
  Status committed = co_await publisher.commit(*writer, roots, Sequence{partition_.committer->record().sequence});
  co_return committed;
}

// Drops the free end of the file. Both superblocks say so before the file is cut, so either can be opened.
Task<Status> Compactor::cut_tail() {
  SpaceMap& space = *partition_.space;
  const std::uint64_t before = space.file_pages();
  const std::uint64_t after = space.shrink_free_tail(target_pages());
  if (after == before) co_return Status();
  Status cut;
  if (CAMBIUM_PLANTED(file_cut_too_early)) cut = co_await partition_.device->resize(after * kPageBytes);
  if (!cut) co_return cut;
  co_await check(partition_.committer->touch());
  if (!CAMBIUM_PLANTED(file_cut_under_fallback)) {
    co_await check(partition_.committer->touch());
  }
  cut = co_await partition_.device->resize(after * kPageBytes);
  co_return cut;
}

}  // namespace cambium
