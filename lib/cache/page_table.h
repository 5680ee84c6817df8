// SPDX-License-Identifier: MIT OR Apache-2.0
// Hash table from page to frame: open addressing, linear probing, deletion by shifting back. Pure.
//
// Invariants
//   1. At most half full: sized for twice the number of frames.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace cambium {

using FrameIndex = std::uint32_t;
inline constexpr FrameIndex kNoFrame = ~FrameIndex{0};

class PageTable {
 public:
  explicit PageTable(std::size_t frames) : slots_(std::bit_ceil(frames * 2 + 2)), mask_(slots_.size() - 1) {}

  FrameIndex find(std::uint32_t page) const noexcept {
    for (std::size_t i = home(page);; i = (i + 1) & mask_) {
      if (slots_[i].page == page) return slots_[i].frame;
      if (slots_[i].page == kEmpty) return kNoFrame;
    }
  }
  void warm(std::uint32_t page) const noexcept { __builtin_prefetch(&slots_[home(page)]); }
  void insert(std::uint32_t page, FrameIndex frame) noexcept {
    ++size_;
    CAMBIUM_ASSERT(page != kEmpty && size_ <= slots_.size() / 2);
    std::size_t i = home(page);
    while (slots_[i].page != kEmpty) i = (i + 1) & mask_;
    slots_[i] = {page, frame};
  }
  // Requires: the page is there.
  void erase(std::uint32_t page) noexcept {
    std::size_t hole = home(page);
    while (slots_[hole].page != page) hole = (hole + 1) & mask_;
    --size_;
    for (std::size_t i = (hole + 1) & mask_; slots_[i].page != kEmpty; i = (i + 1) & mask_) {
      const std::size_t wanted = home(slots_[i].page);
      if (((i - wanted) & mask_) < ((i - hole) & mask_)) continue;  // it may not move before its home
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
  }
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::uint32_t kEmpty = 0;  // page 0 is a superblock, never cached
  struct Slot {
    std::uint32_t page = kEmpty;
    FrameIndex frame = kNoFrame;
  };
  std::size_t home(std::uint32_t page) const noexcept {
    return static_cast<std::size_t>((page * std::uint64_t{0x9E3779B97F4A7C15}) >> 32) & mask_;
  }

  std::vector<Slot> slots_;
  std::size_t mask_;
  std::size_t size_ = 0;
};

}  // namespace cambium
