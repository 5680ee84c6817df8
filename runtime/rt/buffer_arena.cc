// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/buffer_arena.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/text.h"
#include "rt/io_backend.h"
#include "rt/posix_file.h"

namespace cambium::rt {

Result<BufferArena> BufferArena::create(Core& core, std::size_t bytes, std::size_t piece_bytes) {
  if (bytes == 0) return Error(Errc::invalid_argument, "a buffer arena of 0 bytes", "give it some memory");
  HugeMemory memory = HugeMemory::map(bytes);
  if (!memory) {
    return Error(Errc::resource, str("cannot map ", format_bytes(bytes), " of memory: ", errno_text(errno)),
                 "lower memory_bytes");
  }
  const std::size_t wished = piece_bytes == 0 ? kPieceBytesMax : std::max(piece_bytes, memory.size() / kPiecesMax);
  const std::size_t whole_pages = (wished + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  return BufferArena(core, std::move(memory), std::min(whole_pages, kPieceBytesMax));
}

BufferArena::BufferArena(Core& core, HugeMemory memory, std::size_t piece_bytes) noexcept
    : core_(&core),
      memory_(std::move(memory)),
      piece_bytes_(piece_bytes),
      indexes_((memory_.size() + piece_bytes - 1) / piece_bytes, kNotAsked) {}

BufferArena::BufferArena(BufferArena&& other) noexcept
    : core_(other.core_),
      memory_(std::move(other.memory_)),
      piece_bytes_(other.piece_bytes_),
      indexes_(std::move(other.indexes_)) {
  other.indexes_.clear();
}

BufferArena& BufferArena::operator=(BufferArena&& other) noexcept {
  if (this != &other) {
    release();
    core_ = other.core_;
    memory_ = std::move(other.memory_);
    piece_bytes_ = other.piece_bytes_;
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

// A refused piece is not asked for again: the next one may still fit the limit, and a read of it is no reason to try.
std::int32_t BufferArena::register_piece(std::size_t piece) const noexcept {
  const std::size_t at = piece * piece_bytes_;
  return indexes_[piece] = core_->backend().register_buffer(data() + at, std::min(piece_bytes_, size() - at));
}

bool BufferArena::registered() const noexcept {
  if (indexes_.empty() || index_of(data(), 1) < 0) return false;
  return std::none_of(indexes_.begin(), indexes_.end(), [](std::int32_t index) { return index == -1; });
}

}  // namespace cambium::rt
