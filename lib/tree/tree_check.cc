// SPDX-License-Identifier: MIT OR Apache-2.0
// Verifies a whole tree: every page, every key against the separators above it, every count, every overflow value.
#include "base/text.h"
#include "tree/tree_store.h"
#include "tree/tree_walk.h"

namespace cambium {

Task<Status> TreeStore::check(const TableRoot& root, PageVisitor& visitor) {
  if (root.height == 0) co_return Status();
  PageReader reader(cache_.device(), cache_.file_id());
  TreeWalk walk(reader, visitor, TreeWalk::Values::verify,
                of_ == Of::sstables ? TreeWalk::Tombstones::allow : TreeWalk::Tombstones::refuse);
  walk.begin(root, Bytes());
  while (!walk.done()) {
    Status done = co_await walk.step();
    if (done) done = co_await visitor.pace(walk.pages_read());
    if (!done) co_return done;
    if (cache_.core().over_budget()) co_await cache_.core().yield();
  }
  if (!walk.first_damage()) co_return walk.first_damage();
  if (walk.node_pages() == root.node_pages && walk.overflow_pages() == root.overflow_pages) co_return Status();
  const Error counts(
      Errc::corruption,
      rt::str("a table of ", cache_.device().name(), " has ", walk.node_pages(), " + ", walk.overflow_pages(),
              " pages, its catalog row says ", root.node_pages, " + ", root.overflow_pages),
      "its entries are all there: write them to a new file");
  visitor.damaged({kNoPage, 0, {}, {}, counts});
  co_return counts;
}

}  // namespace cambium
