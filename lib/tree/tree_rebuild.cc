// SPDX-License-Identifier: MIT OR Apache-2.0
// The rebuild itself: levels, runs, emission. Planning is in tree_plan.cc, merging one node in tree_merge.cc.
#include "tree/tree_rebuild.h"

#include <cstring>

#include <cambium/rt/check.h>

#include "base/assert.h"
#include "tree/tree_store.h"

namespace cambium {

using node::NodeEntry;
using node::NodeView;

namespace {

// A node is closed at nine tenths: an insert or two later does not split it at once.
constexpr std::size_t kTargetBytes = kPageBytes * 9 / 10;
// A run that would end thinner than this takes its next sibling along, twice at most.
constexpr double kFillMin = 0.70;
constexpr unsigned kSiblingsMax = 2;

}  // namespace

TreeRebuild::TreeRebuild(const TableRoot& root, PageWriter& writer)
    : root_(root), writer_(writer), cache_(writer.cache()), core_(writer.cache().core()), bound_(kKeyBytesMax) {}

Task<Result<TableRoot>> TreeRebuild::apply(std::span<const Change> changes) {
  changes_ = changes;
  if (changes.empty()) co_return root_;
  if (root_.height != 0) {
    co_await check(plan_changes());
  }
  Result<TableRoot> root = co_await rebuild();
  co_return root;
}

Task<Result<TableRoot>> TreeRebuild::relocate(PageId limit, std::uint64_t pages_max, bool& more) {
  more = false;
  if (root_.height == 0) co_return root_;
  move_limit_ = limit;
  more_ = &more;
  co_await check(plan_relocation(limit, pages_max, more));
  Result<TableRoot> root = co_await rebuild();
  co_return root;
}

Task<Result<TableRoot>> TreeRebuild::rebuild() {
  unsigned level = 0;
  if (root_.height == 0) {  // an empty tree: the changes alone are the stream
    packer_ = std::make_unique<NodePacker>(true, kTargetBytes);
    keep_in_cache_ = true;
    for (const Change& change : changes_) {
      if (change.remove) continue;
      co_await check(append_change(change));
      co_await check(emit_ready(0));
    }
    packer_->finish();
    co_await check(emit_ready(0));
    below_ = std::move(output_);
  } else {
    for (; level < root_.height; ++level) {
      if (level > 0) drop_unchanged(level);
      co_await check(rebuild_level(level));
      below_ = std::move(output_);
      output_ = LevelOutput();
    }
    --level;
    if (below_.replacements.empty()) co_return root_;  // nothing changed after all
  }
  std::vector<NewChild> roots = std::move(below_.children);  // whose keys stay in below_
  co_await check(grow_root(level, roots));
  root_.pointer = roots.empty() ? format::ChildPointer{} : roots.front().pointer;
  root_.height = roots.empty() ? 0 : level + 1;
  root_.frame = kNoFrame;
  co_return root_;
}

// Puts branches on top until there is one root, or takes single-child branches off the top.
Task<Status> TreeRebuild::grow_root(unsigned& level, std::vector<NewChild>& roots) {
  while (roots.size() > 1) {
    ++level;
    packer_ = std::make_unique<NodePacker>(false, kTargetBytes);
    last_key_.clear();
    output_ = LevelOutput();
    keep_in_cache_ = true;
    for (const NewChild& child : roots) {
      NodeEntry entry;
      entry.key = child.key;
      entry.child = child.pointer;
      packer_->add(entry);
    }
    packer_->finish();
    co_await check(emit_ready(level));
    below_ = std::move(output_);  // keeps the keys that `roots` refers to
    roots = std::move(below_.children);
  }
  // Fewer children than before may leave a chain of single-child branches at the top.
  while (roots.size() == 1 && level > 0) {
    const format::ChildPointer pointer = roots.front().pointer;
    if (cache_.find(pointer.id()) == kNoFrame) {
      co_await check(writer_.settle());
    }
    PageRef page = co_await check(fetch(pointer, level));
    const NodeView root(page.bytes());
    if (root.count() > 1) break;
    roots.front().pointer = root.child(0);
    co_await check(writer_.space().free({root.id(), 1}, root.generation()));
    --root_.node_pages;
    --level;
  }
  co_return Status();
}

// Hands the replacements of the level below to the nodes they belong to; nodes without any stay as they are.
void TreeRebuild::drop_unchanged(unsigned level) {
  std::vector<DirtyNode>& nodes = dirty(level);
  std::uint32_t at = 0;
  for (std::uint32_t i = 0; i < nodes.size(); ++i) {
    nodes[i].first = at;
    while (at < below_.replacements.size() && below_.replacements[at].node == i) ++at;
    nodes[i].end = at;
  }
  CAMBIUM_ASSERT(at == below_.replacements.size());
  std::erase_if(nodes, [](const DirtyNode& node) { return node.first == node.end && !node.forced; });
}

Task<Status> TreeRebuild::rebuild_level(unsigned level) {
  const std::vector<DirtyNode>& nodes = dirty(level);
  ahead_ = 0;
  for (std::size_t i = 0; i < nodes.size();) {
    std::size_t group_end = i + 1;
    while (group_end < nodes.size() && nodes[group_end].parent == nodes[i].parent) ++group_end;
    PageRef parent;
    if (nodes[i].parent != kNoParent) {
      const format::ChildPointer pointer = dirty(level + 1)[nodes[i].parent].pointer;
      parent = co_await check(fetch(pointer, level + 1));
    }
    while (i < group_end) {
      co_await check(rebuild_run(level, i, group_end, parent ? parent.bytes() : nullptr));
    }
  }
  co_return Status();
}

// One run of neighbours, from nodes[node] on, and what follows under the same parent; advances `node` past it.
Task<Status> TreeRebuild::rebuild_run(unsigned level, std::size_t& node, std::size_t group_end, const char* parent) {
  const std::vector<DirtyNode>& nodes = dirty(level);
  const std::uint32_t parent_index = nodes[node].parent;
  const std::uint32_t slot_first = nodes[node].slot;
  const std::size_t siblings = parent != nullptr ? NodeView(parent).count() : 1;
  const auto out_first = static_cast<std::uint32_t>(output_.children.size());
  packer_ = std::make_unique<NodePacker>(level == 0, kTargetBytes);
  last_key_.clear();
  retired_.clear();
  bool changed = false;
  std::uint32_t slot = slot_first;

  for (unsigned taken = 0;;) {
    const bool is_dirty = node < group_end && nodes[node].slot == slot;
    // Relocation looks at leaves that may stay: they are not rewritten for standing beside one that moves.
    if (is_dirty && raw(move_limit_) != 0 && level == 0 && changed && packer_->fill_if_finished() >= kFillMin) break;
    const bool may_extend = changed && slot < siblings && taken < kSiblingsMax;
    if (!is_dirty && !(may_extend && packer_->fill_if_finished() < kFillMin)) break;
    const Bytes bound =
        parent != nullptr ? Bytes(bound_.data(), NodeView(parent).separator(slot, bound_.data())) : Bytes();
    if (is_dirty) {
      read_ahead(level, node);
      if (level == 0) {
        co_await check(append_leaf(nodes[node], {parent, slot}, changed));
      } else {
        co_await check(append_branch(level, nodes[node], {parent, slot}, bound));
        changed = true;
      }
      ++node;
    } else {
      co_await check(append_clean(level, NodeView(parent).child(slot), {parent, slot}, bound));
      ++taken;
    }
    ++slot;
    if (level == 0 && !changed) {  // the first leaf, and nothing in it changed: it stays
      root_.node_pages += retired_.size();
      scratch_.clear();
      co_return Status();
    }
    scratch_.mark(packer_->added());
    co_await check(emit_ready(level));
    co_await breathe();
  }
  packer_->finish();
  co_await check(emit_ready(level));
  scratch_.clear();
  for (const auto& [run, birth] : retired_) {
    co_await check(writer_.space().free(run, birth));
  }
  output_.replacements.push_back(
      {parent_index, slot_first, slot, out_first, static_cast<std::uint32_t>(output_.children.size())});
  co_return Status();
}

// Builds the nodes that are ready, and notes each as a child for the level above.
Task<Status> TreeRebuild::emit_ready(unsigned level) {
  while (packer_->ready()) {
    const std::span<const NodeEntry> entries = packer_->front();
    PageWriter::Slot slot = co_await check(writer_.next());
    node::build_node(slot.data, {slot.id, writer_.generation(), writer_.file_id(), level}, entries);
    NewChild child;
    child.pointer.page = static_cast<std::uint32_t>(raw(slot.id));
    child.pointer.checksum = writer_.seal(slot, keep_in_cache_ || level > 0 || cache_.has_free_frame());
    for (const NodeEntry& entry : entries) child.pointer.entries += level == 0 ? 1 : entry.child.entries;
    if (!last_key_.empty()) {
      // Between leaves the shortest key that tells them apart; between branches the one that already does.
      const Bytes first = entries.front().key;
      const Bytes separator = level == 0 ? node::shortest_separator(last_key_, first) : first;
      char* copy = output_.keys->allocate(separator.size(), 1);
      std::memcpy(copy, separator.data(), separator.size());
      child.key = Bytes(copy, separator.size());
    }
    last_key_.assign(level == 0 ? entries.back().key.view() : std::string_view("x"));
    output_.children.push_back(child);
    ++root_.node_pages;
    packer_->pop_front();
    scratch_.release(packer_->popped());
  }
  co_return Status();
}

Task<Result<PageRef>> TreeRebuild::fetch(format::ChildPointer pointer, unsigned level) {
  Result<PageRef> page = co_await cache_.fetch(pointer, level);
  co_return page;
}

Task<void> TreeRebuild::breathe() {
  if (core_.over_budget()) co_await core_.yield();
}

// What is merged has to be in order: entries of a node that does not fit between its parent's separators would not be.
Status TreeRebuild::fitting(const NodeView& node, Place place) const {
  if (place.parent == nullptr) return {};
  const char* const wrong = node::validate_child(NodeView(place.parent), place.slot, node);
  return wrong == nullptr ? Status() : Status(misfit(cache_.device(), node.id(), wrong));
}

// The old page is not part of the new version; freed when its run is done.
void TreeRebuild::retire(const NodeView& old) {
  retired_.push_back({{old.id(), 1}, old.generation()});
  cache_.disown(old.id());
  --root_.node_pages;
}

}  // namespace cambium
