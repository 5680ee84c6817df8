// SPDX-License-Identifier: MIT OR Apache-2.0
// Which store keeps the tables of which kind: the one place where a kind becomes code.
//
// Lifetime   the stores outlive it.
#pragma once

#include <cambium/ids.h>

#include "base/assert.h"
#include "table_store.h"

namespace cambium {

class TableStores {
 public:
  TableStores(TableStore& tree, TableStore* levels = nullptr) noexcept
      : tree_(&tree), levels_(levels) {}  // NOLINT: converts, for those without levels

  // Null: this build has no store of the kind.
  TableStore* find(TableKind kind) const noexcept { return kind == TableKind::tree ? tree_ : levels_; }
  TableStore& of(TableKind kind) const noexcept {
    TableStore* const store = find(kind);
    CAMBIUM_ASSERT_MSG(store != nullptr, "open() refuses tables of kinds that have no store");
    return *store;
  }

 private:
  TableStore* tree_;
  TableStore* levels_;
};

}  // namespace cambium
