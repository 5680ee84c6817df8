// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/space_map.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include <cambium/rt/check.h>
#include <cambium/rt/when_all.h>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "base/text.h"

namespace cambium {

using format::GroupBitmapPage;
using format::GroupTablePage;
using format::kGroupPages;
using format::kGroupsPerTable;

namespace {

PageId bitmap_page(std::uint32_t group, std::uint32_t slot) noexcept {
  return PageId{raw(format::group_first_page(group)) + slot};
}
PageId table_page(std::uint32_t region, std::uint32_t slot) noexcept {
  return PageId{raw(format::group_first_page(region * kGroupsPerTable)) + format::kBitmapSlots + slot};
}
std::uint32_t region_count(std::size_t groups) noexcept {
  return static_cast<std::uint32_t>((groups + kGroupsPerTable - 1) / kGroupsPerTable);
}
std::uint32_t group_limit(std::uint64_t file_pages, std::uint32_t group) noexcept {
  const std::uint64_t first = raw(format::group_first_page(group));
  return file_pages <= first ? 0 : static_cast<std::uint32_t>(std::min<std::uint64_t>(file_pages - first, kGroupPages));
}

}  // namespace

std::unique_ptr<SpaceMap> SpaceMap::format(BlockDevice& device, std::uint64_t file_pages, std::uint64_t file_id) {
  std::unique_ptr<SpaceMap> map(new SpaceMap(device, file_id));
  map->extend_groups(file_pages);
  return map;
}

Task<Result<std::unique_ptr<SpaceMap>>> SpaceMap::load(BlockDevice& device, const format::Superblock& superblock,
                                                       std::span<char> staging) {
  std::unique_ptr<SpaceMap> map(new SpaceMap(device, superblock.page.file_id));
  map->file_pages_ = superblock.file_pages;
  const std::uint64_t groups = (map->file_pages_ - kFixedPages + kGroupPages - 1) / kGroupPages;
  const auto last = static_cast<std::uint32_t>(groups - 1);
  if (groups == 0 || region_count(groups) != superblock.table_count ||
      group_limit(map->file_pages_, last) < format::group_own_pages(last)) {
    co_return map->damaged(kNoPage, "does not fit the file's length");
  }
  co_await check(map->load_tables(superblock, groups, staging.data()));
  const auto at_once = static_cast<std::uint32_t>(staging.size() / kPageBytes);
  for (std::uint32_t group = 0; group < groups; group += at_once) {
    const auto left = static_cast<std::uint32_t>(groups - group);
    co_await check(map->load_groups(group, std::min(at_once, left), staging.data()));
  }
  map->remember_slots();
  co_return map;
}

Error SpaceMap::damaged(PageId page, std::string_view what) const {
  return Error(Errc::corruption, rt::str("space map page ", raw(page), " of ", device_.name(), " ", what),
               "run `cambium check`; restore the file from a backup, or use `cambium salvage`");
}

Task<Status> SpaceMap::load_page(PageId id, format::PageType type, std::uint32_t checksum, char* staging) {
  Status read = co_await device_.read(raw(id) * kPageBytes, staging, kPageBytes);
  if (!read) co_return read;
  const format::PageHeader& header = format::header_of(staging);
  if (format::page_checksum(staging) != header.checksum) co_return damaged(id, "fails its checksum");
  if (header.checksum != checksum) co_return damaged(id, "fails its checksum: it is not what the commit wrote");
  if (header.type != type || header.page_id != raw(id) || header.file_id != file_id_) {
    co_return damaged(id, "belongs to another place");
  }
  co_return Status();
}

Task<Status> SpaceMap::load_tables(const format::Superblock& superblock, std::uint64_t groups, char* staging) {
  for (std::uint32_t region = 0; region < superblock.table_count; ++region) {
    const format::TableRecord record = superblock.tables[region];
    if (record.slot >= format::kTableSlots) co_return damaged(kNoPage, "has an impossible slot");
    const PageId id = table_page(region, record.slot);
    co_await check(load_page(id, format::PageType::group_table, record.checksum, staging));
    const auto& page = *reinterpret_cast<const GroupTablePage*>(staging);
    const std::uint64_t expected =
        std::min<std::uint64_t>(kGroupsPerTable, groups - std::uint64_t{region} * kGroupsPerTable);
    if (page.page.count != expected || page.region != region) {
      co_return damaged(id, "lists another number of groups");
    }
    records_.insert(records_.end(), page.groups, page.groups + page.page.count);
    tables_.push_back({.dirty = false, .slot = record.slot, .checksum = record.checksum});
  }
  co_return Status();
}

Task<Status> SpaceMap::load_groups(std::uint32_t first, std::uint32_t count, char* staging) {
  std::vector<Task<Status>> reads;
  for (std::uint32_t group = first; group < first + count; ++group) {
    const format::GroupRecord record = records_[group];
    if (record.slot >= format::kBitmapSlots) co_return damaged(kNoPage, "has an impossible slot");
    reads.push_back(load_page(bitmap_page(group, record.slot), format::PageType::group_bitmap, record.checksum,
                              staging + (group - first) * kPageBytes));
  }
  const std::vector<Status> read = co_await when_all(std::move(reads));
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!read[i]) co_return read[i];
    co_await check(take_group(first + i, staging + i * kPageBytes));
  }
  co_return Status();
}

Status SpaceMap::take_group(std::uint32_t group, const char* bitmap) {
  const format::GroupRecord record = records_[group];
  const PageId id = bitmap_page(group, record.slot);
  const auto& page = *reinterpret_cast<const GroupBitmapPage*>(bitmap);
  if (page.group != group) return damaged(id, "is of another group");
  const std::uint32_t limit = group_limit(file_pages_, group);
  for (std::uint32_t bit = limit; bit < kGroupPages; ++bit) {
    if (((page.words[bit / 64] >> (bit % 64)) & 1) != 0) return damaged(id, "uses pages beyond the file");
  }
  groups_.emplace_back(limit, page);
  AllocationGroup& loaded = groups_.back();
  loaded.slot = record.slot;
  if (loaded.free_pages() != record.free_pages) return damaged(id, "does not fit its free count");
  if (!loaded.all_used({0, format::group_own_pages(group)})) return damaged(id, "calls its own pages free");
  used_pages_ += loaded.used_pages();
  free_pages_ += loaded.free_pages();
  return {};
}

Task<Status> SpaceMap::verify_group(std::uint32_t group, char* staging) {
  // A group of the file's new end has no copy on the device before the next commit.
  if (group >= group_count() || groups_[group].dirty) co_return Status();
  Status loaded = co_await load_page(bitmap_page(group, groups_[group].slot), format::PageType::group_bitmap,
                                     records_[group].checksum, staging);
  co_return loaded;
}

Task<Status> SpaceMap::verify_table(std::uint32_t region, char* staging) {
  if (region >= table_count() || tables_[region].dirty) co_return Status();
  Status loaded = co_await load_page(table_page(region, tables_[region].slot), format::PageType::group_table,
                                     tables_[region].checksum, staging);
  co_return loaded;
}

void SpaceMap::extend_groups(std::uint64_t file_pages) {
  file_pages_ = file_pages;
  if (!groups_.empty()) {
    AllocationGroup& last = groups_.back();
    const std::uint32_t limit = group_limit(file_pages, group_count() - 1);
    for (Search& search : searches_) {  // those that had come to the end go on in what is new
      if (search.group >= group_count()) search = {group_count() - 1, last.limit()};
    }
    free_pages_ += limit - last.limit();
    last.set_limit(limit);
    last.dirty = true;  // its free count changes
  }
  while (group_limit(file_pages, group_count()) > 0) {
    const std::uint32_t group = group_count();
    const std::uint32_t own = format::group_own_pages(group);
    CAMBIUM_ASSERT(group_limit(file_pages, group) >= own);
    groups_.emplace_back(group_limit(file_pages, group), own);
    groups_.back().slot = group < group_slots_on_disk_.size() ? group_slots_on_disk_[group] : 1;
    records_.push_back({.checksum = 0, .free_pages = 0, .slot = groups_.back().slot});
    used_pages_ += own;
    free_pages_ += groups_.back().free_pages();
  }
  tables_.resize(region_count(groups_.size()));
}

// A group that is cut off and grown again before the next commit must not write over the slot in use on disk.
void SpaceMap::remember_slots() {
  group_slots_on_disk_.resize(groups_.size());
  for (std::size_t g = 0; g < groups_.size(); ++g) group_slots_on_disk_[g] = groups_[g].slot;
}

void SpaceMap::opened(Generation newest, unsigned slot, Generation other) {
  newest_slot_ = slot;
  slot_generation_[slot] = newest;
  slot_generation_[1 - slot] = other;
  retain(newest);
  if (raw(other) != 0) retain(other);
}

AllocationGroup::Run SpaceMap::local(PageRun run) const noexcept {
  const std::uint64_t first = raw(format::group_first_page(format::group_of(run.first)));
  return {static_cast<std::uint32_t>(raw(run.first) - first), run.pages};
}

// Each size class has a search position of its own that only moves forward within a commit: looking for space is linear
// in the size of the map, however fragmented it is.
bool SpaceMap::search(Search& at, std::uint32_t wanted, std::uint32_t least, PageRun& found) {
  for (; at.group < group_count(); ++at.group, at.page = 0) {
    AllocationGroup& group = groups_[at.group];
    if (group.free_pages() < least) continue;
    const AllocationGroup::Run run = group.find(at.page, usable(at.group), wanted, least);
    if (run.pages == 0) continue;
    group.use(run);
    at.page = run.first + run.pages;
    found = {PageId{raw(format::group_first_page(at.group)) + run.first}, run.pages};
    return true;
  }
  return false;
}

// Free pages become used ones.
Result<PageRun> SpaceMap::take_run(std::uint32_t wanted, std::uint32_t least) {
  CAMBIUM_ASSERT(least > 0 && least <= wanted && wanted <= kGroupPages);
  // A whole run where there is one; else half of it, a quarter, ... down to the least that will do.
  for (std::uint32_t size = wanted;; size = std::max(size / 2, least)) {
    PageRun run;
    bool found = search(searches_[std::bit_width(size) - 1], wanted, size, run);
    if (!found && size == least) {
      // A longer request of the same class, or a tail given back, may have left shorter runs behind its position.
      Search from_start;
      found = search(from_start, wanted, least, run);
    }
    if (found) {
      used_pages_ += run.pages;
      free_pages_ -= run.pages;
      return run;
    }
    if (size == least) break;
  }
  return Error(Errc::no_space, rt::str("no free run of ", least, " pages in ", device_.name()), "free some space");
}

Result<PageRun> SpaceMap::allocate(std::uint32_t wanted, std::uint32_t least) {
  Result<PageRun> run = take_run(wanted, least);
  if (run) allocated_.push_back(*run);
  return run;
}

// Held pages are free to whoever opens the newest commit after a crash: just what a reservation should be.
Result<PageRun> SpaceMap::reserve(std::uint32_t wanted, std::uint32_t least) {
  Result<PageRun> run = take_run(wanted, least);
  if (!run) return run;
  group_at(run->first).hold(local(*run));
  used_pages_ -= run->pages;
  return run;
}

void SpaceMap::unreserve(PageRun run) noexcept {
  group_at(run.first).release(local(run));
  free_pages_ += run.pages;
}

void SpaceMap::adopt(PageRun run) {
  group_at(run.first).unhold(local(run));
  used_pages_ += run.pages;
  allocated_.push_back(run);
}

// How many pages of a group may be allocated from.
std::uint32_t SpaceMap::usable(std::uint32_t group) const noexcept {
  return std::min(groups_[group].limit(), group_limit(std::min(ceiling_, file_pages_), group));
}

void SpaceMap::give_back(PageRun tail) {
  const auto it = std::find_if(allocated_.rbegin(), allocated_.rend(), [&](const PageRun& run) {
    return raw(run.first) + run.pages == raw(tail.first) + tail.pages;
  });
  CAMBIUM_ASSERT(it != allocated_.rend() && it->pages >= tail.pages);
  group_at(tail.first).unuse(local(tail));
  used_pages_ -= tail.pages;
  free_pages_ += tail.pages;
  it->pages -= tail.pages;
  if (it->pages == 0) allocated_.erase(std::next(it).base());
}

Status SpaceMap::distrust(PageId page, std::string_view what) {
  trust_ = Error(Errc::corruption, rt::str("page ", raw(page), " of ", device_.name(), " ", what),
                 "the space map cannot be trusted: reading goes on, writing does not; `cambium check` says more");
  return trust_;
}

Status SpaceMap::expect_used(PageRun run) {
  if (!format::holds_data(run.first, run.pages, file_pages_)) {
    return distrust(run.first,
                    rt::str("and ", run.pages - 1, " after it cannot hold data, yet a table refers to them"));
  }
  if (!group_at(run.first).all_used(local(run))) {
    return distrust(run.first, "is referred to, yet free in the space map or freed already by another reference");
  }
  return {};
}

Status SpaceMap::free(PageRun run, Generation birth) {
  if (CAMBIUM_PLANTED(page_reused_in_commit)) {
    group_at(run.first).unuse(local(run));
    used_pages_ -= run.pages;
    free_pages_ += run.pages;
    return {};
  }
  Status sane = expect_used(run);
  if (!sane) return sane;
  const auto built_now = [&](const PageRun& ours) {
    return run.first >= ours.first && raw(run.first) + run.pages <= raw(ours.first) + ours.pages;
  };
  if (!generations_.visible_since(birth) && std::none_of(allocated_.begin(), allocated_.end(), built_now)) {
    return distrust(run.first, rt::str("says that generation ", raw(birth), ", which is still to come, wrote it"));
  }
  group_at(run.first).hold(local(run));
  used_pages_ -= run.pages;
  if (generations_.hold(run, birth)) {
    freed_.push_back(run);
  } else {
    born_and_freed_.push_back(run);
  }
  return {};
}

void SpaceMap::release_runs(const std::vector<PageRun>& runs) {
  for (const PageRun& run : runs) {
    group_at(run.first).release(local(run));
    free_pages_ += run.pages;
  }
}

void SpaceMap::release(Generation generation) {
  std::vector<PageRun> released;
  generations_.release(generation, released);
  release_runs(released);
}

// In steps of a sixteenth of the file, at least 1 MiB: growing is rare, the slack small. A device that is nearly full
// may still have room for less.
Task<Status> SpaceMap::grow(std::uint64_t pages) {
  std::uint64_t step = std::max(pages, std::clamp<std::uint64_t>(file_pages_ / 16, 256, 16'384));
  for (;;) {
    Status longer = co_await lengthen(step);
    if (longer || longer.code() != Errc::no_space || step == pages) co_return longer;
    step = std::max(pages, step / 4);
  }
}

// In whole write buffers, so that no slivers are left. Entering a new group costs its own pages on top.
Task<Status> SpaceMap::lengthen(std::uint64_t step) {
  std::uint64_t target = file_pages_ + (step + 63) / 64 * 64;
  const std::uint64_t groups_after = (target - kFixedPages + kGroupPages - 1) / kGroupPages;
  target += (groups_after - group_count()) * (format::kBitmapSlots + format::kTableSlots);
  if (target > kFilePagesMax) {
    co_return Error(Errc::no_space, rt::str(device_.name(), " would grow beyond ", kFilePagesMax, " pages"),
                    "shard the data over more partitions");
  }
  if (ceiling_ <= file_pages_)
    co_return Error(Errc::no_space, rt::str(device_.name(), " is being compacted: it does not grow"));
  if (!device_.resizable()) co_return Error(Errc::no_space, rt::str(device_.name(), " is full and cannot grow"));
  if (device_.size_bytes() < target * kPageBytes && !CAMBIUM_PLANTED(growth_not_made)) {
    Status resized = co_await device_.resize(target * kPageBytes);
    if (!resized) co_return resized;
  }
  extend_groups(target);
  co_return Status();
}

std::uint64_t SpaceMap::shrink_free_tail(std::uint64_t pages_min) {
  while (!groups_.empty()) {
    AllocationGroup& last = groups_.back();
    const std::uint32_t own = format::group_own_pages(group_count() - 1);
    std::uint32_t tail = last.free_tail();
    if (tail + own == last.limit() && group_count() > 1 && file_pages_ - last.limit() >= pages_min) {
      used_pages_ -= own;
      free_pages_ -= tail;
      file_pages_ -= last.limit();
      groups_.pop_back();
      records_.pop_back();
      tables_.resize(region_count(groups_.size()));
      tables_.back().dirty = true;
      continue;
    }
    if (file_pages_ - tail < pages_min)
      tail = static_cast<std::uint32_t>(file_pages_ > pages_min ? file_pages_ - pages_min : 0);
    last.set_limit(last.limit() - tail);
    last.dirty = last.dirty || tail != 0;
    free_pages_ -= tail;
    file_pages_ -= tail;
    break;
  }
  restart_searches();
  return file_pages_;
}

void SpaceMap::write_bitmap(std::uint32_t group, Generation generation, char* page) noexcept {
  AllocationGroup& g = groups_[group];
  format::GroupRecord& record = records_[group];
  record.slot = CAMBIUM_PLANTED(bitmap_slot_reused) ? g.slot : 1 - g.slot;
  auto& bitmap = *reinterpret_cast<GroupBitmapPage*>(page);
  std::memset(page, 0, kPageBytes);
  bitmap.page = {.checksum = 0,
                 .type = format::PageType::group_bitmap,
                 .level = 0,
                 .count = 0,
                 .page_id = raw(bitmap_page(group, record.slot)),
                 .generation = raw(generation),
                 .file_id = file_id_};
  bitmap.group = group;
  g.write_to(bitmap);
  record.checksum = format::seal_page(page);
  // Held pages are free to whoever opens this commit after a crash: nobody can see them then.
  record.free_pages = g.limit() - g.used_pages();
  tables_[group / kGroupsPerTable].dirty = true;
}

void SpaceMap::write_table(std::uint32_t region, Generation generation, char* page) noexcept {
  Table& table = tables_[region];
  const std::uint32_t first = region * kGroupsPerTable;
  const std::uint32_t count = std::min(kGroupsPerTable, group_count() - first);
  auto& out = *reinterpret_cast<GroupTablePage*>(page);
  std::memset(page, 0, kPageBytes);
  out.page = {.checksum = 0,
              .type = format::PageType::group_table,
              .level = 0,
              .count = static_cast<std::uint16_t>(count),
              .page_id = raw(table_page(region, 1 - table.slot)),
              .generation = raw(generation),
              .file_id = file_id_};
  out.region = region;
  std::copy_n(records_.begin() + first, count, out.groups);
  table.checksum = format::seal_page(page);
}

Task<Status> SpaceMap::write_changes(Generation generation, format::Superblock& superblock, WriteGroup& pages) {
  for (std::uint32_t group = 0; group < group_count(); ++group) {
    if (!groups_[group].dirty) continue;
    const std::size_t slot = co_await pages.acquire();
    write_bitmap(group, generation, pages.data(slot));
    if (CAMBIUM_PLANTED(bitmap_not_written)) {
      pages.put_back(slot);
      continue;
    }
    pages.write(slot, raw(bitmap_page(group, records_[group].slot)) * kPageBytes, kPageBytes);
  }
  superblock.file_pages = file_pages_;
  superblock.table_count = static_cast<std::uint32_t>(tables_.size());
  for (std::uint32_t region = 0; region < tables_.size(); ++region) {
    Table& table = tables_[region];
    std::uint32_t slot_on_disk = table.slot;
    if (table.dirty) {
      const std::size_t slot = co_await pages.acquire();
      write_table(region, generation, pages.data(slot));
      slot_on_disk = 1 - table.slot;
      pages.write(slot, raw(table_page(region, slot_on_disk)) * kPageBytes, kPageBytes);
    }
    superblock.tables[region] = {.checksum = table.checksum, .slot = slot_on_disk};
  }
  Status written = co_await pages.drain();
  co_return written;
}

void SpaceMap::committed(Generation generation, unsigned slot) {
  for (std::uint32_t g = 0; g < group_count(); ++g) {
    if (!groups_[g].dirty) continue;
    groups_[g].dirty = false;
    groups_[g].slot = records_[g].slot;
  }
  remember_slots();
  for (Table& table : tables_) {
    if (table.dirty) table.slot = 1 - table.slot;
    table.dirty = false;
  }
  allocated_.clear();
  freed_.clear();
  release_runs(born_and_freed_);
  born_and_freed_.clear();
  restart_searches();

  retain(generation);
  const Generation replaced = slot_generation_[slot];
  slot_generation_[slot] = generation;
  newest_slot_ = slot;
  if (raw(replaced) != 0) release(replaced);
  if (CAMBIUM_PLANTED(fallback_released_at_once) && raw(slot_generation_[1 - slot]) != 0) {
    release(std::exchange(slot_generation_[1 - slot], Generation{0}));
  }
}

void SpaceMap::aborted() {
  for (const PageRun& run : born_and_freed_) {
    group_at(run.first).unhold(local(run));
    used_pages_ += run.pages;
  }
  if (CAMBIUM_PLANTED(abort_keeps_frees)) freed_.clear();
  for (const PageRun& run : freed_) {
    group_at(run.first).unhold(local(run));
    used_pages_ += run.pages;
  }
  if (!freed_.empty()) generations_.unhold(freed_.size());
  if (CAMBIUM_PLANTED(abort_keeps_allocations)) allocated_.clear();
  for (const PageRun& run : allocated_) {
    group_at(run.first).unuse(local(run));
    used_pages_ -= run.pages;
    free_pages_ += run.pages;
  }
  allocated_.clear();
  freed_.clear();
  born_and_freed_.clear();
  restart_searches();
}

bool SpaceMap::used(PageId page) const noexcept {
  if (raw(page) < kFixedPages || raw(page) >= file_pages_) return false;
  return groups_[format::group_of(page)].used(local({page, 1}).first);
}
bool SpaceMap::held(PageId page) const noexcept {
  if (raw(page) < kFixedPages || raw(page) >= file_pages_) return false;
  return groups_[format::group_of(page)].held(local({page, 1}).first);
}

std::vector<bool> SpaceMap::used_pages_map() const {
  std::vector<bool> map(file_pages_);
  std::fill_n(map.begin(), kFixedPages, true);
  for (std::uint64_t page = kFixedPages; page < file_pages_; ++page) map[page] = used(PageId{page});
  return map;
}

}  // namespace cambium
