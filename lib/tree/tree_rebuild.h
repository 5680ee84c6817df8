// SPDX-License-Identifier: MIT OR Apache-2.0
// The one mutation of a tree: old nodes and a sorted run of changes become new nodes, level by level.
//
// 1. Plan, top down: which nodes does the run touch, and which changes fall to each. Children are read ahead.
// 2. Rebuild, bottom up: each run of touched neighbours under one parent is merged with its changes into a stream of
//    entries, divided into pages anew (NodePacker), built once, and reported upwards as "children a..b became these".
//    A run that would end in thin pages takes the next sibling with it, so splitting a full leaf costs one extra page
//    and leaves stay at least two thirds full.
//
// Nothing is edited: the old version stays whole until the space map lets go of it.
//
// Invariants
//   1. Every replaced page is freed exactly once, with its birth generation, and only if it is replaced.
//   2. Entries of old nodes are copied before the page is unpinned: one pin at a time below the parent's.
//
// Errors     io, corruption (reading, or pages that do not fit together), no_space (writing): the caller aborts the
//            commit.
// Suspends   reading a node that is not cached, writing, and whenever 300 us have passed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/arena.h"
#include "table_store.h"
#include "tree/entry_scratch.h"
#include "tree/node_packer.h"

namespace cambium {

class TreeRebuild {
 public:
  TreeRebuild(const TableRoot& root, PageWriter& writer);

  Task<Result<TableRoot>> apply(std::span<const Change> changes);
  // Moves what lies at or beyond `limit`; see TableStore::relocate().
  Task<Result<TableRoot>> relocate(PageId limit, std::uint64_t pages_max, bool& more);

 private:
  static constexpr std::uint32_t kNoParent = ~std::uint32_t{0};

  // A node that is replaced, or whose children may be.
  struct DirtyNode {
    format::ChildPointer pointer;
    std::uint32_t parent;  // index among the dirty nodes one level up
    std::uint32_t slot;    // which child of it
    std::uint32_t first;   // leaf: changes [first, end); branch: replacements [first, end) of the level below
    std::uint32_t end;
    bool forced;  // replaced even if nothing in it changes (relocation)
  };
  struct NewChild {
    Bytes key;  // its lower bound; empty for the first of a replacement: the old separator stays
    format::ChildPointer pointer;
  };
  // Children [slot_first, slot_end) of a dirty node became outputs [out_first, out_end).
  struct Replacement {
    std::uint32_t node;
    std::uint32_t slot_first;
    std::uint32_t slot_end;
    std::uint32_t out_first;
    std::uint32_t out_end;
  };

  // What a level produced; lives until the level above has consumed it.
  struct LevelOutput {
    std::vector<Replacement> replacements;
    std::vector<NewChild> children;
    std::unique_ptr<rt::Arena> keys = std::make_unique<rt::Arena>(std::size_t{64} << 10);
  };

  Task<Status> plan_changes();
  Task<Status> plan_relocation(PageId limit, std::uint64_t pages_max, bool& more);
  Task<Result<TableRoot>> rebuild();
  Task<Status> rebuild_level(unsigned level);
  Task<Status> rebuild_run(unsigned level, std::size_t& node, std::size_t group_end, const char* parent);
  // Where a node hangs: its parent's page, and which child of it; no page for the root.
  struct Place {
    const char* parent;
    std::uint32_t slot;
  };
  Status fitting(const node::NodeView& node, Place place) const;
  Status all_used(const node::NodeView& branch);
  Task<Status> append_leaf(const DirtyNode& node, Place place, bool& changed);
  Task<Status> append_branch(unsigned level, const DirtyNode& node, Place place, Bytes low);
  Task<Status> append_clean(unsigned level, format::ChildPointer pointer, Place place, Bytes low);
  Task<Status> append_change(const Change& change);
  Task<Status> append_moved_value(const node::NodeEntry& entry, bool& moved);
  Task<Status> emit_ready(unsigned level);
  Task<Status> grow_root(unsigned& level, std::vector<NewChild>& roots);
  Task<Result<PageRef>> fetch(format::ChildPointer pointer, unsigned level);
  Task<void> breathe();
  void read_ahead(unsigned level, std::size_t from);
  void retire(const node::NodeView& old);
  void retire_value(Bytes reference);
  void drop_unchanged(unsigned level);
  std::vector<DirtyNode>& dirty(unsigned level) { return levels_[level]; }

  TableRoot root_;
  PageWriter& writer_;
  PageCache& cache_;
  Core& core_;
  std::span<const Change> changes_;
  PageId move_limit_{};                 // relocation: pages from here on are moved
  std::uint64_t value_pages_left_ = 0;  // relocation: pages of long values that may still be moved
  bool* more_ = nullptr;                // relocation: set when something beyond the limit is left
  std::vector<std::vector<DirtyNode>> levels_;
  LevelOutput below_;   // of the level last rebuilt
  LevelOutput output_;  // of the level being rebuilt

  // The run being rebuilt.
  std::unique_ptr<NodePacker> packer_;
  EntryScratch scratch_;
  std::vector<std::pair<PageRun, Generation>> retired_;
  std::string last_key_;  // of the page emitted before, for the separator
  bool keep_in_cache_ = false;
  std::vector<char> bound_;  // a separator of the parent, put together
  std::size_t ahead_ = 0;    // dirty nodes of this level already asked for
};

}  // namespace cambium
