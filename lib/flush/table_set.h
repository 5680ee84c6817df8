// SPDX-License-Identifier: MIT OR Apache-2.0
// The tables of a partition: names, kinds, and for each the roots that some live generation can still see.
//
// Commits add roots, generations that die take them away. In the file the tables are rows of the catalog, a small tree
// of its own that is written by the same commit.
//
// Invariants
//   1. The versions of a table ascend by generation; the last one is the newest.
//
// Lifetime   TableState objects stay in place until the partition is closed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/result.h>

#include "format/table_row.h"
#include "table_store.h"

namespace cambium {

class TableState {
 public:
  TableState(TableId id, std::string name, format::TableKind kind) : id_(id), name_(std::move(name)), kind_(kind) {
    versions_.push_back({Generation{0}, TableRoot{}});
  }

  TableId id() const noexcept { return id_; }
  const std::string& name() const noexcept { return name_; }
  format::TableKind kind() const noexcept { return kind_; }

  const TableRoot& newest() const noexcept { return versions_.back().root; }
  const TableRoot& at(Generation generation) const noexcept {
    std::size_t i = versions_.size();
    while (i > 1 && versions_[i - 1].generation > generation) --i;
    return versions_[i - 1].root;
  }
  void publish(Generation generation, const TableRoot& root) { versions_.push_back({generation, root}); }
  // No generation below `oldest` will be asked for again.
  void forget_before(Generation oldest) {
    std::size_t keep = 0;
    while (keep + 1 < versions_.size() && versions_[keep + 1].generation <= oldest) ++keep;
    versions_.erase(versions_.begin(), versions_.begin() + static_cast<std::ptrdiff_t>(keep));
  }

 private:
  struct Version {
    Generation generation;
    TableRoot root;
  };
  TableId id_;
  std::string name_;
  format::TableKind kind_;
  std::vector<Version> versions_;
};

class TableSet {
 public:
  TableSet() { add(kDefaultTable, "default", format::TableKind::tree); }

  TableState& add(TableId id, std::string name, format::TableKind kind) {
    auto& slot = tables_[id];
    slot = std::make_unique<TableState>(id, std::move(name), kind);
    return *slot;
  }
  TableState& default_table() noexcept { return *tables_.begin()->second; }
  TableState* find(TableId id) noexcept {
    const auto it = tables_.find(id);
    return it == tables_.end() ? nullptr : it->second.get();
  }
  auto begin() const noexcept { return tables_.begin(); }
  auto end() const noexcept { return tables_.end(); }
  std::size_t size() const noexcept { return tables_.size(); }

 private:
  std::map<TableId, std::unique_ptr<TableState>> tables_;
};

// ---- catalog rows -------------------------------------------------------------------------------------------------

std::string catalog_key(TableId id);
std::string catalog_value(const TableState& table, const TableRoot& root);
// Takes a row into the set. Errors: corruption.
Status read_catalog_row(Bytes key, Bytes value, TableSet& tables);

}  // namespace cambium
