// SPDX-License-Identifier: MIT OR Apache-2.0
// Second half of a rebuild: one old node and what changes in it become a stream of entries.
#include <algorithm>
#include <cstring>
#include <memory>

#include <cambium/rt/check.h>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "cache/overflow_value.h"
#include "tree/tree_rebuild.h"

namespace cambium {

using format::EntryKind;
using node::LeafEntry;
using node::NodeEntry;
using node::NodeView;

namespace {

NodeEntry entry_of(const NodeView& leaf, std::size_t index, EntryScratch& scratch) {
  char* key = scratch.reserve(kKeyBytesMax + NodeView::kKeySlack);
  LeafEntry old;
  const Bytes copied = scratch.commit(leaf.leaf_key_and_entry(index, key, old));
  return {.key = copied, .value = old.value, .child = {}, .expiry = old.expiry, .kind = old.kind};
}

}  // namespace

void TreeRebuild::retire_value(Bytes reference) {
  const OverflowView overflow(reference);
  for (std::size_t i = 0; i < overflow.extent_count(); ++i) {
    retired_.push_back({overflow.extent(i), overflow.generation()});
    root_.overflow_pages -= overflow.extent(i).pages;
  }
}

// A change on its way into a leaf. A long value goes to extents of its own, the leaf gets the reference.
Task<Status> TreeRebuild::append_change(const Change& change) {
  NodeEntry entry;
  entry.key = change.key_view();
  entry.value = change.value_view();
  if (change.value_bytes > kInlineValueBytesMax) {
    std::string reference;
    co_await check(writer_.write_value(change.value_view(), reference));
    root_.overflow_pages += format::overflow_pages(change.value_bytes);
    entry.value = scratch_.copy(reference);
    entry.kind = EntryKind::overflow;
  }
  packer_->add(entry);
  co_return Status();
}

// Relocation: a value with an extent beyond the limit is read and written again.
Task<Status> TreeRebuild::append_moved_value(const NodeEntry& entry, bool& moved) {
  const OverflowView overflow(entry.value);
  NodeEntry copy = entry;
  const bool beyond = overflow.reaches(move_limit_);
  if (beyond && value_pages_left_ == 0) {
    *more_ = true;
  } else if (beyond) {
    moved = true;
    const std::uint64_t pages = format::overflow_pages(overflow.value_bytes());
    value_pages_left_ -= std::min(value_pages_left_, pages);
    OverflowBuffer value = co_await check(read_overflow(cache_.device(), overflow));
    std::string reference;
    co_await check(writer_.write_value(value.bytes(), reference));
    retire_value(entry.value);
    root_.overflow_pages += format::overflow_pages(value.bytes().size());
    copy.value = scratch_.copy(reference);
  }
  packer_->add(copy);
  co_return Status();
}

Task<Status> TreeRebuild::append_leaf(const DirtyNode& dirty_node, Place place, bool& changed) {
  keep_in_cache_ = cache_.resident(dirty_node.pointer.id());
  const char* copy = nullptr;
  {
    PageRef page = co_await check(fetch(dirty_node.pointer, 0));
    copy = scratch_.copy_page(page.bytes());
  }
  const NodeView leaf(copy);
  co_await check(fitting(leaf, place));
  retire(leaf);
  bool effective = dirty_node.forced;
  std::size_t at = 0;
  for (std::uint32_t c = dirty_node.first; c < dirty_node.end; ++c) {
    const Change& change = changes_[c];
    if (c + Change::kPrefetchAhead < changes_.size()) changes_[c + Change::kPrefetchAhead].prefetch();
    bool equal = false;
    const std::size_t position = leaf.leaf_lower_bound(change.key_view(), equal);
    for (; at < position; ++at) packer_->add(entry_of(leaf, at, scratch_));
    if (equal) {
      const LeafEntry old = leaf.leaf_entry(position);
      if (old.kind == EntryKind::overflow && !CAMBIUM_PLANTED(long_value_not_freed)) retire_value(old.value);
      if (old.kind == EntryKind::overflow && CAMBIUM_PLANTED(long_value_freed_twice)) retire_value(old.value);
      at = position + 1;
    }
    effective = effective || equal || !change.remove;
    if (!change.remove) {
      co_await check(append_change(change));
    }
  }
  const bool moving = raw(move_limit_) != 0 && root_.overflow_pages != 0;
  for (; at < leaf.count(); ++at) {
    const NodeEntry entry = entry_of(leaf, at, scratch_);
    if (moving && entry.kind == EntryKind::overflow) {
      co_await check(append_moved_value(entry, effective));
    } else {
      packer_->add(entry);
    }
  }
  if (effective) changed = true;
  co_return Status();
}

Task<Status> TreeRebuild::append_branch(unsigned level, const DirtyNode& dirty_node, Place place, Bytes low) {
  const Bytes bound = scratch_.copy(low);
  const char* copy = nullptr;
  {
    PageRef page = co_await check(fetch(dirty_node.pointer, level));
    copy = scratch_.copy_page(page.bytes());
  }
  const NodeView branch(copy);
  co_await check(fitting(branch, place));
  retire(branch);
  std::uint32_t next = dirty_node.first;
  for (std::uint32_t slot = 0; slot < branch.count();) {
    NodeEntry entry;
    if (slot == 0) {
      entry.key = bound;
    } else {
      char* key = scratch_.reserve(kKeyBytesMax);
      entry.key = scratch_.commit(branch.separator(slot, key));
    }
    if (next == dirty_node.end || below_.replacements[next].slot_first != slot) {
      entry.child = branch.child(slot);
      packer_->add(entry);
      ++slot;
      continue;
    }
    const Replacement& replacement = below_.replacements[next];
    for (std::uint32_t out = replacement.out_first; out < replacement.out_end; ++out) {
      const NewChild& child = below_.children[out];
      if (!child.key.empty()) entry.key = child.key;
      entry.child = child.pointer;
      packer_->add(entry);
    }
    slot = replacement.slot_end;
    ++next;
  }
  CAMBIUM_ASSERT(next == dirty_node.end);
  co_return Status();
}

// A sibling that nothing touches, taken along to fill thin pages.
Task<Status> TreeRebuild::append_clean(unsigned level, format::ChildPointer pointer, Place place, Bytes low) {
  if (level > 0) {
    const DirtyNode untouched{pointer, kNoParent, 0, 0, 0, true};
    co_await check(append_branch(level, untouched, place, low));
    co_return Status();
  }
  const char* copy = nullptr;
  {
    PageRef page = co_await check(fetch(pointer, 0));
    copy = scratch_.copy_page(page.bytes());
  }
  const NodeView leaf(copy);
  co_await check(fitting(leaf, place));
  retire(leaf);
  for (std::size_t i = 0; i < leaf.count(); ++i) packer_->add(entry_of(leaf, i, scratch_));
  co_return Status();
}

}  // namespace cambium
