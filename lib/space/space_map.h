// SPDX-License-Identifier: MIT OR Apache-2.0
// The space of a partition's file: allocates runs of pages, takes freed ones back when nobody can see them, grows and
// shrinks the file, and writes its bitmaps with each commit.
//
// Sits between the page writer and the commit protocol (callers) and the block device (callee). The bookkeeping is
// synchronous; only growing and writing the bitmaps suspend.
//
// Invariants
//   1. A page is used, held (freed, but visible to a live generation) or free, never two of these.
//   2. No page that a live generation can see is allocated.
//   3. Pages beyond file_pages() are never handed out. The file is longer before file_pages() grows; the sync of the
//      commit that first refers to new pages (step 3) makes the length durable with them.
//
// Units      pages of 4 KiB.
// Errors     no_space when neither the file nor the device has room; corruption from load() and free().
// Suspends   load(), grow(), write_changes(), verify_group(), verify_table().
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "format/superblock.h"
#include "space/allocation_group.h"
#include "space/generations.h"
#include "space/write_group.h"

namespace cambium {

// What a commit may take of the free pages: all but the reserve; half of that too, for tombstones, which make room only
// when a merge has dropped them; or all of it, for what gives back at least as much.
enum class SpaceUse : std::uint8_t { ordinary, tombstones, reserve };

class SpaceMap {
 public:
  // The space of a file that has just been made: nothing but superblocks and the first group's own pages.
  static std::unique_ptr<SpaceMap> format(BlockDevice& device, std::uint64_t file_pages, std::uint64_t file_id);
  // The space that a superblock describes. `staging`: whole pages, aligned; as many bitmaps are read at once.
  static Task<Result<std::unique_ptr<SpaceMap>>> load(BlockDevice& device, const format::Superblock& superblock,
                                                      std::span<char> staging);

  // After load(): the generations in the superblock's slots; `other` is 0 when that slot is not valid.
  void opened(Generation newest, unsigned slot, Generation other);

  // Pages for the commit being built: up to `wanted` contiguous pages, at least `least`, low in the file. Errors:
  // no_space when the file has no such run: grow(), or ask for less.
  Result<PageRun> allocate(std::uint32_t wanted, std::uint32_t least);
  // Gives back the unused end of a run allocated for this commit.
  void give_back(PageRun tail);
  // Pages for a commit that comes later, while others come first (compaction): as allocate(), but on the device they
  // stay free until a commit adopts them. A crash before that leaves no trace.
  Result<PageRun> reserve(std::uint32_t wanted, std::uint32_t least);
  void unreserve(PageRun run) noexcept;
  // They belong to the commit being built. Requires: the lane is held.
  void adopt(PageRun run);
  // The commit being built no longer uses these pages, which were written in generation `birth`. Errors: corruption,
  // and nothing changes, when they are not in use or cannot be what they are said to be: the map, or what refers to the
  // pages, is wrong, and from then on nothing more is written (trust()).
  Status free(PageRun run, Generation birth);
  // The same question without freeing: a commit asks it of what it is going to build on, before it allocates anything.
  Status expect_used(PageRun run);
  // Why the map cannot be believed any more; it stays so until the file is opened again.
  const Status& trust() const noexcept { return trust_; }

  // Free pages that only commits may take which give pages back in the end (SpaceUse::reserve): on a full device
  // deletes and compaction must work. A commit of one change takes a path of the table and one of the catalog, far
  // below the minimum; larger ones are cut to fit by who makes them.
  static constexpr std::uint64_t kReservePagesMin = 16;
  static constexpr std::uint64_t kReservePagesMax = 4096;
  std::uint64_t reserve_pages() const noexcept {
    return std::max(std::clamp(file_pages_ / 64, kReservePagesMin, kReservePagesMax),
                    std::min(sstables_reserve_, file_pages_ / 24));
  }
  // There are level stores, with sstables of so many pages: when tombstones have taken their half of the reserve, what
  // is kept of one sstable has to fit the other.
  void reserve_for_sstables(std::uint64_t pages) noexcept { sstables_reserve_ = 3 * pages; }
  // Makes the file at least `pages` longer, its space allocated. Errors: no_space, io.
  Task<Status> grow(std::uint64_t pages);
  // No page at or beyond this is allocated (compaction); kFilePagesMax lifts the limit.
  void set_ceiling(std::uint64_t page) noexcept {
    ceiling_ = page;
    restart_searches();
  }
  // Drops free pages off the end of the file, down to `pages_min`, from memory only: returns the new file_pages().
  // The caller commits twice, so that both superblocks agree, then cuts the file.
  std::uint64_t shrink_free_tail(std::uint64_t pages_min);

  // Commit step 2: writes the bitmaps and tables that changed into their other slots, and records them in the
  // superblock to be written. The caller syncs.
  Task<Status> write_changes(Generation generation, format::Superblock& superblock, WriteGroup& pages);
  // The commit is durable in `slot`: what was freed by it waits for the generations that still see it.
  void committed(Generation generation, unsigned slot);
  // The commit failed: allocations and frees since the last commit never happened.
  void aborted();

  void retain(Generation generation) { generations_.retain(generation); }
  void release(Generation generation);
  std::uint64_t pinned_pages(Generation generation) const noexcept { return generations_.pinned_pages(generation); }

  std::uint64_t file_pages() const noexcept { return file_pages_; }
  std::uint64_t used_pages() const noexcept { return used_pages_ + kFixedPages; }
  std::uint64_t free_pages() const noexcept { return free_pages_; }
  std::uint64_t held_pages() const noexcept { return file_pages_ - used_pages() - free_pages_; }
  bool used(PageId page) const noexcept;  // false for what lies outside of the groups
  bool held(PageId page) const noexcept;
  // Which pages are in use, a bit for each, from page 0 on: what a checker compares with. Between commits only.
  std::vector<bool> used_pages_map() const;
  // Is the newest copy of a group's bitmap, or of a region's table, on the device what it should be? `staging`:
  // kPageBytes, aligned. Requires: no commit is being built meanwhile.
  Task<Status> verify_group(std::uint32_t group, char* staging);
  Task<Status> verify_table(std::uint32_t region, char* staging);
  std::uint32_t table_count() const noexcept { return static_cast<std::uint32_t>(tables_.size()); }
  std::uint32_t group_count() const noexcept { return static_cast<std::uint32_t>(groups_.size()); }
  // Free pages that only wait for the superblock's other slot to move on.
  std::uint64_t held_by_fallback() const noexcept {
    return generations_.pinned_pages(slot_generation_[1 - newest_slot_]);
  }

 private:
  static constexpr std::uint64_t kFixedPages = format::kSuperblockPages;
  SpaceMap(BlockDevice& device, std::uint64_t file_id) : device_(device), file_id_(file_id) {}
  Task<Status> lengthen(std::uint64_t pages);
  Task<Status> load_tables(const format::Superblock& superblock, std::uint64_t groups, char* staging);
  Task<Status> load_groups(std::uint32_t first, std::uint32_t count, char* staging);
  Status take_group(std::uint32_t group, const char* bitmap);
  Task<Status> load_page(PageId id, format::PageType type, std::uint32_t checksum, char* staging);
  Error damaged(PageId page, std::string_view what) const;
  Status distrust(PageId page, std::string_view what);
  void write_bitmap(std::uint32_t group, Generation generation, char* page) noexcept;
  void write_table(std::uint32_t region, Generation generation, char* page) noexcept;
  void extend_groups(std::uint64_t file_pages);
  void remember_slots();
  void release_runs(const std::vector<PageRun>& runs);
  // Where the next search for runs of a size begins.
  struct Search {
    std::uint32_t group = 0;
    std::uint32_t page = 0;
  };
  static constexpr std::size_t kSizeClasses = 16;
  static_assert(format::kGroupPages < 1u << kSizeClasses);
  Result<PageRun> take_run(std::uint32_t wanted, std::uint32_t least);
  bool search(Search& at, std::uint32_t wanted, std::uint32_t least, PageRun& found);
  void restart_searches() noexcept { std::fill(std::begin(searches_), std::end(searches_), Search{}); }
  AllocationGroup::Run local(PageRun run) const noexcept;
  std::uint32_t usable(std::uint32_t group) const noexcept;
  AllocationGroup& group_at(PageId page) noexcept { return groups_[format::group_of(page)]; }

  struct Table {
    bool dirty = true;
    std::uint32_t slot = 1;
    std::uint32_t checksum = 0;
  };

  BlockDevice& device_;
  std::uint64_t file_id_;
  std::uint64_t file_pages_ = 0;
  std::uint64_t used_pages_ = 0;  // without the superblocks
  std::uint64_t free_pages_ = 0;
  std::vector<AllocationGroup> groups_;
  std::vector<format::GroupRecord> records_;
  std::vector<std::uint32_t> group_slots_on_disk_;  // as of the last commit, also of groups cut off since
  std::vector<Table> tables_;
  Generations generations_;
  Generation slot_generation_[format::kSuperblockSlots] = {};
  unsigned newest_slot_ = 0;
  Search searches_[kSizeClasses] = {};  // per power of two of run length; restarted by every commit
  std::uint64_t ceiling_ = kFilePagesMax;
  std::uint64_t sstables_reserve_ = 0;
  std::vector<PageRun> allocated_;  // by the commit being built
  std::vector<PageRun> freed_;
  std::vector<PageRun> born_and_freed_;
  Status trust_;
};

}  // namespace cambium
