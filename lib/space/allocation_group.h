// SPDX-License-Identifier: MIT OR Apache-2.0
// One allocation group in memory: which of its 32,256 pages are in use, held for readers, or free. Pure.
//
// `used` is what the next commit writes; `held` marks pages that the next commit no longer uses but that an older
// generation can still see: they are free on disk (after a crash nobody can see them) and not yet for us.
//
// Invariants
//   1. A page is used, held or free; held implies not used.
//   2. free_pages() counts the pages below limit() that are neither.
#pragma once

#include <cstdint>
#include <vector>

#include "format/space_page.h"

namespace cambium {

class AllocationGroup {
 public:
  // `limit` pages of the group exist in the file; `own` at its start belong to the space map.
  AllocationGroup(std::uint32_t limit, std::uint32_t own);
  // The group as a bitmap page says it is.
  AllocationGroup(std::uint32_t limit, const format::GroupBitmapPage& page);

  struct Run {
    std::uint32_t first = 0;
    std::uint32_t pages = 0;
  };
  // The first free run of at least `least` pages within [from, end), cut to `wanted`; pages = 0 when there is none.
  // Requires: end <= limit().
  Run find(std::uint32_t from, std::uint32_t end, std::uint32_t wanted, std::uint32_t least) const noexcept;

  void use(Run run) noexcept;                    // free -> used
  void hold(Run run) noexcept;                   // used -> held
  void release(Run run) noexcept;                // held -> free
  void unuse(Run run) noexcept;                  // used -> free: an allocation taken back
  void unhold(Run run) noexcept;                 // held -> used: a free taken back
  void set_limit(std::uint32_t limit) noexcept;  // Requires: pages beyond a smaller limit are free

  bool used(std::uint32_t page) const noexcept { return test(used_, page); }
  bool held(std::uint32_t page) const noexcept { return test(held_, page); }
  bool all_used(Run run) const noexcept;
  std::uint32_t limit() const noexcept { return limit_; }
  std::uint32_t free_pages() const noexcept { return free_pages_; }
  std::uint32_t used_pages() const noexcept { return used_pages_; }
  std::uint32_t held_pages() const noexcept { return limit_ - free_pages_ - used_pages_; }
  std::uint32_t free_tail() const noexcept;  // free pages at the end of the group
  void write_to(format::GroupBitmapPage& page) const noexcept;

  bool dirty = true;       // differs from what is on disk
  std::uint32_t slot = 1;  // the slot that holds the newest copy on disk; the other is written next

 private:
  using Words = std::vector<std::uint64_t>;
  static bool test(const Words& words, std::uint32_t page) noexcept {
    return ((words[page / 64] >> (page % 64)) & 1) != 0;
  }
  static void set(Words& words, Run run, bool value, bool expected) noexcept;

  std::uint32_t limit_;
  std::uint32_t free_pages_ = 0;
  std::uint32_t used_pages_ = 0;
  Words used_;
  Words held_;
};

}  // namespace cambium
