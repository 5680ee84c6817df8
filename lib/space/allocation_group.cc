// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/allocation_group.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

namespace cambium {

AllocationGroup::AllocationGroup(std::uint32_t limit, std::uint32_t own)
    : limit_(limit), free_pages_(limit), used_(format::kGroupWords), held_(format::kGroupWords) {
  use({0, own});
}

AllocationGroup::AllocationGroup(std::uint32_t limit, const format::GroupBitmapPage& page)
    : dirty(false), limit_(limit), used_(std::begin(page.words), std::end(page.words)), held_(format::kGroupWords) {
  for (const std::uint64_t word : used_) used_pages_ += static_cast<std::uint32_t>(std::popcount(word));
  CAMBIUM_ASSERT(used_pages_ <= limit_);  // the loader has checked that nothing beyond the limit is in use
  free_pages_ = limit_ - used_pages_;
}

AllocationGroup::Run AllocationGroup::find(std::uint32_t from, std::uint32_t end, std::uint32_t wanted,
                                           std::uint32_t least) const noexcept {
  Run run;
  for (std::uint32_t page = from; page < end && run.pages < wanted;) {
    const std::uint64_t busy = (used_[page / 64] | held_[page / 64]) >> (page % 64);
    const std::uint32_t in_word = 64 - page % 64;
    if ((busy & 1) != 0) {  // the run ends here; skip what is busy
      if (run.pages >= least) break;
      run.pages = 0;
      page += std::min<std::uint32_t>(static_cast<std::uint32_t>(std::countr_one(busy)), in_word);
      continue;
    }
    std::uint32_t open = std::min<std::uint32_t>(static_cast<std::uint32_t>(std::countr_zero(busy)), in_word);
    open = std::min(open, end - page);
    if (run.pages == 0) run.first = page;
    run.pages += open;
    page += open;
  }
  if (run.pages < least) return {};
  run.pages = std::min(run.pages, wanted);
  return run;
}

void AllocationGroup::set(Words& words, Run run, bool value, bool expected) noexcept {
  for (std::uint32_t page = run.first; page < run.first + run.pages;) {
    const std::uint32_t bit = page % 64;
    const std::uint32_t bits = std::min(64 - bit, run.first + run.pages - page);
    const std::uint64_t mask = (bits == 64 ? ~std::uint64_t{0} : ((std::uint64_t{1} << bits) - 1)) << bit;
    CAMBIUM_ASSERT((words[page / 64] & mask) == (expected ? mask : 0));
    words[page / 64] = value ? words[page / 64] | mask : words[page / 64] & ~mask;
    page += bits;
  }
}

void AllocationGroup::use(Run run) noexcept {
  CAMBIUM_ASSERT(run.first + run.pages <= limit_);
  set(used_, run, true, false);
  used_pages_ += run.pages;
  free_pages_ -= run.pages;
  dirty = true;
}
void AllocationGroup::hold(Run run) noexcept {
  set(used_, run, false, true);
  set(held_, run, true, false);
  used_pages_ -= run.pages;
  dirty = true;
}
void AllocationGroup::release(Run run) noexcept {
  set(held_, run, false, true);
  free_pages_ += run.pages;
}
void AllocationGroup::unuse(Run run) noexcept {
  set(used_, run, false, true);
  used_pages_ -= run.pages;
  free_pages_ += run.pages;
  dirty = true;
}
void AllocationGroup::unhold(Run run) noexcept {
  set(held_, run, false, true);
  set(used_, run, true, false);
  used_pages_ += run.pages;
  dirty = true;
}

bool AllocationGroup::all_used(Run run) const noexcept {
  if (run.first + run.pages > limit_) return false;
  std::uint32_t page = run.first;
  while (page < run.first + run.pages && used(page)) ++page;
  return page == run.first + run.pages;
}

void AllocationGroup::set_limit(std::uint32_t limit) noexcept {
  CAMBIUM_ASSERT(limit <= format::kGroupPages);
  if (limit < limit_) {
    CAMBIUM_ASSERT(free_tail() >= limit_ - limit);
    free_pages_ -= limit_ - limit;
  } else {
    free_pages_ += limit - limit_;
  }
  limit_ = limit;
}

std::uint32_t AllocationGroup::free_tail() const noexcept {
  std::uint32_t page = limit_;
  while (page > 0 && !used(page - 1) && !held(page - 1)) --page;
  return limit_ - page;
}

void AllocationGroup::write_to(format::GroupBitmapPage& page) const noexcept {
  std::copy(used_.begin(), used_.end(), page.words);
}

}  // namespace cambium
