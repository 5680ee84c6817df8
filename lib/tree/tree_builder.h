// SPDX-License-Identifier: MIT OR Apache-2.0
// Builds a tree from a sorted stream, bottom up, every node full: the sorted load.
//
// Each level has a packer; a finished node becomes an entry of the level above. Nothing is read. Where somebody wants
// to know of the leaves, they come first in the file, in order, and the branches after the last of them. Those of
// compressed sstables are divided, and packed, by a LeafPacker.
//
// Invariants
//   1. Keys ascend strictly (add() refuses others).
//
// Errors     invalid_argument for a key out of order; no_space, io from writing.
// Suspends   pump() and finish(), for buffers and extents.
// Lifetime   keys and values are copied by add().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/short_compare.h"
#include "table_store.h"
#include "tree/entry_scratch.h"
#include "tree/leaf_packer.h"
#include "tree/node_packer.h"

namespace cambium {

class TreeBuilder final : public SortedBuilder {
 public:
  explicit TreeBuilder(PageWriter& writer, LeafSink* leaves = nullptr, Compression compression = Compression::none);

  bool add(Bytes key, Bytes value, format::EntryKind kind) override;
  bool ready() const noexcept override { return !levels_.empty() && ready(0); }
  Task<Status> add_long(Bytes key, Bytes value) override;
  Task<Status> pump() override;
  Task<Result<TableRoot>> finish() override;
  Bytes last_key() const noexcept override { return last_key_; }
  PackedLeaves packed() const noexcept override { return leaf_packer_ ? leaf_packer_->packed() : PackedLeaves{}; }

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
  bool packs(std::size_t level_index) const noexcept { return level_index == 0 && leaf_packer_.has_value(); }
  bool ready(std::size_t level_index) const noexcept {
    return packs(level_index) ? leaf_packer_->ready() : levels_[level_index]->packer.ready();
  }
  Task<Status> emit(std::size_t level_index);

  PageWriter& writer_;
  LeafSink* leaves_;
  std::vector<std::unique_ptr<Level>> levels_;
  std::optional<LeafPacker> leaf_packer_;  // in place of the one of level 0
  TableRoot root_;
  Bytes last_key_;  // in the newest block of the leaves' scratch, which is not released
};

}  // namespace cambium
