// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/publisher.h"

#include <algorithm>
#include <string>

#include <cambium/rt/check.h>

namespace cambium {

Task<Result<TableRoot>> Publisher::write_rows(PageWriter& writer, const std::vector<NewRoot>& roots,
                                              const CatalogEdit* edit) {
  std::vector<std::string> bytes;
  bytes.reserve(roots.size() * 2);
  std::vector<Change> rows;
  const auto add = [&](const std::string& key, const std::string& value, bool remove) {
    rows.push_back({key.data(), value.data(), static_cast<std::uint32_t>(value.size()),
                    static_cast<std::uint16_t>(key.size()), remove});
  };
  for (const NewRoot& root : roots) {
    const std::string& key = bytes.emplace_back(catalog_key(*root.table));
    const std::string& value = bytes.emplace_back(catalog_value(*root.table, root.root));
    add(key, value, false);
  }
  if (edit != nullptr) {
    for (const CatalogEdit::Row& row : edit->rows) add(row.key, row.value, row.remove);
  }
  std::sort(rows.begin(), rows.end(), [](const Change& a, const Change& b) { return a.key_view() < b.key_view(); });
  const TableRoot base = catalog_moved_ ? moved_catalog_ : catalog_;
  Result<TableRoot> catalog = co_await catalog_store().apply(base, rows, writer);
  co_return catalog;
}

Task<Status> Publisher::release_fallback(bool& released) {
  co_await committer_.lane().lock();
  const MutexGuard lane(committer_.lane());
  if (space_.held_by_fallback() == 0) co_return Status();
  co_await check(committer_.touch());
  released = true;
  co_return Status();
}

Task<Status> Publisher::relocate_catalog(PageId limit, PageWriter& writer) {
  bool more = false;
  moved_catalog_ = co_await check(catalog_store().relocate(catalog_, limit, ~std::uint64_t{0}, writer, more));
  catalog_moved_ = true;
  Status settled = co_await writer.settle();  // commit() reads the moved catalog to put its rows in
  co_return settled;
}

Task<Status> Publisher::commit(PageWriter& writer, std::vector<NewRoot>& roots, Sequence sequence,
                               const CatalogEdit* edit) {
  Result<TableRoot> catalog = co_await write_rows(writer, roots, edit);
  if (!catalog) {
    Status failed = co_await give_up(writer, catalog.error());
    co_return failed;
  }
  Committer::Change change{catalog->pointer,
                           catalog->height,
                           static_cast<std::uint32_t>(catalog->node_pages),
                           sequence,
                           edit != nullptr ? edit->next_table_id : committer_.record().next_table_id,
                           edit != nullptr ? edit->features_needed : 0};
  for (const NewRoot& root : roots) {
    if (root.root.content) change.features_needed |= root.root.content->features_needed();
  }
  Status committed = co_await committer_.commit(writer, change);
  catalog_moved_ = false;
  stats_.pages += writer.stats().pages;
  stats_.overflow_pages += writer.stats().overflow_pages;
  stats_.writes += writer.stats().writes;
  cache_.version_ends();
  if (!committed) co_return committed;

  catalog_ = std::move(*catalog);
  const Generation generation = committer_.newest();
  for (NewRoot& root : roots) {
    root.table->publish(generation, root.root);
    views_.tables().has_versions(*root.table);
  }
  views_.advance(generation);
  published_.wake_all();
  co_return Status();
}

Task<Status> Publisher::load(TableState& table, Generation generation) {
  TableRoot root = table.at(generation);
  const ViewRef view(views_);
  co_await check(store_of(table).load(root));
  table.loaded(root);
  co_return Status();
}

Task<Status> Publisher::give_up(PageWriter& writer, Status cause) {
  co_await writer.abandon();
  cache_.version_ends();
  space_.aborted();
  catalog_moved_ = false;
  co_return cause;
}

}  // namespace cambium
