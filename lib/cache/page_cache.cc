// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_cache.h"

#include <algorithm>
#include <cstring>

#include "base/planted_bug.h"
#include "base/text.h"
#include "cache/page_reader.h"
#include "format/page_header.h"
#include "format/space_page.h"
#include "node/node_view.h"

namespace cambium {

PageCache::PageCache(BlockDevice& device, const rt::BufferArena& arena, char* memory, std::size_t frames,
                     std::uint64_t file_id)
    : device_(device),
      memory_(memory),
      count_(frames),
      file_id_(file_id),
      arena_(arena),
      table_(frames),
      meta_(rt::HugeArray<FrameMeta>::zeroed(frames)),
      hints_(rt::HugeArray<Hint>::zeroed(hint_blocks(frames) * kHintsPerBlock)) {
  CAMBIUM_ASSERT(frames >= 8 && frames < kNoFrame);
  for (std::size_t i = hint_blocks(frames); i != 0; --i) free_hints_.push_back(static_cast<std::uint32_t>(i - 1));
  free_frames_.reserve(frames);
}

PageCache::~PageCache() { CAMBIUM_ASSERT(loading_ == 0 && pinned_ == 0 && frame_waiters_ == nullptr); }

// ---- frames -------------------------------------------------------------------------------------------------------

FrameIndex PageCache::take_frame() noexcept {
  if (!free_frames_.empty()) {
    const FrameIndex frame = free_frames_.back();
    free_frames_.pop_back();
    return frame;
  }
  if (never_used_ != count_) {
    const auto frame = static_cast<FrameIndex>(never_used_++);
    meta_[frame] = FrameMeta{};
    return frame;
  }
  // Second chance: a used frame loses one credit per visit; a branch comes with more credits than a leaf.
  for (std::size_t visits = (kBranchCredit + 1) * count_; visits != 0; --visits) {
    const auto frame = static_cast<FrameIndex>(hand_);
    hand_ = hand_ + 1 == count_ ? 0 : hand_ + 1;
    FrameMeta& meta = meta_[frame];
    if (meta.state != State::ready || (meta.pins != 0 && !CAMBIUM_PLANTED(pinned_frame_evicted))) continue;
    if (meta.used != 0) {
      --meta.used;
      continue;
    }
    table_.erase(meta.page);
    ++stats_.evictions;
    clear_frame(frame);
    warm_victims();
    return frame;
  }
  return kNoFrame;
}

// The next frames that the clock comes to: what evicting them touches is near by then.
void PageCache::warm_victims() const noexcept {
  constexpr std::size_t kVictims = 2;
  for (std::size_t i = 0; i < kVictims; ++i) {
    const std::size_t frame = hand_ + i < count_ ? hand_ + i : 0;
    if (meta_[frame].used != 0) continue;
    table_.warm(meta_[frame].page);
    __builtin_prefetch(memory_ + frame * kPageBytes, 1);
  }
}

void PageCache::drop_hints(FrameIndex frame) noexcept {
  if (meta_[frame].hints == kNoHints) return;
  free_hints_.push_back(meta_[frame].hints);
  meta_[frame].hints = kNoHints;
}

void PageCache::clear_frame(FrameIndex frame) noexcept {
  drop_hints(frame);
  meta_[frame] = FrameMeta{};
  format::header_of(memory_ + std::size_t{frame} * kPageBytes).page_id = 0;
}

void PageCache::free_frame(FrameIndex frame) noexcept {
  clear_frame(frame);
  free_frames_.push_back(frame);
}

void PageCache::unpinned(FrameIndex frame) noexcept {
  --pinned_;
  if (meta_[frame].state == State::orphan) free_frame(frame);
  if (frame_waiters_ != nullptr) pump();
}

bool PageCache::teach(FrameIndex parent, std::size_t index, const format::ChildPointer& pointer,
                      FrameIndex frame) noexcept {
  ++stats_.hint_misses;
  if (node::validate_child(node::NodeView(bytes(parent)), index, nodes(frame)) != nullptr) return false;
  FrameMeta& meta = meta_[parent];
  if (meta.hints == kNoHints) {
    if (free_hints_.empty()) return true;
    meta.hints = free_hints_.back();
    free_hints_.pop_back();
    Hint* block = &hints_[std::size_t{meta.hints} * kHintsPerBlock];
    std::fill(block, block + kHintsPerBlock, Hint{});
  }
  hints_[std::size_t{meta.hints} * kHintsPerBlock + index] = {pointer.page, frame};
  return true;
}

// ---- loading ------------------------------------------------------------------------------------------------------

PageCache::Load& PageCache::start_load(const format::ChildPointer& pointer, unsigned level, FrameIndex frame,
                                       bool ahead) noexcept {
  if (free_loads_.empty()) {
    free_loads_.push_back(static_cast<std::uint32_t>(loads_.size()));
    loads_.push_back(std::make_unique<Load>());
    loads_.back()->index = free_loads_.back();
  }
  Load& load = *loads_[free_loads_.back()];
  free_loads_.pop_back();
  load.cache = this;
  load.frame = frame;
  load.pointer = pointer;
  load.level = level;
  load.discard = false;
  load.waiters = nullptr;
  meta_[frame].state = State::loading;
  meta_[frame].load = load.index;
  table_.insert(pointer.page, frame);
  ++loading_;
  ++stats_.reads;

  char* data = memory_ + std::size_t{frame} * kPageBytes;
  load.request = {};
  load.request.io = {.kind = rt::IoKind::read,
                     .gather = ahead,
                     .buffer_index = arena_.index_of(data, kPageBytes),
                     .bytes = kPageBytes,
                     .offset = std::uint64_t{pointer.page} * kPageBytes,
                     .data = data};
  load.request.done = [](DeviceRequest& request) noexcept {
    auto& done = reinterpret_cast<Load&>(request);
    done.cache->loaded(done);
  };
  device_.submit(load.request);
  return load;
}

void PageCache::loaded(Load& load) noexcept {
  const FrameIndex frame = load.frame;
  FetchAwaiter* waiters = std::exchange(load.waiters, nullptr);
  const Status status = load.request.error != 0
                            ? device_.status_of(load.request)
                            : verify_page(device_, bytes(frame), load.pointer, load.level, file_id_, unpacker_);
  --loading_;
  FrameMeta& meta = meta_[frame];
  if (!load.discard && !status) table_.erase(load.pointer.page);
  if (status) {
    meta.state = load.discard ? State::orphan : State::ready;
    meta.page = load.discard ? 0 : load.pointer.page;
    const bool leaf = format::is_leaf_level(load.level);
    meta.used = leaf ? 0 : kBranchCredit;
    meta.fresh = leaf;
  }
  free_loads_.push_back(load.index);
  while (waiters != nullptr) {
    FetchAwaiter* next = waiters->next_;
    waiters->list_ = nullptr;
    if (status) {
      pin_frame(frame);
      waiters->frame_ = frame;
    }
    waiters->deliver(status);
    waiters = next;
  }
  if (!status || (load.discard && meta.pins == 0)) free_frame(frame);
  if (frame_waiters_ != nullptr) pump();
  if (loading_ == 0) drained_.wake_all();
}

bool PageCache::prefetch(const format::ChildPointer& pointer, unsigned level) noexcept {
  if (table_.find(pointer.page) != kNoFrame || loading_ * 4 > count_) return false;
  if (!format::holds_data(pointer.id(), 1, device_.size_bytes() / kPageBytes)) return false;  // fetch() says so
  const FrameIndex frame = take_frame();
  if (frame == kNoFrame) return false;
  const Load& load = start_load(pointer, level, frame, true);
  meta_[load.frame].prefetched = true;
  ++stats_.prefetches;
  return true;
}

bool PageCache::join(FetchAwaiter& awaiter) noexcept {
  FrameIndex frame = table_.find(awaiter.pointer_.page);
  if (frame == kNoFrame) {
    awaiter.error_ = locate_page(device_, awaiter.pointer_);
    if (!awaiter.error_) return false;
    frame = take_frame();
    if (frame == kNoFrame) {
      if (!frames_coming()) {
        awaiter.error_ = Error(Errc::busy, rt::str("all ", count_, " pages of the cache are pinned"),
                               "drop values, scans or snapshots, or raise memory_bytes");
        return false;
      }
      (frame_waiters_tail_ != nullptr ? frame_waiters_tail_->next_ : frame_waiters_) = &awaiter;
      frame_waiters_tail_ = &awaiter;
      awaiter.list_ = &frame_waiters_;
      return true;
    }
    frame = start_load(awaiter.pointer_, awaiter.level_, frame, false).frame;
  }
  Load& load = *loads_[meta_[frame].load];
  awaiter.next_ = load.waiters;
  awaiter.list_ = &load.waiters;
  load.waiters = &awaiter;
  return true;
}

// A frame may have come free: lets the first of those who wait for one go on.
void PageCache::pump() noexcept {
  while (frame_waiters_ != nullptr) {
    FetchAwaiter& first = *frame_waiters_;
    const FrameIndex known = table_.find(first.pointer_.page);
    const bool there = known != kNoFrame && meta_[known].state == State::ready;
    if (known == kNoFrame && free_frames_.empty()) {
      const FrameIndex frame = take_frame();
      if (frame != kNoFrame) {
        free_frames_.push_back(frame);
      } else if (frames_coming()) {
        return;
      }
    }
    first.unlink();
    if (there) {
      pin_frame(known);
      first.frame_ = known;
      first.deliver(Status());
    } else if (!join(first)) {
      first.deliver(first.error_);
    }
  }
}

// A fetch has been resumed and is about to look at its page, which most give back at once: only if it did not, and no
// other frame is coming, are those who still wait told that everything is pinned.
void PageCache::taken_over() noexcept {
  if (--handed_out_ != 0 || frame_waiters_ == nullptr || loading_ != 0 || retry_.armed()) return;
  Core& core = device_.core();
  retry_.arm(core, core.now_ns(), [](void* cache) noexcept { static_cast<PageCache*>(cache)->pump(); }, this);
}

// ---- the flusher --------------------------------------------------------------------------------------------------

void PageCache::invalidate(PageId page) noexcept {
  const FrameIndex frame = table_.find(raw_page(page));
  if (frame == kNoFrame) return;
  table_.erase(raw_page(page));
  FrameMeta& meta = meta_[frame];
  meta.page = 0;
  meta.owner = kRetired;
  if (meta.state == State::loading) {
    loads_[meta.load]->discard = true;
  } else if (meta.pins != 0) {
    meta.state = State::orphan;
    drop_hints(frame);
  } else {
    free_frame(frame);
  }
}

void PageCache::insert(PageId page, const char* bytes) noexcept {
  const FrameIndex frame = take_frame();
  if (frame == kNoFrame) return;
  std::memcpy(memory_ + std::size_t{frame} * kPageBytes, bytes, kPageBytes);
  meta_[frame].state = State::ready;
  meta_[frame].page = raw_page(page);
  meta_[frame].used = format::is_leaf_level(format::header_of(bytes).level) ? 1 : kBranchCredit;
  table_.insert(raw_page(page), frame);
  ++stats_.inserted;
}

// ---- FetchAwaiter -------------------------------------------------------------------------------------------------

PageCache::FetchAwaiter::~FetchAwaiter() {
  if (list_ != nullptr) unlink();
  if (handed_out_) cache_.taken_over();
  if (frame_ != kNoFrame) cache_.unpin(frame_);  // delivered, but the caller was destroyed first
}

bool PageCache::FetchAwaiter::await_ready() noexcept {
  const FrameIndex frame = cache_.find(pointer_.id());
  if (frame == kNoFrame) return false;
  cache_.pin_frame(frame);
  frame_ = frame;
  cache_.count_prefetch_hit(frame);
  return true;
}

bool PageCache::FetchAwaiter::await_suspend(std::coroutine_handle<> caller) noexcept {
  caller_.suspend(cache_.device_.core(), caller);
  return cache_.join(*this);
}

Result<PageRef> PageCache::FetchAwaiter::await_resume() noexcept {
  caller_.resumed();
  if (std::exchange(handed_out_, false)) cache_.taken_over();
  if (frame_ == kNoFrame) return error_.error();
  PageRef page(cache_, std::exchange(frame_, kNoFrame));
  if (cache_.meant(page.frame(), pointer_, level_)) [[likely]]
    return page;
  // It came through another pointer to the same page, which says something else about it.
  return verify_page(cache_.device_, page.bytes(), pointer_, level_, cache_.file_id_, cache_.unpacker_).error();
}

void PageCache::FetchAwaiter::deliver(Status status) noexcept {
  error_ = std::move(status);
  if (frame_ != kNoFrame) {
    cache_.count_prefetch_hit(frame_);  // it was on its way when it was asked for
    handed_out_ = true;
    ++cache_.handed_out_;
  }
  caller_.schedule();
}

void PageCache::FetchAwaiter::unlink() noexcept {
  FetchAwaiter* previous = nullptr;
  FetchAwaiter** at = list_;
  while (*at != this) {
    previous = *at;
    at = &(*at)->next_;
  }
  *at = next_;
  if (list_ == &cache_.frame_waiters_ && cache_.frame_waiters_tail_ == this) cache_.frame_waiters_tail_ = previous;
  list_ = nullptr;
  next_ = nullptr;
}

}  // namespace cambium
