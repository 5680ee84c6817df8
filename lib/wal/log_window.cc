// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/log_window.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace cambium {

LogWindow::LogWindow(BlockDevice& device, char* memory, std::int32_t buffer_index, std::vector<LogExtent> extents)
    : device_(device), buffer_index_(buffer_index), extents_(std::move(extents)) {
  for (unsigned i = 0; i < 2; ++i) {
    windows_[i].owner = this;
    windows_[i].memory = memory + i * (kHeadBytes + kPieceBytes) + kHeadBytes;
  }
  read_next(windows_[0]);
}

LogWindow::~LogWindow() { CAMBIUM_ASSERT(!windows_[0].reading && !windows_[1].reading); }

void LogWindow::consume(std::size_t bytes) noexcept {
  CAMBIUM_ASSERT(bytes <= available_);
  data_ += bytes;
  available_ -= bytes;
  position_ += bytes;
  offset_ += bytes;
  left_ -= bytes;
}

void LogWindow::read_next(Window& window) noexcept {
  window.filled = false;
  while (extent_ < extents_.size() && extent_read_ == extents_[extent_].bytes) {
    ++extent_;
    extent_read_ = 0;
  }
  if (extent_ == extents_.size()) return;
  const LogExtent& extent = extents_[extent_];
  window.extent_left = extent.bytes - extent_read_;
  window.piece = {extent.position + extent_read_, extent.offset + extent_read_,
                  std::min<std::uint64_t>(kPieceBytes, window.extent_left)};
  extent_read_ += window.piece.bytes;
  window.request = {};
  window.request.io = {.kind = rt::IoKind::read,
                       .buffer_index = buffer_index_,
                       .bytes = static_cast<std::uint32_t>(window.piece.bytes),
                       .offset = window.piece.offset,
                       .data = window.memory};
  window.request.done = [](DeviceRequest& request) noexcept {
    auto& done = reinterpret_cast<Window&>(request);  // the request is its first member
    done.reading = false;
    done.filled = true;
    done.owner->arrived_.wake_all();
  };
  window.reading = true;
  device_.submit(window.request);
}

Task<Result<bool>> LogWindow::more() {
  Window& next = windows_[1 - current_];
  while (next.reading) co_await arrived_.wait();
  if (!next.filled) co_return false;
  if (next.request.error != 0) {
    Status failed = device_.status_of(next.request);
    co_return failed.error();
  }
  const bool goes_on = left_ > available_ && next.piece.position == position_ + available_;
  const std::size_t kept = goes_on ? available_ : 0;
  CAMBIUM_ASSERT(kept <= kHeadBytes);
  if (kept != 0) std::memcpy(next.memory - kept, data_, kept);
  data_ = next.memory - kept;
  available_ = kept + static_cast<std::size_t>(next.piece.bytes);
  position_ = next.piece.position - kept;
  offset_ = next.piece.offset - kept;
  left_ = next.extent_left + kept;
  current_ = 1 - current_;
  read_next(windows_[1 - current_]);
  co_return true;
}

Task<void> LogWindow::stop() {
  while (windows_[0].reading || windows_[1].reading) co_await arrived_.wait();
}

}  // namespace cambium
