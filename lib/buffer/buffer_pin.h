// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A reference to a write buffer, dropped at the end of a scope: while it lives, entries stay where they are.
//
// Invariants a pin that is not empty accounts for exactly one reference.
// Lifetime   shorter than the buffer's object. Copies take their own reference. One thread.
#pragma once

#include <utility>

#include "buffer/write_buffer.h"

namespace cambium {

class BufferPin {
 public:
  BufferPin() noexcept = default;
  explicit BufferPin(WriteBuffer& buffer) noexcept : buffer_(&buffer) { buffer.retain(); }
  BufferPin(const BufferPin& other) noexcept : buffer_(other.buffer_) {
    if (buffer_ != nullptr) buffer_->retain();
  }
  BufferPin(BufferPin&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  BufferPin& operator=(BufferPin other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BufferPin() { reset(); }

  void reset() noexcept {
    if (WriteBuffer* const buffer = std::exchange(buffer_, nullptr)) buffer->release();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return buffer_ != nullptr; }
  [[nodiscard]] WriteBuffer* get() const noexcept { return buffer_; }
  WriteBuffer& operator*() const noexcept { return *buffer_; }
  WriteBuffer* operator->() const noexcept { return buffer_; }

 private:
  WriteBuffer* buffer_ = nullptr;
};

}  // namespace cambium
