// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/buffer_set.h"

#include <algorithm>
#include <new>

#include "base/planted_bug.h"

namespace cambium {

BufferSet::BufferSet(std::size_t capacity_bytes, RowCache* rows) : capacity_bytes_(capacity_bytes), rows_(rows) {
  active_ = take_spare();
  if (active_ == nullptr) throw std::bad_alloc();
  if (rows_ == nullptr) return;
  rows_->set_lender({[](void* self) noexcept { static_cast<BufferSet*>(self)->lend_idle(); }, this});
}

void BufferSet::on_idle(void* self, WriteBuffer&) noexcept { static_cast<BufferSet*>(self)->space_freed.wake_all(); }

// The one that nobody uses, before the one that answers for the newest writes, before one that holds rows.
std::vector<OrderedBuffer*>::iterator BufferSet::least_useful() {
  const auto use = [&](const OrderedBuffer* buffer) { return buffer == flushed_ ? 1 : (buffer->lent.empty() ? 0 : 2); };
  auto least = retired_.end();
  for (auto at = retired_.begin(); at != retired_.end(); ++at) {
    if ((*at)->idle() && (least == retired_.end() || use(*at) < use(*least))) least = at;
  }
  return least;
}

OrderedBuffer* BufferSet::take_spare(bool beyond_budget) {
  const auto idle = least_useful();
  if (idle != retired_.end()) {
    OrderedBuffer* buffer = *idle;
    retired_.erase(idle);
    put_out_of_use(*buffer);
    buffer->runs.reset();
    buffer->buffer.reset();
    drop_surplus();
    return buffer;
  }
  // Waiting helps while the flusher has work. When every other buffer is flushed and only pinned, whoever pins it may
  // be the writer itself, and would wait for ever.
  if (buffers_.size() >= kBuffersMax && !frozen_.empty() && !beyond_budget) return nullptr;
  return make();
}

OrderedBuffer* BufferSet::make() {
  buffers_.push_back(std::make_unique<OrderedBuffer>(capacity_bytes_));
  if (!buffers_.back()->buffer.valid()) {
    buffers_.pop_back();
    return nullptr;
  }
  buffers_.back()->buffer.set_idle_hook({&BufferSet::on_idle, this});
  return buffers_.back().get();
}

void BufferSet::put_out_of_use(OrderedBuffer& buffer) noexcept {
  range_skips_retired_ += buffer.buffer.range_skips();
  if (flushed_ == &buffer) flushed_ = nullptr;
  if (!buffer.lent.empty()) rows_->withdraw(buffer.lent.data(), buffer.lent.size());
  buffer.lent = {};
}

// Those that there may be are made for it. The one flushed last is lent when as many rows as there is room for have
// come since: nobody writes, then.
void BufferSet::lend_idle() {
  const bool nobody_writes = ++asked_ > std::max<std::size_t>(rows_->segments(), 1);
  while (buffers_.size() < kBuffersMax) {
    OrderedBuffer* const spare = make();
    if (spare == nullptr) break;
    retired_.push_back(spare);
  }
  for (OrderedBuffer* const buffer : retired_) {
    if (!buffer->idle() || !buffer->lent.empty()) continue;
    if (buffer == flushed_ && !nobody_writes) continue;
    if (buffer == flushed_) flushed_ = nullptr;
    buffer->lent = buffer->buffer.lend();
    rows_->lend(buffer->lent.data(), buffer->lent.size());
  }
}

// Gives back what was made beyond kBuffersMax, as far as nobody pins it any more.
void BufferSet::drop_surplus() {
  for (std::size_t i = retired_.size(); i != 0 && buffers_.size() > kBuffersMax; --i) {
    OrderedBuffer* const buffer = retired_[i - 1];
    if (!buffer->idle()) continue;
    put_out_of_use(*buffer);
    retired_.erase(retired_.begin() + static_cast<std::ptrdiff_t>(i - 1));
    std::erase_if(buffers_, [&](const auto& owned) { return owned.get() == buffer; });
  }
}

bool BufferSet::rotate(bool beyond_budget) {
  OrderedBuffer* spare = take_spare(beyond_budget);
  if (spare == nullptr) return false;
  frozen_.push_back(active_);
  active_ = spare;
  asked_ = 0;
  frozen_added.wake_all();
  return true;
}

void BufferSet::drop_oldest() {
  if (flushed_ == nullptr || !CAMBIUM_PLANTED(flushed_buffer_shadows)) flushed_ = frozen_.front();
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
