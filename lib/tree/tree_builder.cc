// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/tree_builder.h"

#include <cambium/rt/check.h>

#include "cache/overflow_value.h"

namespace cambium {

using node::NodeEntry;

TreeBuilder::TreeBuilder(PageWriter& writer, LeafSink* leaves, Compression compression)
    : writer_(writer), leaves_(leaves) {
  if (compression != Compression::none) leaf_packer_.emplace(compression);
}

TreeBuilder::Level& TreeBuilder::level(std::size_t index) {
  if (index == levels_.size()) levels_.push_back(std::make_unique<Level>(index == 0));
  return *levels_[index];
}

void TreeBuilder::append(Bytes key, Bytes value, format::EntryKind kind) {
  Level& leaf = level(0);
  char* copy = leaf.scratch.reserve(key.size() + value.size());
  std::memcpy(copy, key.data(), key.size());
  std::memcpy(copy + key.size(), value.data(), value.size());
  const Bytes both = leaf.scratch.commit(key.size() + value.size());
  NodeEntry entry;
  entry.key = Bytes(both.data(), key.size());
  entry.value = Bytes(both.data() + key.size(), value.size());
  entry.kind = kind;
  last_key_ = entry.key;
  if (leaf_packer_) {
    leaf_packer_->add(entry);
    leaf.scratch.mark(leaf_packer_->added());
  } else {
    leaf.packer.add(entry);
    leaf.scratch.mark(leaf.packer.added());
  }
}

bool TreeBuilder::add(Bytes key, Bytes value, format::EntryKind kind) {
  if (!above_last(key)) return false;
  if (kind == format::EntryKind::overflow) {
    const OverflowView overflow(value);
    for (std::size_t i = 0; i < overflow.extent_count(); ++i) root_.overflow_pages += overflow.extent(i).pages;
  }
  append(key, value, kind);
  return true;
}

Task<Status> TreeBuilder::add_long(Bytes key, Bytes value) {
  if (!above_last(key)) co_return Error(Errc::invalid_argument, "keys of a sorted load must ascend");
  std::string reference;
  co_await check(writer_.write_value(value, reference));
  root_.overflow_pages += format::overflow_pages(value.size());
  append(key, reference, format::EntryKind::overflow);
  co_return Status();
}

// Builds the ready nodes of one level and hands them to the level above.
Task<Status> TreeBuilder::emit(std::size_t index) {
  Level& from = level(index);
  while (ready(index)) {
    PageWriter::Slot slot = co_await check(writer_.next());
    const node::NodeIdentity identity{slot.id, writer_.generation(), writer_.file_id(), static_cast<unsigned>(index)};
    std::span<const NodeEntry> entries;
    if (packs(index)) {
      entries = leaf_packer_->build(slot.data, identity);
    } else {
      entries = from.packer.front();
      node::build_node(slot.data, identity, entries);
    }
    NodeEntry child;
    child.child.page = static_cast<std::uint32_t>(raw(slot.id));
    child.child.checksum = writer_.seal(slot, index > 0 || writer_.cache().has_free_frame());
    for (const NodeEntry& entry : entries) child.child.entries += index == 0 ? 1 : entry.child.entries;
    ++root_.node_pages;
    ++from.nodes;
    Level& above = level(index + 1);
    if (!from.last_key.empty()) {
      const Bytes first = entries.front().key;
      child.key = above.scratch.copy(index == 0 ? node::shortest_separator(from.last_key, first) : first);
    }
    from.last_key.assign(index == 0 ? entries.back().key.view() : std::string_view("x"));
    if (index == 0 && leaves_ != nullptr) leaves_->leaf(child.key, child.child);
    above.packer.add(child);
    above.scratch.mark(above.packer.added());
    if (packs(index)) {
      leaf_packer_->pop();
      from.scratch.release(leaf_packer_->popped());
    } else {
      from.packer.pop_front();
      from.scratch.release(from.packer.popped());
    }
  }
  co_return Status();
}

Task<Status> TreeBuilder::pump() {
  const std::size_t levels = leaves_ == nullptr ? levels_.size() : 1;
  for (std::size_t index = 0; index < levels; ++index) {
    if (!ready(index)) break;
    co_await check(emit(index));
  }
  co_return Status();
}

Task<Result<TableRoot>> TreeBuilder::finish() {
  if (levels_.empty()) co_return root_;
  for (std::size_t index = 0;; ++index) {
    Level& at = level(index);
    at.packer.finish();
    if (packs(index)) leaf_packer_->finish();
    co_await check(emit(index));
    if (at.nodes == 1) {  // the one node of this level is the root; the level above holds only its pointer
      const NodePacker& above = level(index + 1).packer;
      root_.height = static_cast<std::uint32_t>(index + 1);
      root_.pointer = above.pending().front().child;
      co_return root_;
    }
  }
}

}  // namespace cambium
