// SPDX-License-Identifier: MIT OR Apache-2.0
// Divides a sorted stream of entries into nodes: how full each one gets, and that the last ones are not left thin.
// Pure.
//
// A node is closed when it reaches the target fill or when the next entry does not fit. The last closed node is held
// back until another one has closed after it, so that finish() can even out the last two.
//
// Invariants
//   1. Every group fits a page.
//   2. Groups come out in order and cover every entry once.
//
// Lifetime   keys and values of an entry stay valid until its group has been popped.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "node/node_builder.h"

namespace cambium {

class NodePacker {
 public:
  NodePacker(bool leaf, std::size_t target_bytes) : leaf_(leaf), target_bytes_(target_bytes), open_(leaf) {}

  void add(const node::NodeEntry& entry);
  // No entry comes after these: divides what is left.
  void finish();

  // A group that may be built now.
  bool ready() const noexcept { return finished_ ? !ends_.empty() : ends_.size() >= 2; }
  std::span<const node::NodeEntry> front() const noexcept {
    return std::span(entries_).subspan(first_, ends_.front() - first_);
  }
  void pop_front();
  // Entries not in a built group yet.
  std::span<const node::NodeEntry> pending() const noexcept { return std::span(entries_).subspan(first_); }

  // How full the pages would be, on average, if the stream ended here; 1 when there is nothing left.
  double fill_if_finished() const noexcept;
  bool empty() const noexcept { return first_ == entries_.size(); }
  std::uint64_t added() const noexcept { return added_; }
  std::uint64_t popped() const noexcept { return added_ - (entries_.size() - first_); }

 private:
  node::NodeSize size_of(std::size_t first, std::size_t end) const noexcept;

  bool leaf_;
  std::size_t target_bytes_;
  std::vector<node::NodeEntry> entries_;
  std::size_t first_ = 0;          // start of the first group
  std::vector<std::size_t> ends_;  // of the closed groups
  node::NodeSize open_;            // the entries after the last closed group
  bool finished_ = false;
  std::uint64_t added_ = 0;
};

}  // namespace cambium
