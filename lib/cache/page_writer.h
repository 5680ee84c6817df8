// SPDX-License-Identifier: MIT OR Apache-2.0
// Where the pages of a commit are built and written: contiguous extents, filled once, in large writes.
//
// The builder asks for the next page, fills it in place in a registered staging buffer, and seals it; full buffers go
// to the device while the next one fills. Sixteen scattered pages cost 2.4 times sixteen contiguous ones, so runs of a
// whole buffer are looked for first, and the file rather grows than falls apart while it has little free space.
//
// Invariants
//   1. Pages of one staging buffer are contiguous in the file and leave as one write.
//   2. Nothing is referenced before finish() has returned success.
//
// Units      pages of 4 KiB.
// Errors     no_space (also when only the reserve is left), io: the commit being built is to be aborted (abandon()).
// Suspends   next(), write_value(), settle(), finish(), abandon().
// Lifetime   finish() or abandon() is called before it is destroyed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/result.h>
#include <cambium/rt/semaphore.h>
#include <cambium/rt/task.h>

#include "cache/page_cache.h"
#include "format/overflow_reference.h"
#include "space/space_map.h"
#include "space/write_group.h"

namespace cambium {

struct WriterStats {
  std::uint64_t pages = 0;  // node pages written
  std::uint64_t overflow_pages = 0;
  std::uint64_t writes = 0;  // device writes they took
};

class PageWriter {
 public:
  struct Slot {
    char* data = nullptr;
    PageId id{};
  };

  // `slot_bytes` is the size of one staging buffer.
  PageWriter(SpaceMap& space, PageCache& cache, WriteGroup& staging, std::size_t slot_bytes, std::uint64_t file_id,
             Generation generation) noexcept
      : space_(space),
        cache_(cache),
        staging_(staging),
        slot_pages_(static_cast<std::uint32_t>(slot_bytes / kPageBytes)),
        file_id_(file_id),
        generation_(generation) {}
  PageWriter(const PageWriter&) = delete;
  PageWriter& operator=(const PageWriter&) = delete;
  ~PageWriter();

  // Before the first page: what is built belongs to a commit that is made later, beside others (`lane`: the mutex they
  // share, taken to make the file longer). finish() leaves the pages reserved until adopt() or abandon().
  void build_ahead(Mutex& lane) noexcept { lane_ = &lane; }
  // They are part of the commit that is being built under the lane, and no longer this writer's.
  void adopt();
  // Before the first page: this commit leaves less in use than it found, or leads to that, and may take of the reserve.
  void use(SpaceUse use) noexcept { use_ = use; }

  Task<Result<Slot>> next();
  // From now on the runs of pages that next() hands out are noted here as well; nullptr ends it.
  void track(std::vector<PageRun>* runs) noexcept { tracked_ = runs; }
  // The page is filled: returns its checksum. `keep`: leave a copy in the cache.
  std::uint32_t seal(const Slot& slot, bool keep) noexcept;

  // Writes a long value to extents of its own and appends the OverflowReference to `reference`.
  Task<Status> write_value(Bytes value, std::string& reference);

  // Pages sealed so far are at the device: they may be read back. What is built is not in the cache for certain.
  Task<Status> settle();
  // Everything written, at full length.
  Task<Status> finish();
  Task<void> abandon();

  // The extent to ask for when `left` pages of a long value are left, and the shortest one to take as number `index`:
  // a quarter of that, or what the extents after it could not hold.
  static constexpr std::uint32_t extent_pages_wanted(std::uint32_t left) noexcept {
    return std::min(left, kExtentPagesMax);
  }
  static constexpr std::uint32_t extent_pages_least(std::uint32_t left, std::uint32_t index) noexcept {
    const std::uint32_t later = (static_cast<std::uint32_t>(format::kOverflowExtentsMax) - index - 1) * kExtentPagesMax;
    return std::max({1u, extent_pages_wanted(left) / 4, left > later ? left - later : 0});
  }

  Generation generation() const noexcept { return generation_; }
  std::uint64_t file_id() const noexcept { return file_id_; }
  SpaceMap& space() noexcept { return space_; }
  PageCache& cache() noexcept { return cache_; }
  const WriterStats& stats() const noexcept { return stats_; }

 private:
  static constexpr std::size_t kNoSlot = ~std::size_t{0};
  // What a group can hold.
  static constexpr std::uint32_t kExtentPagesMax = format::kGroupPages - format::kBitmapSlots - format::kTableSlots;
  Task<Result<PageRun>> allocate(std::uint32_t wanted, std::uint32_t least);
  Result<PageRun> take(std::uint32_t wanted, std::uint32_t least);
  Task<Status> grow(std::uint32_t pages);
  void give_back(PageRun tail);
  void note(PageId page);
  void send_slot() noexcept;

  SpaceMap& space_;
  PageCache& cache_;
  WriteGroup& staging_;
  std::uint32_t slot_pages_;
  std::uint64_t file_id_;
  Generation generation_;
  SpaceUse use_ = SpaceUse::ordinary;
  Mutex* lane_ = nullptr;          // building ahead
  std::vector<PageRun> reserved_;  // building ahead
  std::vector<PageRun>* tracked_ = nullptr;
  PageRun run_;  // what is left of the extent being filled
  std::size_t slot_ = kNoSlot;
  std::uint32_t slot_used_ = 0;  // pages in the slot
  PageId slot_first_{};
  WriterStats stats_;
};

}  // namespace cambium
