// SPDX-License-Identifier: MIT OR Apache-2.0
// First half of a rebuild: which nodes are touched, level by level from the root.
#include <algorithm>

#include <cambium/rt/check.h>

#include "tree/tree_rebuild.h"
#include "tree/tree_store.h"

namespace cambium {

using node::NodeView;

namespace {

constexpr std::size_t kReadAheadNodes = 64;

// End of the changes, from `first` on, whose keys are below `bound`: galloping, since most nodes get few.
std::uint32_t changes_below(std::span<const Change> changes, std::uint32_t first, std::uint32_t end, Bytes bound) {
  std::uint32_t step = 1;
  std::uint32_t low = first;
  while (low + step < end && changes[low + step].key_view() < bound) {
    low += step;
    step *= 2;
  }
  const auto begin = changes.begin() + low;
  const auto stop = changes.begin() + std::min(end, low + step);
  const auto at = std::partition_point(begin, stop, [&](const Change& change) { return change.key_view() < bound; });
  return static_cast<std::uint32_t>(at - changes.begin());
}

}  // namespace

void TreeRebuild::read_ahead(unsigned level, std::size_t from) {
  const std::vector<DirtyNode>& nodes = dirty(level);
  if (ahead_ > from + kReadAheadNodes / 2) return;  // refill in halves: fewer, larger submissions
  ahead_ = std::max(ahead_, from + 1);
  for (; ahead_ < nodes.size() && ahead_ < from + kReadAheadNodes; ++ahead_) {
    cache_.prefetch(nodes[ahead_].pointer, level);
  }
}

// Before anything is allocated: a page of ours that the space map calls free could be given away in this very commit.
Status TreeRebuild::all_used(const NodeView& branch) {
  for (std::size_t i = 0; i < branch.count(); ++i) {
    Status used = writer_.space().expect_used({branch.child(i).id(), 1});
    if (!used) return used;
  }
  return {};
}

Task<Status> TreeRebuild::plan_changes() {
  levels_.resize(root_.height);
  co_await check(writer_.space().expect_used({root_.pointer.id(), 1}));
  const auto all = static_cast<std::uint32_t>(changes_.size());
  dirty(root_.height - 1).push_back({root_.pointer, kNoParent, 0, 0, all, false});
  for (unsigned level = root_.height - 1; level > 0; --level) {
    const std::vector<DirtyNode>& nodes = dirty(level);
    std::vector<DirtyNode>& children = dirty(level - 1);
    ahead_ = 0;
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
      read_ahead(level, i);
      PageRef page = co_await check(fetch(nodes[i].pointer, level));
      const NodeView branch(page.bytes());
      co_await check(all_used(branch));
      for (std::uint32_t first = nodes[i].first; first < nodes[i].end;) {
        const std::size_t slot = branch.child_index(changes_[first].key_view());
        std::uint32_t end = nodes[i].end;
        if (slot + 1 < branch.count()) {
          const Bytes limit(bound_.data(), branch.separator(slot + 1, bound_.data()));
          end = changes_below(changes_, first, end, limit);
        }
        children.push_back({branch.child(slot), i, static_cast<std::uint32_t>(slot), first, end, false});
        first = end;
      }
      co_await breathe();
    }
  }
  co_return Status();
}

// Every branch is looked at (they are one page in a hundred); leaves are known from their parents. Leaves that refer
// to overflow extents have to be read to know where those are.
Task<Status> TreeRebuild::plan_relocation(PageId limit, std::uint64_t pages_max, bool& more) {
  levels_.resize(root_.height);
  co_await check(writer_.space().expect_used({root_.pointer.id(), 1}));
  dirty(root_.height - 1).push_back({root_.pointer, kNoParent, 0, 0, 0, root_.pointer.id() >= limit});
  const bool all_leaves = root_.overflow_pages != 0;
  std::uint64_t planned = 0;
  for (unsigned level = root_.height - 1; level > 0; --level) {
    const std::vector<DirtyNode>& nodes = dirty(level);
    std::vector<DirtyNode>& children = dirty(level - 1);
    ahead_ = 0;
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
      read_ahead(level, i);
      PageRef page = co_await check(fetch(nodes[i].pointer, level));
      const NodeView branch(page.bytes());
      co_await check(all_used(branch));
      // Branches that refer to the same pages over and over would be as many as the paths to them.
      if (children.size() > writer_.space().file_pages()) {
        co_return misfit(cache_.device(), branch.id(), "is one of more nodes than the file has pages");
      }
      for (std::uint32_t slot = 0; slot < branch.count(); ++slot) {
        const format::ChildPointer child = branch.child(slot);
        const bool beyond = child.id() >= limit;
        if (level == 1 && !beyond && !all_leaves) continue;
        if (beyond && planned >= pages_max) more = true;
        const bool forced = beyond && planned < pages_max;
        planned += forced ? 1 : 0;
        if (level == 1 && !forced && !all_leaves) continue;
        children.push_back({child, i, slot, 0, 0, forced});
      }
      co_await breathe();
    }
  }
  value_pages_left_ = pages_max - planned;  // for the values met in leaves
  co_return Status();
}

}  // namespace cambium
