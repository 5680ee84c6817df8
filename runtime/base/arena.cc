// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/arena.h"

#include <new>
#include <utility>

namespace cambium::rt {

Arena::Arena(std::size_t chunk_bytes) noexcept : chunk_bytes_(chunk_bytes) { CAMBIUM_ASSERT(chunk_bytes >= 64); }

Arena::~Arena() {
  for (Chunk& chunk : chunks_) free_chunk(chunk);
  for (Chunk& chunk : large_chunks_) free_chunk(chunk);
}

char* Arena::allocate_slow(std::size_t bytes, std::size_t align) noexcept {
  // A chunk begins at the largest alignment, so what is allocated first in it needs no gap.
  //
  // A large piece gets a chunk of its own rather than leaving the rest of this one unused: so at most a
  // quarter of any chunk is ever wasted.
  const bool starts_here = next_ == nullptr && bytes <= chunk_bytes_;
  if (bytes > chunk_bytes_ / 4 && !starts_here) {
    if (!add_chunk(large_chunks_, bytes)) return nullptr;
    bytes_used_ += bytes;
    char* const result = large_chunks_.back().begin;
    asan_unpoison(result, bytes);
    return result;
  }
  if (chunks_entered_ == chunks_.size() && !add_chunk(chunks_, chunk_bytes_)) return nullptr;
  enter(chunks_[chunks_entered_++]);
  return allocate(bytes, align);
}

void Arena::reset() noexcept {
  for (Chunk& chunk : large_chunks_) {
    bytes_reserved_ -= chunk.bytes;
    free_chunk(chunk);
  }
  large_chunks_.clear();
  for (const Chunk& chunk : chunks_) asan_poison(chunk.begin, chunk.bytes);
  next_ = end_ = nullptr;
  chunks_entered_ = 0;
  bytes_used_ = 0;
}

void Arena::enter(const Chunk& chunk) noexcept {
  next_ = chunk.begin;
  end_ = chunk.begin + chunk.bytes;
}

bool Arena::add_chunk(std::vector<Chunk>& chunks, std::size_t bytes) noexcept {
  try {
    chunks.reserve(chunks.size() + 1 > chunks.capacity() ? 2 * chunks.size() + 8 : chunks.capacity());
  } catch (const std::bad_alloc&) {
    return false;
  }
  Chunk chunk;
  // Large pieces come from the heap, which takes whole small pages for them, not whole huge ones.
  const bool huge = &chunks == &chunks_ && bytes >= kHugePageBytes;
  if (huge) {
    chunk.huge = HugeMemory::map(bytes, OnFork::copied);
    chunk.begin = reinterpret_cast<char*>(chunk.huge.data());
    chunk.bytes = chunk.huge.size();
  } else {
    chunk.begin = static_cast<char*>(::operator new(bytes, std::align_val_t{kAlignMax}, std::nothrow));
    chunk.bytes = bytes;
  }
  if (chunk.begin == nullptr) return false;
  asan_poison(chunk.begin, chunk.bytes);
  bytes_reserved_ += chunk.bytes;
  chunks.push_back(std::move(chunk));
  return true;
}

void Arena::free_chunk(Chunk& chunk) noexcept {
  asan_unpoison(chunk.begin, chunk.bytes);
  if (!chunk.huge) ::operator delete(chunk.begin, std::align_val_t{kAlignMax});
  chunk = Chunk{};
}

}  // namespace cambium::rt
