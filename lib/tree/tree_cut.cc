// SPDX-License-Identifier: MIT OR Apache-2.0
// The end of a tree: its first leaves are deleted, some at a time, until none is left.
#include <string>
#include <vector>

#include <cambium/rt/check.h>

#include "tree/tree_store.h"

namespace cambium {

namespace {

constexpr std::size_t kKeyBytesMaxAtOnce = std::size_t{128} << 10;  // at least one leaf, though

}  // namespace

Task<Result<TableRoot>> TreeStore::cut(TableRoot root, std::size_t leaves_max, PageWriter& writer,
                                       std::size_t& leaves) {
  Core& core = cache_.core();
  std::string keys;
  std::vector<Change> changes;
  {
    CursorOptions options;
    options.readahead_pages = static_cast<unsigned>(leaves_max - leaves);
    const std::unique_ptr<TableCursor> first_leaves = cursor(root, options);
    co_await cambium::check(first_leaves->seek(Bytes(), true));
    for (;;) {
      for (const Entry& entry : first_leaves->rest_of_page()) {
        keys += entry.key.view();
        changes.push_back({nullptr, "", 0, static_cast<std::uint16_t>(entry.key.size()), true});
      }
      ++leaves;
      if (first_leaves->at_end() || leaves >= leaves_max || keys.size() >= kKeyBytesMaxAtOnce) break;
      co_await cambium::check(first_leaves->next_page());
      if (core.over_budget()) co_await core.yield();
    }
  }
  const char* key = keys.data();
  for (Change& change : changes) {
    change.key = key;
    key += change.key_bytes;
  }
  Result<TableRoot> rest = co_await apply(root, changes, writer);
  co_return rest;
}

}  // namespace cambium
