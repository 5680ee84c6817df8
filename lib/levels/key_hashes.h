// SPDX-License-Identifier: MIT OR Apache-2.0
// The hashes of an sstable's keys, kept until their number is known and the filter's shape can be chosen.
//
// Invariants
//   1. Every hash added is drained exactly once.
//
// Units      8 bytes per key, in pieces of 64 KiB, each given back as soon as it is drained; no step copies what is
// there. Errors     std::bad_alloc from add().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "levels/blocked_filter.h"

namespace cambium {

class KeyHashes {
 public:
  static constexpr std::size_t kPieceHashes = 8192;

  void add(std::uint64_t hash) {
    if (count_ % kPieceHashes == 0) pieces_.push_back(std::make_unique_for_overwrite<std::uint64_t[]>(kPieceHashes));
    pieces_.back()[count_ % kPieceHashes] = hash;
    ++count_;
  }
  std::size_t count() const noexcept { return count_; }
  std::size_t memory_bytes() const noexcept { return pieces_.size() * kPieceHashes * sizeof(std::uint64_t); }

  // Moves at least one piece, and up to `hashes_max` hashes rounded up to a piece, into the filter. True: all are in.
  bool drain_some(FilterBuilder& filter, std::size_t hashes_max) noexcept {
    if (pieces_.empty()) return true;
    for (std::size_t moved = 0; !pieces_.empty() && (moved == 0 || moved < hashes_max); moved += kPieceHashes) {
      const std::size_t in_piece = count_ - (pieces_.size() - 1) * kPieceHashes;
      for (std::size_t i = 0; i < in_piece; ++i) filter.add(pieces_.back()[i]);
      count_ -= in_piece;
      pieces_.pop_back();
    }
    return pieces_.empty();
  }

 private:
  std::vector<std::unique_ptr<std::uint64_t[]>> pieces_;  // all full but the last
  std::size_t count_ = 0;
};

}  // namespace cambium
