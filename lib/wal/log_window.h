// SPDX-License-Identifier: MIT OR Apache-2.0
// LogWindow: reads extents of the log one after the other, in large pieces, the next one while this one is looked at.
//
// There are two windows of memory. What is left of a group at the end of one is copied in front of the bytes of the
// other, so a group is always contiguous in memory.
//
//   window  | room for the rest of a group, 256 KiB | piece, 512 KiB |
//
// Invariants
//   1. data() .. data() + available() are the bytes of the log from position() on, of one extent.
//
// Units      bytes; positions of the log; offsets of the file.
// Errors     those of the device; resource when there is no memory.
// Suspends   more(), stop().
// Lifetime   stop() before it is destroyed (asserted). data() is valid until the next more().
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

#include "format/wal_group.h"

namespace cambium {

struct LogExtent {
  std::uint64_t position;  // of its first byte
  std::uint64_t offset;    // in the file
  std::uint64_t bytes;     // multiples of 4 KiB, all three
};

class LogWindow {
 public:
  static constexpr std::size_t kHeadBytes = format::kWalGroupBytesMax;
  static constexpr std::size_t kPieceBytes = std::size_t{512} << 10;
  static constexpr std::size_t kMemoryBytes = 2 * (kHeadBytes + kPieceBytes);

  // `memory`: kMemoryBytes, aligned for the device; `buffer_index` as registered, or -1. Begins to read at once.
  LogWindow(BlockDevice& device, char* memory, std::int32_t buffer_index, std::vector<LogExtent> extents);
  LogWindow(const LogWindow&) = delete;
  LogWindow& operator=(const LogWindow&) = delete;
  ~LogWindow();

  const char* data() const noexcept { return data_; }
  std::size_t available() const noexcept { return available_; }
  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t offset() const noexcept { return offset_; }     // position() in the file
  std::uint64_t extent_left() const noexcept { return left_; }  // bytes from position() to the end of its extent
  void consume(std::size_t bytes) noexcept;

  // Adds the next piece of the extent. At the extent's end: goes on to the next one, and drops what was not consumed.
  // False when nothing is left. Requires: less than kHeadBytes are available, or the extent is at its end.
  Task<Result<bool>> more();
  // Waits for what is in flight: nothing is read after this.
  Task<void> stop();

 private:
  struct Window {
    DeviceRequest request;
    LogWindow* owner = nullptr;
    char* memory = nullptr;  // of the piece; the head lies before it
    LogExtent piece{};
    std::uint64_t extent_left = 0;  // from the piece's begin
    bool reading = false;
    bool filled = false;
  };
  void read_next(Window& window) noexcept;

  BlockDevice& device_;
  std::int32_t buffer_index_;
  std::vector<LogExtent> extents_;
  std::size_t extent_ = 0;  // being read, and how far
  std::uint64_t extent_read_ = 0;
  Window windows_[2];
  unsigned current_ = 1;
  const char* data_ = nullptr;
  std::size_t available_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t left_ = 0;
  rt::WaitQueue arrived_;
};

}  // namespace cambium
