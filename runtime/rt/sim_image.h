// SPDX-License-Identifier: MIT OR Apache-2.0
// SimImage: the bytes of one simulated file, sparse, in copy-on-write blocks shared between copies.
//
// Blocks of 4 KiB hang in chunks of 64. Copying an image copies one pointer per 256 KiB; the first write to a shared
// block copies that block and its chunk's pointers. A crash image of a 4 MiB file thus starts at 16 pointers.
//
// Invariants
//   1. A node with one owner may be written; with more it is copied first.
//   2. Bytes at and beyond size_bytes() are zero.
//   3. A missing chunk or block reads as zeros; a hole is a block that was punched and needs space again.
//
// Units      bytes.
// Lifetime   copies are independent; the owner counts are atomic, so copies may live on different threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <cambium/rt/sim.h>

namespace cambium::rt {

template <class T>
class CowPtr {
 public:
  CowPtr() noexcept = default;
  CowPtr(const CowPtr& other) noexcept : node_(other.node_) {
    if (node_ != nullptr) node_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  CowPtr(CowPtr&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  CowPtr& operator=(CowPtr other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~CowPtr() { reset(); }

  void reset() noexcept {
    if (node_ != nullptr && node_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node_;
    node_ = nullptr;
  }
  const T* get() const noexcept { return node_ != nullptr ? &node_->value : nullptr; }

  // A value that only we see: a new one where there was none, a copy where it was shared.
  T& own() {
    if (node_ == nullptr) {
      node_ = new Node();
    } else if (node_->owners.load(std::memory_order_acquire) != 1) {
      CowPtr copy;
      copy.node_ = new Node(node_->value);
      std::swap(node_, copy.node_);
    }
    return node_->value;
  }

 private:
  struct Node {
    Node() = default;
    explicit Node(const T& from) : value(from) {}
    std::atomic<std::uint32_t> owners{1};
    T value{};
  };
  Node* node_ = nullptr;
};

class SimImage {
 public:
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  std::uint64_t allocated_blocks() const noexcept;
  std::uint64_t holes_in(std::uint64_t offset, std::uint64_t bytes) const noexcept;  // blocks a write would need

  void read(std::uint64_t offset, char* to, std::size_t bytes) const noexcept;  // zeros beyond the end
  void write(std::uint64_t offset, const char* from, std::size_t bytes);        // cut off at the end
  void resize(std::uint64_t bytes);
  void punch(std::uint64_t offset, std::uint64_t bytes);  // whole blocks become holes, the rest zeros

 private:
  static constexpr std::uint64_t kChunkBlocks = 64;
  struct Block {
    char bytes[kSimBlockBytes] = {};
  };
  struct Chunk {
    CowPtr<Block> blocks[kChunkBlocks];
    std::uint64_t holes = 0;  // one bit per block
  };

  const Block* block(std::uint64_t index) const noexcept;
  bool is_hole(std::uint64_t index) const noexcept;
  Block& own_block(std::uint64_t index);  // no hole afterwards
  void drop_block(std::uint64_t index, bool hole);
  void zero_inside(std::uint64_t offset, std::uint64_t end);  // within one block

  std::uint64_t size_bytes_ = 0;
  std::uint64_t hole_count_ = 0;
  std::vector<CowPtr<Chunk>> chunks_;
};

}  // namespace cambium::rt
