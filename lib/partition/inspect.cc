// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole-file check: every page of every table, and the space map against what is reachable.
#include <vector>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "partition/partition_state.h"

namespace cambium {

namespace {

// Marks what is reachable, and complains about anything reached twice or not in use.
class ReachablePages final : public PageVisitor {
 public:
  explicit ReachablePages(const SpaceMap& space) : space_(space), pages_(space.file_pages()) {}

  Status visit(PageRun run, Generation) override {
    for (std::uint64_t page = raw(run.first); page < raw(run.first) + run.pages; ++page) {
      if (page >= pages_.size()) return bad(page, "lies beyond the end of the file");
      if (pages_[page]) return bad(page, "is used twice");
      if (!space_.used(PageId{page})) return bad(page, "is used but free in the space map");
      pages_[page] = true;
      ++count_;
    }
    return {};
  }
  std::uint64_t count() const noexcept { return count_; }
  const std::vector<bool>& pages() const noexcept { return pages_; }

 private:
  static Error bad(std::uint64_t page, std::string_view what) {
    return Error(Errc::corruption, rt::str("page ", page, " ", what), "please report this, with the file if you can");
  }
  const SpaceMap& space_;
  std::vector<bool> pages_;
  std::uint64_t count_ = 0;
};

}  // namespace

Task<Result<CheckReport>> PartitionState::inspect() {
  co_await check(not_loading());
  // No commit meanwhile: the space map and the roots belong together.
  co_await committer->lane().lock();
  MutexGuard lane(committer->lane());
  const ViewRef view(*views);
  CheckReport report;
  ReachablePages reachable(*space);
  co_await check(trees->check(publisher->catalog(), reachable));
  for (const auto& [id, table] : tables) {
    const TableRoot root = table->newest();
    co_await check(publisher->store_of(*table).check(root, reachable));
    report.entries += root.pointer.entries;
    ++report.tables;
  }
  std::uint64_t own = format::kSuperblockPages;
  for (std::uint32_t group = 0; group < space->group_count(); ++group) own += format::group_own_pages(group);
  report.reachable_pages = reachable.count() + own;
  report.free_pages = space->free_pages();
  report.held_pages = space->held_pages();
  report.superblock_damaged = superblock_damaged;
  if (report.reachable_pages != space->used_pages()) {
    co_return Error(Errc::corruption,
                    rt::str("the space map of ", path, " has ", space->used_pages(), " pages in use, ",
                            report.reachable_pages, " are reachable"),
                    "space was lost, data was not; please report this");
  }
  co_return report;
}

}  // namespace cambium
