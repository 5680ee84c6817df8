// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_writer.h"

#include <algorithm>
#include <cstring>

#include <cambium/rt/check.h>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "format/page_header.h"

namespace cambium {

PageWriter::~PageWriter() { CAMBIUM_ASSERT(slot_ == kNoSlot); }

// A whole run where there is one; a shorter one while much of the file is free anyway; otherwise a longer file.
Task<Result<PageRun>> PageWriter::allocate(std::uint32_t wanted, std::uint32_t least) {
  const bool roomy = space_.free_pages() > space_.file_pages() / 3;
  Result<PageRun> run = take(wanted, roomy ? least : std::max(least, wanted / 2));
  if (run) co_return run;
  Status grown = co_await grow(wanted);
  if (grown) {
    run = take(wanted, least);
    co_return run;
  }
  if (grown.code() != Errc::no_space) co_return grown.error();
  run = take(wanted, least);  // the device is full: whatever is left
  if (!run) co_return grown.error();
  co_return run;
}

Task<Status> PageWriter::grow(std::uint32_t pages) {
  Status grown;
  if (lane_ == nullptr) {
    grown = co_await space_.grow(pages);
  } else {  // a commit that is being made must not find groups that its bitmaps do not have
    co_await lane_->lock();
    const MutexGuard guard(*lane_);
    grown = co_await space_.grow(pages);
  }
  co_return grown;
}

// From what this commit may take.
Result<PageRun> PageWriter::take(std::uint32_t wanted, std::uint32_t least) {
  const std::uint64_t reserve = space_.reserve_pages();
  const std::uint64_t kept = use_ == SpaceUse::ordinary ? reserve : use_ == SpaceUse::tombstones ? reserve / 2 : 0;
  const std::uint64_t spare = space_.free_pages() > kept ? space_.free_pages() - kept : 0;
  if (spare < least) return Error(Errc::no_space, "what is free is kept for deletes and compaction", "free some space");
  wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, spare));
  if (lane_ == nullptr) return space_.allocate(wanted, least);
  Result<PageRun> run = space_.reserve(wanted, least);
  if (run) reserved_.push_back(*run);
  return run;
}

Task<Result<PageWriter::Slot>> PageWriter::next() {
  if (slot_ != kNoSlot && (slot_used_ == slot_pages_ || run_.pages == 0)) send_slot();
  if (run_.pages == 0) {
    run_ = co_await check(allocate(slot_pages_, 1));
  }
  if (slot_ == kNoSlot) {
    slot_ = co_await staging_.acquire();
    slot_used_ = 0;
    slot_first_ = run_.first;
  }
  Slot slot{staging_.data(slot_) + std::size_t{slot_used_} * kPageBytes, run_.first};
  ++slot_used_;
  if (tracked_ != nullptr) note(slot.id);
  run_ = {cambium::next(run_.first), run_.pages - 1};
  co_return slot;
}

void PageWriter::note(PageId page) {
  if (!tracked_->empty() && raw(tracked_->back().first) + tracked_->back().pages == raw(page)) {
    ++tracked_->back().pages;
  } else {
    tracked_->push_back({page, 1});
  }
}

std::uint32_t PageWriter::seal(const Slot& slot, bool keep) noexcept {
  const std::uint32_t checksum = format::seal_page(slot.data);
  if (!CAMBIUM_PLANTED(stale_frame_kept)) cache_.invalidate(slot.id);
  if (keep) cache_.insert(slot.id, slot.data);
  ++stats_.pages;
  return checksum;
}

void PageWriter::send_slot() noexcept {
  staging_.write(slot_, raw(slot_first_) * kPageBytes, slot_used_ * static_cast<std::uint32_t>(kPageBytes));
  ++stats_.writes;
  slot_ = kNoSlot;
}

Task<Status> PageWriter::write_value(Bytes value, std::string& reference) {
  const std::uint32_t pages = format::overflow_pages(value.size());
  format::OverflowExtent extents[format::kOverflowExtentsMax];
  std::uint32_t extent_count = 0;
  std::uint32_t checksum = 0;
  std::uint64_t done_bytes = 0;

  for (std::uint32_t left = pages; left != 0;) {
    // One extent if a group can hold it; else as few as there are groups.
    PageRun run = co_await check(allocate(extent_pages_wanted(left), extent_pages_least(left, extent_count)));
    extents[extent_count] = {static_cast<std::uint32_t>(raw(run.first)), run.pages};
    ++extent_count;
    left -= run.pages;
    while (run.pages != 0) {
      const std::uint32_t chunk_pages = std::min(run.pages, slot_pages_);
      const std::size_t slot = co_await staging_.acquire();
      const std::uint64_t chunk_bytes = std::uint64_t{chunk_pages} * kPageBytes;
      const std::uint64_t value_bytes = std::min<std::uint64_t>(chunk_bytes, value.size() - done_bytes);
      char* to = staging_.data(slot);
      std::memcpy(to, value.data() + done_bytes, value_bytes);
      std::memset(to + value_bytes, 0, chunk_bytes - value_bytes);
      checksum = rt::crc32c(to, value_bytes, checksum);
      done_bytes += value_bytes;
      staging_.write(slot, raw(run.first) * kPageBytes, static_cast<std::uint32_t>(chunk_bytes));
      ++stats_.writes;
      run = {PageId{raw(run.first) + chunk_pages}, run.pages - chunk_pages};
    }
  }
  stats_.overflow_pages += pages;
  const format::OverflowReference record{static_cast<std::uint32_t>(value.size()), checksum, raw(generation_)};
  reference.append(reinterpret_cast<const char*>(&record), sizeof record);
  reference.append(reinterpret_cast<const char*>(extents), extent_count * sizeof extents[0]);
  co_return Status();
}

Task<Status> PageWriter::settle() {
  if (slot_ != kNoSlot) send_slot();
  Status written = co_await staging_.drain();
  co_return written;
}

Task<Status> PageWriter::finish() {
  if (slot_ != kNoSlot) send_slot();
  if (run_.pages != 0) give_back(run_);
  run_ = {};
  if (CAMBIUM_PLANTED(sync_before_completion)) co_return Status();
  Status written = co_await staging_.drain();
  co_return written;
}

// The unused end of what was taken last.
void PageWriter::give_back(PageRun tail) {
  if (lane_ == nullptr) {
    space_.give_back(tail);
    return;
  }
  PageRun& last = reserved_.back();
  CAMBIUM_ASSERT(raw(last.first) + last.pages == raw(tail.first) + tail.pages);
  space_.unreserve(tail);
  last.pages -= tail.pages;
  if (last.pages == 0) reserved_.pop_back();
}

void PageWriter::adopt() {
  for (const PageRun& run : reserved_) space_.adopt(run);
  reserved_.clear();
}

Task<void> PageWriter::abandon() {
  if (slot_ != kNoSlot) staging_.put_back(slot_);
  slot_ = kNoSlot;
  run_ = {};
  Status ignored = co_await staging_.drain();  // the commit has failed already, with the first error
  static_cast<void>(ignored);
  for (const PageRun& run : reserved_) space_.unreserve(run);
  reserved_.clear();
}

}  // namespace cambium
