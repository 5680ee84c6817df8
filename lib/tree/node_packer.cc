// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/node_packer.h"

#include <algorithm>

#include "base/assert.h"

namespace cambium {

using node::NodeEntry;
using node::NodeSize;

void NodePacker::add(const NodeEntry& entry) {
  const bool closed = open_.count() != 0 && open_.bytes() >= target_bytes_;
  if (closed || !open_.add_within(entry, kPageBytes)) {
    if (open_.count() != 0) ends_.push_back(entries_.size());
    open_ = NodeSize(leaf_);
    open_.add(entry);
  }
  entries_.push_back(entry);
  ++added_;
}

void NodePacker::pop_front() {
  first_ = ends_.front();
  ends_.erase(ends_.begin());
  if (first_ == entries_.size()) {
    entries_.clear();
    first_ = 0;
  } else if (first_ >= 1024) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
    for (std::size_t& end : ends_) end -= first_;
    first_ = 0;
  }
}

NodeSize NodePacker::size_of(std::size_t first, std::size_t end) const noexcept {
  NodeSize size(leaf_);
  for (std::size_t i = first; i < end; ++i) size.add(entries_[i]);
  return size;
}

double NodePacker::fill_if_finished() const noexcept {
  if (empty()) return 1;
  std::size_t bytes = open_.bytes();
  std::size_t pages = 1;
  std::size_t from = first_;
  for (const std::size_t end : ends_) {
    bytes += size_of(from, end).bytes();
    from = end;
    ++pages;
  }
  if (pages > 1 && bytes <= kPageBytes) pages = 1;
  return static_cast<double>(bytes) / static_cast<double>(pages * kPageBytes);
}

void NodePacker::finish() {
  finished_ = true;
  if (open_.count() == 0) return;
  const std::size_t end = entries_.size();
  if (ends_.empty()) {
    ends_.push_back(end);
    return;
  }
  // The last closed group and the open one: into one page if they fit, else cut in the middle.
  const std::size_t closed_end = ends_.back();
  ends_.pop_back();
  const std::size_t from = ends_.empty() ? first_ : ends_.back();
  const std::size_t total = size_of(from, end).bytes();
  if (total <= kPageBytes) {
    ends_.push_back(end);
    return;
  }
  // Half of the total may be more than a page: each page's prefix is shared by less when the two are one.
  const std::size_t half = std::min(total / 2, kPageBytes);
  NodeSize low(leaf_);
  std::size_t cut = from;
  while (low.bytes_with(entries_[cut]) <= half) low.add(entries_[cut++]);
  const bool fits = cut > from && cut < end && size_of(cut, end).bytes() <= kPageBytes;
  ends_.push_back(fits ? cut : closed_end);
  ends_.push_back(end);
}

}  // namespace cambium
