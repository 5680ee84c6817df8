// SPDX-License-Identifier: MIT OR Apache-2.0
// NodeSpan: the nodes that a page shows: itself, or the leaves that were packed in it (format/packed_leaf_page.h),
// which lie side by side in memory then. Pure.
//
// Invariants
//   1. At least one node; if several, all are leaves, and keys ascend from one to the next.
//
// Lifetime   as NodeView: of the bytes it looks at.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

#include "node/node_view.h"

namespace cambium::node {

class NodeSpan {
 public:
  explicit NodeSpan(const char* page, std::size_t count = 1) noexcept : first_(page), count_(count) {}

  std::size_t count() const noexcept { return count_; }
  NodeView operator[](std::size_t index) const noexcept { return NodeView(first_ + index * kPageBytes); }
  NodeView front() const noexcept { return NodeView(first_); }
  NodeView back() const noexcept { return (*this)[count_ - 1]; }
  bool is_leaf() const noexcept { return front().is_leaf(); }
  // Of all its nodes.
  std::size_t entries() const noexcept {
    std::size_t entries = front().count();
    for (std::size_t i = 1; i < count_; ++i) entries += (*this)[i].count();
    return entries;
  }

  // Where the first entry not below a key is: in which leaf, as what entry of it. Behind the last entry of the last
  // leaf when all are below.
  struct Place {
    std::size_t leaf = 0;
    std::size_t index = 0;
  };
  Place leaf_lower_bound(Bytes key, bool& equal) const noexcept {
    Place place;
    for (;; ++place.leaf) {
      const NodeView leaf = (*this)[place.leaf];
      place.index = leaf.leaf_lower_bound(key, equal);
      if (place.index != leaf.count() || place.leaf + 1 == count_) return place;
    }
  }
  // How many entries come before a place.
  std::size_t entries_before(Place place) const noexcept {
    std::size_t entries = place.index;
    for (std::size_t i = 0; i < place.leaf; ++i) entries += (*this)[i].count();
    return entries;
  }

 private:
  const char* first_;
  std::size_t count_;
};

// validate_child(), of a child that may be packed.
const char* validate_child(const NodeView& parent, std::size_t index, const NodeSpan& child) noexcept;

}  // namespace cambium::node
