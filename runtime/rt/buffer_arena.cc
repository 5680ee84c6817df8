// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/buffer_arena.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/text.h"
#include "rt/io_backend.h"
#include "rt/posix_file.h"

namespace cambium::rt {

Result<BufferArena> BufferArena::create(Core& core, std::size_t bytes) {
  if (bytes == 0) return Error(Errc::invalid_argument, "a buffer arena of 0 bytes", "give it some memory");
  HugeMemory memory = HugeMemory::map(bytes);
  if (!memory) {
    return Error(Errc::resource, str("cannot map ", format_bytes(bytes), " of memory: ", errno_text(errno)),
                 "lower memory_bytes");
  }
  return BufferArena(core, std::move(memory));
}

BufferArena::BufferArena(Core& core, HugeMemory memory) noexcept : core_(&core), memory_(std::move(memory)) {
  for (std::size_t at = 0; at < size(); at += kPieceBytes) {
    indexes_.push_back(core_->backend().register_buffer(data() + at, std::min(kPieceBytes, size() - at)));
  }
}

BufferArena::BufferArena(BufferArena&& other) noexcept
    : core_(other.core_), memory_(std::move(other.memory_)), indexes_(std::move(other.indexes_)) {
  other.indexes_.clear();
}

BufferArena& BufferArena::operator=(BufferArena&& other) noexcept {
  if (this != &other) {
    release();
    core_ = other.core_;
    memory_ = std::move(other.memory_);
    indexes_ = std::move(other.indexes_);
    other.indexes_.clear();
  }
  return *this;
}

BufferArena::~BufferArena() { release(); }

// The ring lets go of the pages before they are unmapped.
void BufferArena::release() noexcept {
  for (const std::int32_t index : indexes_) {
    if (index >= 0) core_->backend().unregister_buffer(index);
  }
  indexes_.clear();
}

bool BufferArena::registered() const noexcept {
  return !indexes_.empty() &&
         std::all_of(indexes_.begin(), indexes_.end(), [](std::int32_t index) { return index >= 0; });
}

std::int32_t BufferArena::index_of(const char* data, std::size_t bytes) const noexcept {
  CAMBIUM_ASSERT(data >= this->data() && bytes != 0 && data + bytes <= this->data() + size());
  const auto at = static_cast<std::size_t>(data - this->data());
  const std::size_t piece = at / kPieceBytes;
  return (at + bytes - 1) / kPieceBytes == piece ? indexes_[piece] : -1;
}

}  // namespace cambium::rt
