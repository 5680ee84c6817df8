// SPDX-License-Identifier: MIT OR Apache-2.0
// Builds a tree from a sorted stream, bottom up, every node full: the sorted load.
//
// Each level has a packer; a finished node becomes an entry of the level above. Nothing is read. Where somebody wants
// to know of the leaves, they come first in the file, in order, and the branches after the last of them.
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

#include "node/short_compare.h"
#include "table_store.h"
#include "tree/entry_scratch.h"
#include "tree/node_packer.h"

namespace cambium {

class TreeBuilder final : public SortedBuilder {
 public:
  explicit TreeBuilder(PageWriter& writer, LeafSink* leaves = nullptr) : writer_(writer), leaves_(leaves) {}

  bool add(Bytes key, Bytes value, format::EntryKind kind) override;
  bool ready() const noexcept override { return !levels_.empty() && levels_.front()->packer.ready(); }
  Task<Status> add_long(Bytes key, Bytes value) override;
  Task<Status> pump() override;
  Task<Result<TableRoot>> finish() override;
  Bytes last_key() const noexcept override { return last_key_; }

 private:
  struct Level {
    explicit Level(bool leaf) : packer(leaf, kPageBytes) {}
    NodePacker packer;
    EntryScratch scratch;
    std::string last_key;
    std::uint64_t nodes = 0;
  };
  bool above_last(Bytes key) const noexcept { return last_key_.empty() || node::key_below(last_key_, key); }
  void append(Bytes key, Bytes value, format::EntryKind kind);
  Level& level(std::size_t index);
  Task<Status> emit(std::size_t level_index);

  PageWriter& writer_;
  LeafSink* leaves_;
  std::vector<std::unique_ptr<Level>> levels_;
  TableRoot root_;
  Bytes last_key_;  // in the newest block of the leaves' scratch, which is not released
};

}  // namespace cambium
