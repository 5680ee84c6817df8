// SPDX-License-Identifier: MIT OR Apache-2.0
// Point lookups of the B+tree: one at a time, and interleaved.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/text.h"
#include "tree/tree_builder.h"
#include "tree/tree_cursor.h"
#include "tree/tree_rebuild.h"
#include "tree/tree_store.h"

namespace cambium {

using node::NodeView;

Error misfit(const BlockDevice& device, PageId page, std::string_view what) {
  return Error(
      Errc::corruption, rt::str("page ", raw(page), " of ", device.name(), " ", what),
      "its checksum is right, yet it does not fit the tree: run `cambium check`; restore the file from a backup");
}

FindState TreeStore::find_in_leaf(FrameIndex frame, Bytes key, FoundEntry& found) noexcept {
  cache_.touch(frame);
  bool equal = false;
  if (of_ == Of::sstables && format::is_packed_leaf(cache_.bytes(frame))) {
    const node::NodeSpan leaves = cache_.nodes(frame);
    const node::NodeSpan::Place place = leaves.leaf_lower_bound(key, equal);
    if (!equal) return FindState::absent;
    found.frame = kNoFrame;
    found.entry = leaves[place.leaf].leaf_entry(place.index);
    return FindState::found;
  }
  const NodeView leaf(cache_.bytes(frame));
  const std::size_t index = leaf.leaf_lower_bound(key, equal);
  if (!equal) return FindState::absent;
  found.frame = frame;
  found.entry = leaf.leaf_entry(index);
  return FindState::found;
}

bool TreeStore::keeps_promise(const Lookup& lookup, FrameIndex frame) noexcept {
  const node::NodeSpan child = cache_.nodes(frame);
  if (lookup.promise.known()) return lookup.promise.broken_by(child) == nullptr;
  if (!cache_.right(lookup.parent, level_of(lookup.level) + 1)) return true;
  return node::validate_child(NodeView(cache_.bytes(lookup.parent.frame)), lookup.index, child) == nullptr;
}

FindState TreeStore::find(const TableRoot& root, Bytes key, Lookup& lookup, FoundEntry& found) noexcept {
  unsigned level = lookup.started ? level_of(lookup.level) : root.height - 1;
  FrameIndex frame = lookup.started ? lookup.arrived : cache_.find(root.pointer, asked(level), root.frame);
  if (lookup.started && frame == kNoFrame) frame = cache_.find(lookup.missing, asked(level));
  if (frame == kNoFrame) {
    if (!lookup.started) lookup = {.missing = root.pointer, .level = asked(level), .started = true};
    return FindState::missing;
  }
  // Having waited, it goes on in the middle: the page that came is compared with what its parent promises all the same.
  if (lookup.started && !keeps_promise(lookup, frame)) return FindState::damaged;
  for (; level > 0; --level) {
    cache_.touch_branch(frame);
    const NodeView branch(cache_.bytes(frame));
    const std::size_t index = branch.child_index(key);
    // Where most leaves are read from the device, a hint is one more line to wait for, and wrong.
    if (level > 1 || !cache_.mostly_misses()) {
      const PageCache::Hint hint = cache_.guess_child(frame, index, level == 1);
      if (cache_.right(hint, asked(level - 1))) [[likely]] {
        frame = hint.frame;
        continue;
      }
    }
    branch.warm_separator(index);  // for the note below: it arrives together with the pointer
    const format::ChildPointer child = branch.child(index);
    const FrameIndex there = cache_.find(child, asked(level - 1));
    const FrameIndex above = std::exchange(frame, there);
    if (there != kNoFrame && cache_.teach(above, index, child, there)) continue;
    lookup = {.missing = child,
              .level = asked(level - 1),
              .started = true,
              .parent = {static_cast<std::uint32_t>(raw(branch.id())), above},
              .index = static_cast<std::uint32_t>(index)};
    if (there != kNoFrame) return FindState::damaged;
    lookup.promise.note(branch, index);
    return FindState::missing;
  }
  return find_in_leaf(frame, key, found);
}

namespace {

// One of several lookups on their way down together.
struct Step {
  FrameIndex frame = kNoFrame;  // where it is, or (guessed) the branch it left
  unsigned level = 0;
  std::uint32_t index = 0;
  bool guessed = false;  // `hint` says where it goes, not yet confirmed
  PageCache::Hint hint;
};

// Confirms the guess of the round before, now that the child's header has had time to arrive.
void arrive(PageCache& cache, Step& step, MultiLookup& lookup) noexcept {
  step.guessed = false;
  if (cache.right(step.hint, step.level)) [[likely]] {
    step.frame = step.hint.frame;
    return;
  }
  const format::ChildPointer child = NodeView(cache.bytes(step.frame)).child(step.index);
  step.frame = cache.find_child(step.frame, step.index, child, step.level);
  if (step.frame == kNoFrame) lookup.lookup = {.missing = child, .level = step.level, .started = true};
}

}  // namespace

// Each round moves every lookup of a group down one level; a child's lines are on their way to the CPU's cache while
// the others move. Measured: 139-212 ns per lookup instead of 299-600 one at a time.
void TreeStore::find_many(const TableRoot& root, std::span<MultiLookup> lookups) noexcept {
  CAMBIUM_ASSERT(of_ == Of::tables);  // what is found packed is gone with the next lookup
  constexpr std::size_t kGroup = 16;
  for (std::size_t first = 0; first < lookups.size(); first += kGroup) {
    const std::span<MultiLookup> group = lookups.subspan(first, std::min(kGroup, lookups.size() - first));
    Step steps[kGroup];
    unsigned deepest = 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
      MultiLookup& l = group[i];
      if (l.state == FindState::found) continue;
      steps[i].level = l.lookup.started ? l.lookup.level : root.height - 1;
      steps[i].frame = l.lookup.started ? cache_.find(l.lookup.missing, steps[i].level)
                                        : cache_.find(root.pointer, steps[i].level, root.frame);
      l.state = FindState::missing;
      if (steps[i].frame == kNoFrame && !l.lookup.started) {
        l.lookup = {.missing = root.pointer, .level = steps[i].level, .started = true};
      }
      if (steps[i].frame != kNoFrame) deepest = std::max(deepest, steps[i].level);
    }
    for (unsigned round = deepest; round > 0; --round) {
      for (std::size_t i = 0; i < group.size(); ++i) {
        Step& step = steps[i];
        if (step.guessed) arrive(cache_, step, group[i]);
        if (step.frame == kNoFrame || step.level == 0) continue;
        cache_.touch_branch(step.frame);
        step.index = static_cast<std::uint32_t>(NodeView(cache_.bytes(step.frame)).child_index(group[i].key));
        --step.level;
        step.hint = cache_.guess_child(step.frame, step.index, step.level == 0);
        step.guessed = true;
      }
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (steps[i].guessed) arrive(cache_, steps[i], group[i]);
      if (steps[i].frame == kNoFrame) continue;
      const char* page = cache_.bytes(steps[i].frame);
      PageCache::prefetch_record(page, NodeView(page).leaf_record_hint(group[i].key));
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (steps[i].frame != kNoFrame) group[i].state = find_in_leaf(steps[i].frame, group[i].key, group[i].found);
    }
  }
}

std::unique_ptr<TableCursor> TreeStore::cursor(const TableRoot& root, CursorOptions options) {
  return std::make_unique<TreeCursor>(cache_, streams_, root, options, asked(0));
}

std::unique_ptr<SortedBuilder> TreeStore::builder(PageWriter& writer, BuilderOptions options) {
  CAMBIUM_ASSERT(options.compression == Compression::none || of_ == Of::sstables);
  return std::make_unique<TreeBuilder>(writer, options.leaves, options.compression);
}

Task<Result<TableRoot>> TreeStore::apply(TableRoot root, std::span<const Change> changes, PageWriter& writer) {
  TreeRebuild rebuild(root, writer);
  Result<TableRoot> result = co_await rebuild.apply(changes);
  co_return result;
}

Task<Result<TableRoot>> TreeStore::relocate(TableRoot root, PageId limit, std::uint64_t pages_max, PageWriter& writer,
                                            bool& more) {
  TreeRebuild rebuild(root, writer);
  Result<TableRoot> result = co_await rebuild.relocate(limit, pages_max, more);
  co_return result;
}

}  // namespace cambium
