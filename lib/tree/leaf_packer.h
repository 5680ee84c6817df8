// SPDX-License-Identifier: MIT OR Apache-2.0
// Divides a sorted stream of entries into pages of packed leaves (format/packed_leaf_page.h), as full as they get.
// Pure.
//
// How much fits a page is known when it is compressed, and not before. So the share that the last page came to is the
// guess for the next one, and what came of the guess corrects it: three tries at most, mostly two. The last leaf of a
// page is cut where the page is full, so that any ratio above one is a gain. Where entries do not get smaller the page
// is an ordinary leaf, and fewer and fewer of those that follow are tried.
//
// Invariants
//   1. Entries come out in order, each once.
//   2. A page of packed leaves holds at least a quarter more than the leaf that would be there instead.
//
// Units      memory: 32 KiB of leaves, as much for what they are compressed to, the codec's own.
// Lifetime   keys and values of an entry stay valid until it has been popped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compress/codec.h"
#include "format/packed_leaf_page.h"
#include "node/node_builder.h"
#include "table_store.h"

namespace cambium {

class LeafPacker {
 public:
  // Requires: has_codec(compression).
  explicit LeafPacker(Compression compression);

  void add(const node::NodeEntry& entry);
  void finish() noexcept { finished_ = true; }
  // Is enough there for a page, or what is there all there is?
  bool ready() const noexcept { return finished_ ? first_ != entries_.size() : pending_bytes_ >= wanted_bytes_; }
  // Builds the next page, all but its checksum, and shows the entries in it, which pop() takes away. Requires: ready().
  std::span<const node::NodeEntry> build(char* page, const node::NodeIdentity& identity);
  void pop();

  std::uint64_t added() const noexcept { return added_; }
  std::uint64_t popped() const noexcept { return added_ - (entries_.size() - first_); }
  const PackedLeaves& packed() const noexcept { return packed_; }

 private:
  static constexpr unsigned kTries = 3;
  static constexpr unsigned kLeftOutMax = 31;  // leaves in a row that are not tried
  static std::uint64_t content(const node::NodeEntry& entry) noexcept { return entry.key.size() + entry.value.size(); }
  const node::NodeEntry& pending(std::size_t index) const noexcept { return entries_[first_ + index]; }
  void divide();
  std::size_t entries_of(double content_bytes) const noexcept;
  std::size_t compress(std::size_t count);
  std::size_t pack(char* page, const node::NodeIdentity& identity);
  void expect(double share) noexcept;

  Compressor codec_;
  std::vector<node::NodeEntry> entries_;
  std::size_t first_ = 0;  // of those that are pending
  std::uint64_t pending_bytes_ = 0;
  std::uint64_t wanted_bytes_;
  std::uint64_t added_ = 0;
  bool finished_ = false;
  double share_;                     // compressed bytes per byte of content, as of the last try
  unsigned in_vain_ = 0;             // tries in a row that came to nothing
  unsigned left_out_ = 0;            // leaves that are not tried yet
  std::size_t built_ = 0;            // entries of the page that was built last
  std::vector<std::size_t> ends_;    // of the leaves that the pending entries make
  std::vector<std::uint64_t> sums_;  // content of the first pending entries
  std::unique_ptr<char[]> leaves_;
  std::unique_ptr<char[]> compressed_;
  PackedLeaves packed_;
};

}  // namespace cambium
