// SPDX-License-Identifier: MIT OR Apache-2.0
// LogBlocks: a piece of the log in memory, long enough for any group. For whoever reads past damage: a block that the
// device refuses takes none of its neighbours along.
//
// Errors     resource when there is no memory; load(): those of the device.
// Suspends   load(). Nothing is in flight between calls.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "format/wal_group.h"

namespace cambium {

class LogBlocks {
 public:
  static constexpr std::uint32_t kBytes = format::kWalGroupBytesMax;

  explicit LogBlocks(BlockDevice& device)
      : device_(device), memory_(static_cast<char*>(std::aligned_alloc(format::kWalBlockBytes, kBytes))) {}

  bool valid() const noexcept { return memory_ != nullptr; }
  const char* data() const noexcept { return memory_.get(); }
  std::uint32_t bytes() const noexcept { return bytes_; }  // that the last load() brought
  std::uint64_t bytes_read() const noexcept { return bytes_read_; }

  // The bytes from `offset` on, `wanted` of them at the most. Where the device refuses some of so many, one block, or
  // none: an error of io is that of a single block.
  Task<Status> load(std::uint64_t offset, std::uint64_t wanted) {
    bytes_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, kBytes));
    bytes_read_ += bytes_;
    Status read = co_await device_.read(offset, memory_.get(), bytes_);
    if (!read && read.code() == Errc::io && bytes_ > format::kWalBlockBytes) {
      bytes_ = format::kWalBlockBytes;
      bytes_read_ += bytes_;
      read = co_await device_.read(offset, memory_.get(), bytes_);
    }
    if (!read) bytes_ = 0;
    co_return read;
  }

 private:
  struct Free {
    void operator()(char* memory) const noexcept { std::free(memory); }
  };
  BlockDevice& device_;
  std::unique_ptr<char, Free> memory_;
  std::uint32_t bytes_ = 0;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace cambium
