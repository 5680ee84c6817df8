// SPDX-License-Identifier: MIT OR Apache-2.0
// LeafUnpacker: from a page as it is in the file and in the cache to the nodes that it shows.
//
// An ordinary node is the page itself. Packed leaves are unpacked, into memory of the unpacker's own, or of the
// caller's; the page that was unpacked last is remembered, so that the next look at it costs nothing.
//
// Invariants
//   1. What nodes() shows has passed validate(), or was built here: unpacking it again cannot fail.
//
// Units      memory: 36 KiB, and the codec's own, both taken with the first packed page.
// Errors     validate(): null, or what is wrong, whatever the bytes are.
// Lifetime   what lies in the unpacker's memory is valid until its next call.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>

#include "compress/codec.h"
#include "format/packed_leaf_page.h"
#include "node/node_builder.h"
#include "node/node_span.h"

namespace cambium::node {

class LeafUnpacker {
 public:
  // The door for packed pages, as validate_node() is for others: the page and all that is in it.
  const char* validate(const char* page) noexcept;
  // Requires: a page that was validated, or was built here.
  NodeSpan nodes(const char* page) noexcept { return format::is_packed_leaf(page) ? unpacked(page) : NodeSpan(page); }
  // Into `memory`, of format::kUnpackedBytesMax bytes, which they are valid as long as. Requires: a packed page.
  NodeSpan unpack(const char* page, char* memory) noexcept;

 private:
  NodeSpan unpacked(const char* page) noexcept;
  bool unpack_to(const char* page, char* memory) noexcept;
  // By all of its bytes: number, generation and checksum are those of another page too, once in four billion times.
  bool holds(const char* page) const noexcept { return holding_ && std::memcmp(page, held_page(), kPageBytes) == 0; }
  char* held_page() const noexcept { return memory_.get() + format::kUnpackedBytesMax; }
  void hold(const char* page) noexcept;

  Decompressor codec_;
  std::unique_ptr<char[]> memory_;  // the leaves, and behind them the page they were unpacked from
  bool holding_ = false;
};

// Fills a page with leaves that were compressed, all but the checksum. Requires: `packed` fits, and is what `leaves`
// leaves, built with an empty identity, were compressed to.
void build_packed_leaf(char* page, const NodeIdentity& identity, Compression compression, std::size_t leaves,
                       Bytes packed) noexcept;

}  // namespace cambium::node
