// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/sim_image.h"

#include <algorithm>
#include <cstring>

namespace cambium::rt {

namespace {

constexpr std::uint64_t blocks_for(std::uint64_t bytes) noexcept {
  return bytes / kSimBlockBytes + (bytes % kSimBlockBytes != 0 ? 1 : 0);
}

// The part of [offset, end) that lies in the block of `offset`.
constexpr std::size_t in_block(std::uint64_t offset, std::uint64_t end) noexcept {
  return static_cast<std::size_t>(std::min<std::uint64_t>(end - offset, kSimBlockBytes - offset % kSimBlockBytes));
}

}  // namespace

const SimImage::Block* SimImage::block(std::uint64_t index) const noexcept {
  if (index / kChunkBlocks >= chunks_.size()) return nullptr;
  const Chunk* chunk = chunks_[index / kChunkBlocks].get();
  return chunk != nullptr ? chunk->blocks[index % kChunkBlocks].get() : nullptr;
}

bool SimImage::is_hole(std::uint64_t index) const noexcept {
  if (index / kChunkBlocks >= chunks_.size()) return false;
  const Chunk* chunk = chunks_[index / kChunkBlocks].get();
  return chunk != nullptr && (chunk->holes >> (index % kChunkBlocks) & 1) != 0;
}

SimImage::Block& SimImage::own_block(std::uint64_t index) {
  Chunk& chunk = chunks_[index / kChunkBlocks].own();
  const std::uint64_t bit = std::uint64_t{1} << (index % kChunkBlocks);
  if ((chunk.holes & bit) != 0) {
    chunk.holes &= ~bit;
    --hole_count_;
  }
  return chunk.blocks[index % kChunkBlocks].own();
}

void SimImage::drop_block(std::uint64_t index, bool hole) {
  if (block(index) == nullptr && is_hole(index) == hole) return;
  Chunk& chunk = chunks_[index / kChunkBlocks].own();
  const std::uint64_t bit = std::uint64_t{1} << (index % kChunkBlocks);
  chunk.blocks[index % kChunkBlocks].reset();
  if (((chunk.holes & bit) != 0) == hole) return;
  chunk.holes ^= bit;
  hole ? ++hole_count_ : --hole_count_;
}

void SimImage::zero_inside(std::uint64_t offset, std::uint64_t end) {
  const std::uint64_t index = offset / kSimBlockBytes;
  if (block(index) == nullptr) return;
  std::memset(own_block(index).bytes + offset % kSimBlockBytes, 0, in_block(offset, end));
}

std::uint64_t SimImage::allocated_blocks() const noexcept { return blocks_for(size_bytes_) - hole_count_; }

std::uint64_t SimImage::holes_in(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  if (hole_count_ == 0) return 0;
  std::uint64_t count = 0;
  const std::uint64_t end = blocks_for(std::min(size_bytes_, offset + bytes));
  for (std::uint64_t index = offset / kSimBlockBytes; index < end; ++index) count += is_hole(index) ? 1u : 0u;
  return count;
}

void SimImage::read(std::uint64_t offset, char* to, std::size_t bytes) const noexcept {
  for (const std::uint64_t end = offset + bytes; offset < end;) {
    const std::size_t part = in_block(offset, end);
    const Block* from = block(offset / kSimBlockBytes);
    if (from != nullptr) {
      std::memcpy(to, from->bytes + offset % kSimBlockBytes, part);
    } else {
      std::memset(to, 0, part);
    }
    to += part;
    offset += part;
  }
}

void SimImage::write(std::uint64_t offset, const char* from, std::size_t bytes) {
  for (const std::uint64_t end = std::min(size_bytes_, offset + bytes); offset < end;) {
    const std::size_t part = in_block(offset, end);
    std::memcpy(own_block(offset / kSimBlockBytes).bytes + offset % kSimBlockBytes, from, part);
    from += part;
    offset += part;
  }
}

void SimImage::resize(std::uint64_t bytes) {
  if (bytes < size_bytes_) {
    // What is cut off must read as zeros, and count as no hole, should the file grow again.
    for (std::uint64_t index = blocks_for(bytes), end = blocks_for(size_bytes_); index < end; ++index) {
      drop_block(index, false);
    }
    if (bytes % kSimBlockBytes != 0) zero_inside(bytes, ~std::uint64_t{0});
  }
  size_bytes_ = bytes;
  const std::uint64_t blocks = blocks_for(bytes);
  chunks_.resize(static_cast<std::size_t>(blocks / kChunkBlocks + (blocks % kChunkBlocks != 0 ? 1 : 0)));
}

void SimImage::punch(std::uint64_t offset, std::uint64_t bytes) {
  for (const std::uint64_t end = std::min(size_bytes_, offset + bytes); offset < end;) {
    const std::size_t part = in_block(offset, end);
    if (part == kSimBlockBytes) {
      drop_block(offset / kSimBlockBytes, true);
    } else {
      zero_inside(offset, end);
    }
    offset += part;
  }
}

}  // namespace cambium::rt
