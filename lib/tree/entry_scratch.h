// SPDX-License-Identifier: MIT OR Apache-2.0
// Copies of old pages whose entries are on their way into new ones, so that no page stays pinned meanwhile. Pure.
//
// Copying a page costs about 100 ns; what it holds is given free in the order in which it was taken.
//
// Lifetime   bytes handed out stay in place until release() has passed the entry they belong to.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

namespace cambium {

class EntryScratch {
 public:
  // A copy of the page.
  const char* copy_page(const char* page) {
    open_block();
    std::memcpy(blocks_.back().bytes.get(), page, kPageBytes);
    used_ = kPageBytes;
    return blocks_.back().bytes.get();
  }
  // A copy of some bytes (at most 4 KiB), kept as long as the newest page.
  Bytes copy(Bytes bytes) {
    char* to = reserve(bytes.size());
    std::memcpy(to, bytes.data(), bytes.size());
    return commit(bytes.size());
  }
  // Room for up to `bytes` bytes; commit() takes what was used of it.
  char* reserve(std::size_t bytes) {
    if (blocks_.empty() || used_ + bytes > kBlockBytes) open_block();
    return blocks_.back().bytes.get() + used_;
  }
  Bytes commit(std::size_t bytes) noexcept {
    const Bytes result(blocks_.back().bytes.get() + used_, bytes);
    used_ += bytes;
    return result;
  }
  // Everything handed out so far belongs to entries before number `entries`.
  void mark(std::uint64_t entries) noexcept {
    if (!blocks_.empty()) blocks_.back().last_entry = kOpen;  // it may have been marked before, and written to since
    for (auto it = blocks_.rbegin(); it != blocks_.rend() && it->last_entry == kOpen; ++it) it->last_entry = entries;
  }
  // Entries before number `entries` are built: their blocks may be used again.
  void release(std::uint64_t entries) {
    // The newest block may still be written to.
    while (blocks_.size() > 1 && blocks_.front().last_entry <= entries) {
      spare_.push_back(std::move(blocks_.front()));
      blocks_.pop_front();
    }
  }
  void clear() {
    for (Block& block : blocks_) spare_.push_back(std::move(block));
    blocks_.clear();
    used_ = 0;
  }

 private:
  static constexpr std::size_t kBlockBytes = 4 * kPageBytes;
  static constexpr std::uint64_t kOpen = ~std::uint64_t{0};
  struct Block {
    std::unique_ptr<char[]> bytes;
    std::uint64_t last_entry = kOpen;
  };
  void open_block() {
    if (!blocks_.empty()) blocks_.back().last_entry = kOpen;  // the next mark() covers it too
    if (spare_.empty()) {
      blocks_.push_back({std::make_unique<char[]>(kBlockBytes), kOpen});
    } else {
      blocks_.push_back(std::move(spare_.back()));
      spare_.pop_back();
      blocks_.back().last_entry = kOpen;
    }
    used_ = 0;
  }

  std::deque<Block> blocks_;
  std::vector<Block> spare_;
  std::size_t used_ = 0;  // of the newest block
};

}  // namespace cambium
