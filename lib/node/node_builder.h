// SPDX-License-Identifier: MIT OR Apache-2.0
// Builds the bytes of one tree node from a sorted run of entries. Pure.
//
// NodeSize answers, in O(1) per entry, how many bytes a node of the entries so far takes: the packer decides with it
// where one node ends and the next begins. build_node() then fills the page in one pass.
//
// Invariants
//   1. NodeSize is exactly what build_node() takes, so entries whose NodeSize fits kPageBytes always fit.
//   2. The same entries give the same bytes (the rest of the page is zero).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <cambium/ids.h>
#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

#include "format/node_page.h"

namespace cambium::node {

// An entry on its way into a node: of a leaf (value, kind, expiry) or of a branch (child).
struct NodeEntry {
  Bytes key;
  Bytes value;
  format::ChildPointer child;
  std::uint64_t expiry = 0;
  format::EntryKind kind = format::EntryKind::value;
};

// The size of a node that holds a run of entries, as the run grows at its end.
class NodeSize {
 public:
  explicit NodeSize(bool leaf) noexcept : leaf_(leaf) {}

  void add(const NodeEntry& entry) noexcept;
  // The same if the node stays within `limit` bytes then; else nothing changes.
  bool add_within(const NodeEntry& entry, std::size_t limit) noexcept;
  // What bytes() would be with this entry at the end.
  std::size_t bytes_with(const NodeEntry& entry) const noexcept {
    NodeSize grown = *this;
    grown.add(entry);
    return grown.bytes();
  }
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t count() const noexcept { return count_; }

 private:
  std::size_t measure() const noexcept;

  bool leaf_;
  std::size_t bytes_ = sizeof(format::NodeHeader);  // measure(), kept
  std::size_t count_ = 0;
  std::size_t prefix_ = 0;
  std::size_t key_bytes_ = 0;    // of the keys that take part in the prefix
  std::size_t other_bytes_ = 0;  // values, expiries, and fixed parts
  std::size_t keys_ = 0;
  std::size_t short_keys_[format::kHeadBytes + 1] = {};  // by length after the prefix, of those that a head can hold
  Bytes first_key_;
};

struct NodeIdentity {
  PageId page;
  Generation generation;
  std::uint64_t file_id;
  unsigned level;
};

// Fills a page (kPageBytes) with the entries, all but the checksum. Requires: entries non-empty, ascending, and of a
// size that fits.
void build_node(char* page, const NodeIdentity& identity, std::span<const NodeEntry> entries) noexcept;

// Length of the common prefix of two keys.
std::size_t common_prefix(Bytes a, Bytes b) noexcept;

// The shortest key that is above `low` and not above `high`: what separates two leaves. Requires: low < high.
inline Bytes shortest_separator(Bytes low, Bytes high) noexcept {
  return Bytes(high.data(), common_prefix(low, high) + 1);
}

}  // namespace cambium::node
