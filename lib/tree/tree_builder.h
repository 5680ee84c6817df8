// SPDX-License-Identifier: MIT OR Apache-2.0
// Builds a tree from a sorted stream, bottom up, every node full: the sorted load.
//
// Each level has a packer; a finished node becomes an entry of the level above. Nothing is read.
//
// Invariants
//   1. Keys ascend strictly (add() refuses others).
//
// Errors     invalid_argument for a key out of order; no_space, io from writing.
// Suspends   pump() and finish(), for buffers and extents.
// Lifetime   keys and values are copied by add().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "table_store.h"
#include "tree/entry_scratch.h"
#include "tree/node_packer.h"

namespace cambium {

class TreeBuilder {
 public:
  explicit TreeBuilder(PageWriter& writer) : writer_(writer) {}

  // False when the key is not above the one before. After it, pump() while ready().
  bool add(Bytes key, Bytes value);
  bool ready() const noexcept { return !levels_.empty() && levels_.front()->packer.ready(); }
  bool needs_value_write(Bytes value) const noexcept { return value.size() > kInlineValueBytesMax; }
  Task<Status> add_long(Bytes key, Bytes value);  // for needs_value_write()
  Task<Status> pump();                            // builds what is ready
  Task<Result<TableRoot>> finish();

 private:
  struct Level {
    explicit Level(bool leaf) : packer(leaf, kPageBytes) {}
    NodePacker packer;
    EntryScratch scratch;
    std::string last_key;
    std::uint64_t nodes = 0;
  };
  bool above_last(Bytes key) const noexcept { return last_key_.empty() || key > Bytes(last_key_); }
  void append(Bytes key, Bytes value, format::EntryKind kind);
  Level& level(std::size_t index);
  Task<Status> emit(std::size_t level_index);

  PageWriter& writer_;
  std::vector<std::unique_ptr<Level>> levels_;
  TableRoot root_;
  std::string last_key_;
};

}  // namespace cambium
