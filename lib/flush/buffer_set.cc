// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/buffer_set.h"

#include <algorithm>
#include <new>

namespace cambium {

BufferSet::BufferSet(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {
  active_ = take_spare();
  if (active_ == nullptr) throw std::bad_alloc();
}

void BufferSet::on_idle(void* self, WriteBuffer&) noexcept { static_cast<BufferSet*>(self)->space_freed.wake_all(); }

OrderedBuffer* BufferSet::take_spare(bool beyond_budget) {
  const auto idle = std::find_if(retired_.begin(), retired_.end(),
                                 [](const OrderedBuffer* b) { return b->buffer.references() == 0 && !b->sorting; });
  if (idle != retired_.end()) {
    OrderedBuffer* buffer = *idle;
    retired_.erase(idle);
    range_skips_retired_ += buffer->buffer.range_skips();
    buffer->runs.reset();
    buffer->buffer.reset();
    drop_surplus();
    return buffer;
  }
  // Waiting helps while the flusher has work. When every other buffer is flushed and only pinned, whoever pins it may
  // be the writer itself, and would wait for ever.
  if (buffers_.size() >= kBuffersMax && !frozen_.empty() && !beyond_budget) return nullptr;
  buffers_.push_back(std::make_unique<OrderedBuffer>(capacity_bytes_));
  if (!buffers_.back()->buffer.valid()) {
    buffers_.pop_back();
    return nullptr;
  }
  buffers_.back()->buffer.set_idle_hook({&BufferSet::on_idle, this});
  return buffers_.back().get();
}

// Gives back what was made beyond kBuffersMax, as far as nobody pins it any more.
void BufferSet::drop_surplus() {
  for (std::size_t i = retired_.size(); i != 0 && buffers_.size() > kBuffersMax; --i) {
    OrderedBuffer* const buffer = retired_[i - 1];
    if (buffer->buffer.references() != 0 || buffer->sorting) continue;
    range_skips_retired_ += buffer->buffer.range_skips();
    retired_.erase(retired_.begin() + static_cast<std::ptrdiff_t>(i - 1));
    std::erase_if(buffers_, [&](const auto& owned) { return owned.get() == buffer; });
  }
}

bool BufferSet::rotate(bool beyond_budget) {
  OrderedBuffer* spare = take_spare(beyond_budget);
  if (spare == nullptr) return false;
  frozen_.push_back(active_);
  active_ = spare;
  frozen_added.wake_all();
  return true;
}

void BufferSet::drop_oldest() {
  retired_.push_back(frozen_.front());
  frozen_.pop_front();
  frozen_dropped.wake_all();
  space_freed.wake_all();
}

std::size_t BufferSet::bytes_used() const noexcept {
  std::size_t bytes = active_->buffer.bytes_used();
  for (const OrderedBuffer* frozen : frozen_) bytes += frozen->buffer.bytes_used();
  return bytes;
}

std::size_t BufferSet::entries() const noexcept {
  std::size_t count = active_->buffer.count();
  for (const OrderedBuffer* frozen : frozen_) count += frozen->buffer.count();
  return count;
}

std::uint64_t BufferSet::range_skips() const noexcept {
  std::uint64_t skips = range_skips_retired_;
  for (const auto& buffer : buffers_) skips += buffer->buffer.range_skips();
  return skips;
}

}  // namespace cambium
