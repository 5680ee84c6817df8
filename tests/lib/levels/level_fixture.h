// SPDX-License-Identifier: MIT OR Apache-2.0
// One level store on a simulated disk, beside a std::map that says what must be in it. Built on the fixture of trees.
#pragma once

#include "levels/compaction.h"
#include "levels/level_store.h"
#include "lib/tree/tree_fixture.h"

namespace cambium::test {

inline Task<Status> run_slice(Compaction& compaction, const TableRoot& root, PageWriter& ahead, LevelEdit& edit) {
  Status built = co_await compaction.build_slice(root, ahead, edit);
  if (!built) co_await ahead.abandon();
  co_return built;
}
inline Task<Result<TableRoot>> publish(LevelStore& store, TableRoot root, const LevelEdit& edit, PageWriter& ahead,
                                       PageWriter& writer) {
  ahead.adopt();
  TableRoot next = co_await check(store.edit(root, edit, writer));
  co_await check(writer.finish());
  co_return next;
}
inline Task<Status> load_root(LevelStore& store, TableRoot& root) {
  Status loaded = co_await store.load(root);
  co_return loaded;
}

class LevelFixture {
 public:
  explicit LevelFixture(std::size_t frames, std::uint64_t sstable_pages = 16,
                        const SimOptions& options = {.seed = 1, .eager = true})
      : tree(frames, 1024, options),
        sstables(*tree.cache, TreeStore::Of::sstables),
        store(*tree.cache, sstables, sstable_pages) {}

  void apply(const Batch& batch) {
    const std::vector<Change> changes = TreeFixture::changes_of(batch);
    PageWriter writer = tree.make_writer();
    Result<TableRoot> next = tree.base.run(apply_changes(store, root, changes, writer));
    if (!next) FAIL(std::string(next.error().message()));
    root = *next;
    tree.commit();
    for (const auto& [key, value] : batch) {
      if (value) {
        model[key] = *value;
      } else {
        model.erase(key);
      }
    }
  }

  // One slice of a compaction, published.
  void slice(Compaction& compaction) {
    LevelEdit edit;
    PageWriter ahead = tree.make_writer();
    ahead.build_ahead(lane);
    const Status built = tree.base.run(run_slice(compaction, root, ahead, edit));
    if (!built) FAIL(std::string(built.error().message()));
    REQUIRE(applies_to(edit, version_of(root)));
    PageWriter writer = tree.make_writer();
    Result<TableRoot> next = tree.base.run(publish(store, root, edit, ahead, writer));
    if (!next) FAIL(std::string(next.error().message()));
    root = *next;
    compaction.published();
    tree.commit();
  }
  // False: nothing is due.
  bool compact_once(const CompactionPolicy& policy, bool settle = false) {
    if (!root.content) return false;
    for (unsigned level = 0; level < kBottomLevel; ++level) {
      std::optional<CompactionPlan> plan = pick_compaction(version_of(root), policy, level, {}, settle);
      if (!plan) continue;
      Compaction compaction(store, *plan);
      while (!compaction.done(version_of(root))) slice(compaction);
      return true;
    }
    return false;
  }
  void reload() {
    root.content = nullptr;
    const Status loaded = tree.base.run(load_root(store, root));
    if (!loaded) FAIL(std::string(loaded.error().message()));
  }

  Pairs read(CursorOptions options, Bytes from = {}, bool inclusive = true, std::size_t most = ~std::size_t{0}) {
    if (!root.content) return {};
    Pairs out;
    const Status status = tree.base.run(collect(store, *tree.cache, root, options, from, inclusive, most, out));
    if (!status) FAIL(std::string(status.error().message()));
    return out;
  }
  std::optional<std::string> get(Bytes key) { return tree.base.run(lookup(store, *tree.cache, root, key)).value(); }
  void require_contents() {
    const Pairs forward = read({});
    REQUIRE(forward.size() == model.size());
    REQUIRE(std::equal(forward.begin(), forward.end(), model.begin(),
                       [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
    const Pairs reverse = read({.direction = Direction::reverse});
    REQUIRE(reverse.size() == model.size());
    REQUIRE(std::equal(reverse.begin(), reverse.end(), model.rbegin(),
                       [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
  }
  // Every page of the table is where the space map says, and no other.
  void require_sound() {
    PageSet reachable;
    const Status status = tree.base.run(store.check(root, reachable));
    if (!status) FAIL(std::string(status.error().message()));
    REQUIRE(reachable.count == root.node_pages + root.overflow_pages);
    std::uint64_t own = 0;
    for (std::uint64_t page = format::kSuperblockPages; page < tree.space->file_pages(); ++page) {
      const std::uint32_t group = format::group_of(PageId{page});
      if (page - raw(format::group_first_page(group)) < format::group_own_pages(group)) {
        ++own;
        continue;
      }
      if (tree.space->used(PageId{page}) != reachable.has(page))
        FAIL("page " << page << " is " << (reachable.has(page) ? "lost" : "leaked"));
    }
    REQUIRE(tree.space->used_pages() == format::kSuperblockPages + own + reachable.count);
    REQUIRE(tree.cache->pinned() == 0);
  }

  TreeFixture tree;
  TreeStore sstables;
  LevelStore store;
  Mutex lane;
  TableRoot root;
  Model model;
};

}  // namespace cambium::test
