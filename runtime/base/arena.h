// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A bump allocator: many small allocations, one release.
//
// Write buffers keep their entries in one. Allocations are cut from chunks of a fixed size; what does not
// fit into a whole chunk gets a chunk of its own.
//
// Invariants
//   1. An allocation never moves, and its bytes are the caller's until reset() or destruction.
//   2. bytes_used() <= bytes_reserved().
//   3. Under AddressSanitizer every byte that is not allocated is poisoned, also after reset().
//
// Units      bytes. bytes_used() includes alignment gaps, not the unused tails of full chunks.
// Errors     allocate() returns null when the system has no memory; the arena is then unchanged.
//            The limit on the total is the caller's: ask bytes_reserved() before, not after.
// Lifetime   memory is returned to the system by the destructor only (own chunks of large allocations: by
//            reset()). Neither copies nor moves: an arena is where its owner is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/huge_memory.h"
#include "base/sanitizer.h"

namespace cambium::rt {

class Arena {
 public:
  /// Chunks of 2 MiB and more are huge memory (rounded up to 2 MiB), smaller ones heap memory.
  /// Allocates nothing yet. Requires: chunk_bytes >= 64.
  explicit Arena(std::size_t chunk_bytes) noexcept;
  ~Arena();

  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `bytes` bytes, aligned; not zeroed. bytes may be 0 (a unique end is not promised).
  /// Requires: align is a power of two, at most 4096.
  [[nodiscard]] char* allocate(std::size_t bytes, std::size_t align = 8) noexcept {
    CAMBIUM_ASSERT(align != 0 && (align & (align - 1)) == 0 && align <= kAlignMax);
    const std::size_t gap = (0 - reinterpret_cast<std::uintptr_t>(next_)) & (align - 1);
    const auto room = static_cast<std::size_t>(end_ - next_);
    if (next_ == nullptr || gap > room || bytes > room - gap) return allocate_slow(bytes, align);
    char* const result = next_ + gap;
    next_ = result + bytes;
    bytes_used_ += gap + bytes;
    asan_unpoison(result, bytes);
    return result;
  }

  [[nodiscard]] std::size_t bytes_used() const noexcept { return bytes_used_; }
  [[nodiscard]] std::size_t bytes_reserved() const noexcept { return bytes_reserved_; }

  /// Forgets all allocations; keeps the chunks, so that filling the arena again costs no page faults.
  void reset() noexcept;

 private:
  static constexpr std::size_t kAlignMax = 4096;

  struct Chunk {
    HugeMemory huge;  // null: `begin` came from the heap
    char* begin = nullptr;
    std::size_t bytes = 0;
  };

  char* allocate_slow(std::size_t bytes, std::size_t align) noexcept;
  static void free_chunk(Chunk& chunk) noexcept;
  bool add_chunk(std::vector<Chunk>& chunks, std::size_t bytes) noexcept;
  void enter(const Chunk& chunk) noexcept;

  std::size_t chunk_bytes_;
  char* next_ = nullptr;  // the free part of the current chunk is [next_, end_)
  char* end_ = nullptr;
  std::vector<Chunk> chunks_;  // of chunk_bytes_ each; the first chunks_entered_ hold allocations
  std::size_t chunks_entered_ = 0;
  std::vector<Chunk> large_chunks_;  // one allocation each
  std::size_t bytes_used_ = 0;
  std::size_t bytes_reserved_ = 0;
};

}  // namespace cambium::rt
