// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A block of uninitialised memory: heap below 2 MiB, a huge mapping from there on.
//
// Write buffers, large values and sorted runs live in such blocks. The split keeps the hard memory budget
// honest: one touched byte of a huge mapping costs 2 MiB, far too much for a 64 KiB buffer; and a heap
// block of many MiB would fault and be unmapped in 4 KiB pages, which holds the loop for milliseconds.
//
// Invariants data() is aligned to a cache line.
// Units      bytes; footprint_bytes(n) is what a block for n bytes costs the budget.
// Errors     a failed make() is a null block: test it.
// Lifetime   freed by the destructor; move only.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "base/huge_memory.h"

namespace cambium {

class MemoryBlock {
 public:
  MemoryBlock() noexcept = default;
  MemoryBlock(MemoryBlock&& other) noexcept
      : huge_(std::move(other.huge_)), heap_(std::exchange(other.heap_, nullptr)) {}
  MemoryBlock& operator=(MemoryBlock&& other) noexcept {
    MemoryBlock taken(std::move(other));
    std::swap(huge_, taken.huge_);
    std::swap(heap_, taken.heap_);
    return *this;
  }
  ~MemoryBlock() { ::operator delete(heap_, kAlign); }

  [[nodiscard]] static MemoryBlock make(std::size_t bytes) noexcept {
    MemoryBlock block;
    if (bytes >= rt::kHugePageBytes) {
      block.huge_ = rt::HugeMemory::map(bytes);
    } else if (bytes > 0) {
      block.heap_ = ::operator new(bytes, kAlign, std::nothrow);
    }
    return block;
  }

  [[nodiscard]] static constexpr std::size_t footprint_bytes(std::size_t bytes) noexcept {
    if (bytes < rt::kHugePageBytes) return bytes;
    return (bytes + rt::kHugePageBytes - 1) / rt::kHugePageBytes * rt::kHugePageBytes;
  }

  [[nodiscard]] explicit operator bool() const noexcept { return data() != nullptr; }
  [[nodiscard]] std::byte* data() const noexcept { return huge_ ? huge_.data() : static_cast<std::byte*>(heap_); }

 private:
  static constexpr std::align_val_t kAlign{64};

  rt::HugeMemory huge_;
  void* heap_ = nullptr;
};

}  // namespace cambium
