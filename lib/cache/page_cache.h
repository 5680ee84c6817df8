// SPDX-License-Identifier: MIT OR Apache-2.0
// The clock-evicted cache of pages, over registered buffers of one core.
//
// Sits between tree and levels (callers) and the block device (callee). A page never changes while it is cached:
// copy-on-write gives new bytes a new id, and a reused id is invalidated before it is written again.
//
// A branch keeps a hint beside each child: the frame in which the child was last seen. A hint is only believed when
// the header in that frame says that it is that page, so hints need no upkeep (326 ns per lookup of a 5 M key tree with
// them, 632 with the hash table alone).
//
// Invariants
//   1. A page is in at most one frame.
//   2. pin count > 0  =>  the frame is not evicted and its bytes do not move.
//   3. At most one read per page is in flight; later callers wait for it.
//   4. A frame is ready only after its bytes matched the checksum that the parent holds, and validate_node().
//
// Units      frames of 4 KiB; memory fixed at construction.
// Errors     io, corruption (page, reason) from the read or from a pointer that leads nowhere.
//            busy when every frame is pinned and none is being read.
// Suspends   fetch() only. Other pages may come and go meanwhile; the returned pin is valid.
// Lifetime   every PageRef is dropped before the cache; the destructor asserts it.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <cambium/ids.h>
#include <cambium/limits.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

#include "base/assert.h"
#include "base/huge_array.h"
#include "cache/page_table.h"
#include "format/child_pointer.h"
#include "format/packed_leaf_page.h"
#include "format/page_header.h"
#include "node/leaf_unpacker.h"
#include "rt/buffer_arena.h"

namespace cambium {

class PageCache;

// A pinned page.
class PageRef {
 public:
  PageRef() noexcept = default;
  PageRef(PageRef&& other) noexcept : cache_(std::exchange(other.cache_, nullptr)), frame_(other.frame_) {}
  PageRef& operator=(PageRef&& other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~PageRef() { reset(); }

  explicit operator bool() const noexcept { return cache_ != nullptr; }
  inline const char* bytes() const noexcept;
  FrameIndex frame() const noexcept { return frame_; }
  inline void reset() noexcept;

 private:
  friend class PageCache;
  PageRef(PageCache& cache, FrameIndex frame) noexcept : cache_(&cache), frame_(frame) {}  // adopts a pin

  PageCache* cache_ = nullptr;
  FrameIndex frame_ = kNoFrame;
};

struct CacheStats {
  std::uint64_t reads = 0;  // pages read from the device
  std::uint64_t evictions = 0;
  std::uint64_t prefetches = 0;     // reads that nobody waited for when they began
  std::uint64_t prefetch_hits = 0;  // of these, pages that were then used
  std::uint64_t hint_misses = 0;    // children found through the hash table
  std::uint64_t inserted = 0;       // pages put in by the flusher
};

class PageCache {
 public:
  // `memory` lies in `arena`: frames * kPageBytes.
  PageCache(BlockDevice& device, const rt::BufferArena& arena, char* memory, std::size_t frames, std::uint64_t file_id);
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;
  ~PageCache();
  // The superblock tells it, and it is read when the memory is there. Requires: no page was fetched yet.
  void set_file_id(std::uint64_t file_id) noexcept { file_id_ = file_id; }

  // ---- hits: plain calls, nothing suspends -----------------------------------------------------------------------

  // The frame of a page that is there and ready, or kNoFrame.
  FrameIndex find(PageId page) const noexcept {
    const FrameIndex frame = table_.find(raw_page(page));
    return frame != kNoFrame && meta_[frame].state == State::ready ? frame : kNoFrame;
  }
  // Cached because somebody wanted it, not merely read ahead.
  bool resident(PageId page) const noexcept {
    const FrameIndex frame = find(page);
    return frame != kNoFrame && !meta_[frame].prefetched;
  }
  // Is what the frame holds the node that the pointer means? Two pointers that disagree about a page occur in forged
  // files only, but a branch taken for a leaf would be read outside of its bytes: every way to a frame asks this.
  bool meant(FrameIndex frame, const format::ChildPointer& pointer, unsigned level) const noexcept {
    const format::PageHeader& header = format::header_of(bytes(frame));
    return header.checksum == pointer.checksum && format::level_fits(header.level, level);
  }
  // The frame of the node that the pointer means; kNoFrame also when something else is there: fetch() says what.
  FrameIndex find(const format::ChildPointer& pointer, unsigned level) const noexcept {
    const FrameIndex frame = find(pointer.id());
    return frame != kNoFrame && meant(frame, pointer, level) ? frame : kNoFrame;
  }
  // The same through a hint that the caller keeps and this call updates.
  FrameIndex find(const format::ChildPointer& pointer, unsigned level, FrameIndex& hint) noexcept {
    if (hint < count_ && right({pointer.page, hint}, level) && meant(hint, pointer, level)) [[likely]]
      return hint;
    const FrameIndex frame = find(pointer, level);
    if (frame != kNoFrame) hint = frame;
    return frame;
  }
  // Where a child was last seen. It names the page as well, so that the branch's own pointer need not be read.
  struct Hint {
    std::uint32_t page = 0;
    FrameIndex frame = kNoFrame;
  };
  // The hint of the branch in `parent` for its child `index`, while the lines that a search of the child will touch
  // start to load (`leaf` says which); frame = kNoFrame when there is none.
  Hint guess_child(FrameIndex parent, std::size_t index, bool leaf) const noexcept {
    const std::uint32_t block = meta_[parent].hints;
    if (block == kNoHints) [[unlikely]]
      return {};
    const Hint hint = hints_[std::size_t{block} * kHintsPerBlock + index];
    if (hint.frame >= count_ || outdated(hint)) [[unlikely]]
      return {};
    prefetch_lines(bytes(hint.frame), leaf ? kLeafLines : kBranchLines);
    if (leaf) __builtin_prefetch(&meta_[hint.frame]);
    return hint;
  }
  // Is the hint right? The page's own header tells, in a line that is needed next anyway: it is cleared before other
  // bytes are read into the frame. While reads are in flight the frame's own record is asked first: a page that comes
  // back to a frame it was in before shows its header before the rest of it has arrived, and before it was verified;
  // and where pages come and go, most hints are wrong, and the header would be a miss for nothing.
  bool right(Hint hint, unsigned level) const noexcept {
    if (hint.frame == kNoFrame || outdated(hint)) return false;
    const format::PageHeader& header = format::header_of(bytes(hint.frame));
    return header.page_id == hint.page && format::level_fits(header.level, level);
  }
  // The frame of a child through the hash table; teaches the branch where it is. kNoFrame also when what is there is
  // not what the branch promises (validate_child): hints, which skip this, only ever lead to children that were asked.
  FrameIndex find_child(FrameIndex parent, std::size_t index, const format::ChildPointer& pointer,
                        unsigned level) noexcept {
    const FrameIndex frame = find(pointer, level);
    return frame != kNoFrame && teach(parent, index, pointer, frame) ? frame : kNoFrame;
  }
  // The second half of it: the child was found in `frame`. False when it is not what the branch promises.
  bool teach(FrameIndex parent, std::size_t index, const format::ChildPointer& pointer, FrameIndex frame) noexcept;
  // Where the child `page` probably is: to be prefetched, not to be believed. A plain look at the hint, without the
  // line of memory that asking the frame would cost; the hash table only where the hint names another page.
  FrameIndex expected_child(FrameIndex parent, std::size_t index, PageId page) const noexcept {
    const std::uint32_t block = meta_[parent].hints;
    if (block != kNoHints) [[likely]] {
      const Hint hint = hints_[std::size_t{block} * kHintsPerBlock + index];
      if (hint.page == raw_page(page) && hint.frame < count_) return hint.frame;
    }
    return find(page);
  }
  void warm_header(FrameIndex frame) const noexcept {
    __builtin_prefetch(&meta_[frame]);
    prefetch_lines(bytes(frame), 1);
  }
  const char* bytes(FrameIndex frame) const noexcept { return memory_ + std::size_t{frame} * kPageBytes; }
  // What the page shows: itself, or the leaves packed in it, which are valid until the next page is asked or loaded.
  node::NodeSpan nodes(FrameIndex frame) noexcept { return unpacker_.nodes(bytes(frame)); }
  node::LeafUnpacker& unpacker() noexcept { return unpacker_; }
  // The visit that a page was read for does not count: only what is asked for again outlives a round of the clock.
  void touch(FrameIndex frame) noexcept {
    FrameMeta& meta = meta_[frame];
    if (meta.used == 0) {
      meta.used = meta.fresh ? 0 : 1;
      meta.fresh = false;
    }
  }
  void touch_branch(FrameIndex frame) noexcept {
    if (meta_[frame].used != kBranchCredit) meta_[frame].used = kBranchCredit;
  }
  PageRef pin(FrameIndex frame) noexcept {
    pin_frame(frame);
    return PageRef(*this, frame);
  }

  // A pin without a PageRef, for values handed out; release_pin() ends it.
  void take_pin(FrameIndex frame) noexcept { pin_frame(frame); }
  void release_pin(FrameIndex frame) noexcept { unpin(frame); }
  // pin() for a page that may have been read ahead: counts the hit.
  PageRef take_prefetched(FrameIndex frame) noexcept {
    count_prefetch_hit(frame);
    return pin(frame);
  }

  // ---- owners: which cached leaves belong to the newest version of a table (tree/key_index.h) ----------------------

  // A lookup in the newest version of `table` has just passed this page. True at the second time since it was read.
  bool own(FrameIndex frame, TableId table) noexcept {
    FrameMeta& meta = meta_[frame];
    if (meta.owner == kRetired) return false;
    meta.owner = raw(table);
    meta.owner_epoch = epoch_;
    return meta.visits < 2 && ++meta.visits == 2;
  }
  // Does the page belong to the newest version of `table`, for certain? What was seen while a version was being built
  // counts until that is published: the page may be one that it replaces.
  bool owned(FrameIndex frame, TableId table) const noexcept {
    const FrameMeta& meta = meta_[frame];
    return meta.owner == raw(table) && ((meta.owner_epoch & 1) == 0 || meta.owner_epoch == epoch_);
  }
  // The version being built does not have this page.
  void disown(PageId page) noexcept {
    const FrameIndex frame = table_.find(raw_page(page));
    if (frame != kNoFrame) meta_[frame].owner = kRetired;
  }
  // Around the building of a version: from the first page it replaces to the moment it becomes the newest one.
  void version_begins() noexcept { epoch_ += building_++ == 0 ? 1u : 2u; }
  void version_ends() noexcept { epoch_ += --building_ == 0 ? 1u : 2u; }
  void warm_leaf(FrameIndex frame) const noexcept {
    __builtin_prefetch(&meta_[frame]);
    prefetch_lines(bytes(frame), kLeafLines);
  }

  // ---- misses ----------------------------------------------------------------------------------------------------

  class FetchAwaiter;
  // Yields Result<PageRef>: ready at once when cached. `level` is what the page's header must say.
  inline FetchAwaiter fetch(const format::ChildPointer& pointer, unsigned level) noexcept;
  // Nothing is being read any more, read-ahead included: the device may be closed.
  Task<void> drained() {
    while (loading_ != 0) co_await drained_.wait();
  }
  // Starts a read that nobody waits for. False when the page is there, on its way, or no frame is free for it.
  bool prefetch(const format::ChildPointer& pointer, unsigned level) noexcept;

  // ---- the flusher -----------------------------------------------------------------------------------------------

  // Puts a copy of a page just built into a frame, if one can be had.
  void insert(PageId page, const char* bytes) noexcept;
  // The page id is about to be written with new bytes: forgets what is cached under it.
  void invalidate(PageId page) noexcept;

  static void prefetch_lines(const char* page, std::size_t lines) noexcept {
    for (std::size_t line = 0; line < lines; ++line) __builtin_prefetch(page + 64 * line);
  }

  // The first lines of an entry: all of one of about a hundred bytes.
  static void prefetch_record(const char* page, std::size_t offset) noexcept {
    for (std::size_t at = offset; at < offset + 192; at += 64) __builtin_prefetch(page + (at & (kPageBytes - 1)));
  }

  BlockDevice& device() noexcept { return device_; }
  std::uint64_t file_id() const noexcept { return file_id_; }
  Core& core() noexcept { return device_.core(); }
  std::size_t frames() const noexcept { return count_; }
  bool has_free_frame() const noexcept { return !free_frames_.empty() || never_used_ != count_; }
  std::size_t pinned() const noexcept { return pinned_; }  // frames with a pin
  std::size_t loading() const noexcept { return loading_; }
  bool mostly_misses() const noexcept { return loading_ >= 4; }  // by what is being read at the moment
  const CacheStats& stats() const noexcept { return stats_; }

 private:
  friend class PageRef;
  enum class State : std::uint8_t { free, loading, ready, orphan };
  static constexpr std::uint32_t kNoHints = ~std::uint32_t{0};
  static constexpr std::size_t kHintsPerBlock = 192;
  static constexpr std::size_t kLeafLines = 4;      // header, heads and slots
  static constexpr std::size_t kBranchLines = 12;   // header and heads
  static constexpr std::uint8_t kBranchCredit = 3;  // rounds of the clock that a used branch survives
  // About one page in a hundred is a branch; blocks for one in thirty-two are plenty.
  static constexpr std::size_t hint_blocks(std::size_t frames) noexcept { return frames / 32 + 16; }
  static std::uint32_t raw_page(PageId page) noexcept { return static_cast<std::uint32_t>(raw(page)); }

  static constexpr std::uint32_t kNoOwner = 0;
  static constexpr std::uint32_t kRetired = ~std::uint32_t{0};

  struct alignas(32) FrameMeta {
    std::uint32_t page = 0;  // 0 unless ready
    std::uint32_t pins = 0;
    std::uint32_t hints = kNoHints;
    std::uint32_t load = 0;  // index of the Load while loading
    std::uint32_t owner = kNoOwner;
    std::uint32_t owner_epoch = 0;
    State state = State::free;
    std::uint8_t used = 0;
    std::uint8_t visits = 0;
    bool prefetched : 1 = false;
    bool fresh : 1 = false;  // read, and not asked for since
  };
  static_assert(sizeof(FrameMeta) == 32, "one line of memory holds it");
  struct Load {
    DeviceRequest request;  // first: its address is the load's
    PageCache* cache = nullptr;
    std::uint32_t index = 0;
    FrameIndex frame = kNoFrame;
    format::ChildPointer pointer;
    unsigned level = 0;
    bool discard = false;  // invalidated while in flight
    FetchAwaiter* waiters = nullptr;
  };

  void count_prefetch_hit(FrameIndex frame) noexcept {
    if (!meta_[frame].prefetched) return;
    meta_[frame].prefetched = false;
    ++stats_.prefetch_hits;
  }
  void pin_frame(FrameIndex frame) noexcept {
    if (meta_[frame].pins++ == 0) ++pinned_;
  }
  void unpin(FrameIndex frame) noexcept {
    CAMBIUM_ASSERT(meta_[frame].pins > 0);
    if (--meta_[frame].pins == 0) unpinned(frame);
  }
  void unpinned(FrameIndex frame) noexcept;
  bool outdated(Hint hint) const noexcept { return loading_ != 0 && meta_[hint.frame].page != hint.page; }
  FrameIndex take_frame() noexcept;
  void warm_victims() const noexcept;
  void clear_frame(FrameIndex frame) noexcept;
  void free_frame(FrameIndex frame) noexcept;
  void drop_hints(FrameIndex frame) noexcept;
  Load& start_load(const format::ChildPointer& pointer, unsigned level, FrameIndex frame, bool ahead) noexcept;
  void loaded(Load& load) noexcept;
  bool join(FetchAwaiter& awaiter) noexcept;  // false: the awaiter has its error
  // Frames that are about to come free: waiting for one is no deadlock.
  bool frames_coming() const noexcept { return loading_ != 0 || handed_out_ != 0; }
  void taken_over() noexcept;
  void pump() noexcept;

  BlockDevice& device_;
  char* memory_;
  std::size_t count_;
  std::uint64_t file_id_;
  const rt::BufferArena& arena_;
  PageTable table_;
  rt::HugeArray<FrameMeta> meta_;
  rt::HugeArray<Hint> hints_;
  std::vector<std::uint32_t> free_hints_;
  std::vector<FrameIndex> free_frames_;
  std::size_t never_used_ = 0;  // frames from here on: nothing of them has been touched, opening is the quicker for it
  std::vector<std::unique_ptr<Load>> loads_;
  std::vector<std::uint32_t> free_loads_;
  std::size_t hand_ = 0;
  std::uint32_t epoch_ = 0;  // odd while a version is being built
  std::uint32_t building_ = 0;
  std::size_t pinned_ = 0;
  std::size_t loading_ = 0;
  std::size_t handed_out_ = 0;  // pages delivered to fetches that have not been resumed yet
  rt::Timer retry_;             // looks after waiters when the last of those has been
  rt::WaitQueue drained_;
  FetchAwaiter* frame_waiters_ = nullptr;  // in order of coming
  FetchAwaiter* frame_waiters_tail_ = nullptr;
  node::LeafUnpacker unpacker_;  // of whoever looks at packed leaves on this core
  CacheStats stats_;
};

class PageCache::FetchAwaiter {
 public:
  FetchAwaiter(PageCache& cache, const format::ChildPointer& pointer, unsigned level) noexcept
      : cache_(cache), pointer_(pointer), level_(level) {}
  FetchAwaiter(const FetchAwaiter&) = delete;
  FetchAwaiter& operator=(const FetchAwaiter&) = delete;
  ~FetchAwaiter();

  bool await_ready() noexcept;
  bool await_suspend(std::coroutine_handle<> caller) noexcept;
  Result<PageRef> await_resume() noexcept;

 private:
  friend class PageCache;
  void deliver(Status status) noexcept;  // wakes the caller with a pinned frame or an error
  void unlink() noexcept;

  PageCache& cache_;
  format::ChildPointer pointer_;
  unsigned level_;
  FrameIndex frame_ = kNoFrame;
  bool handed_out_ = false;
  Status error_;
  rt::Resumption caller_;
  FetchAwaiter** list_ = nullptr;  // head of the list it is linked into
  FetchAwaiter* next_ = nullptr;
};

inline PageCache::FetchAwaiter PageCache::fetch(const format::ChildPointer& pointer, unsigned level) noexcept {
  return FetchAwaiter(*this, pointer, level);
}

// fetch() as a Task, for check().
inline Task<Result<PageRef>> fetch_page(PageCache& cache, format::ChildPointer pointer, unsigned level) {
  Result<PageRef> page = co_await cache.fetch(pointer, level);
  co_return page;
}

inline const char* PageRef::bytes() const noexcept { return cache_->bytes(frame_); }
inline void PageRef::reset() noexcept {
  if (cache_ != nullptr) std::exchange(cache_, nullptr)->unpin(frame_);
}

}  // namespace cambium
