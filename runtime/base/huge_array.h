// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A fixed array of plain records on huge pages: for tables that are hit at random, where a miss of the TLB costs
// as much as one of the cache. A small one lies on the heap: it would waste most of a huge page, and a partition that
// is opened for a moment would spend its time on mapping memory.
//
// Errors     throws std::bad_alloc on a system without memory, as any other container does.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "base/huge_memory.h"

namespace cambium::rt {

template <class T>
class HugeArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  HugeArray(std::size_t count, const T& value) : HugeArray(count) {
    for (std::size_t i = 0; i < count; ++i) new (data_ + i) T(value);
  }
  // Of a type whose default is all zero bytes: of a large array nothing is touched before it is used.
  static HugeArray zeroed(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    HugeArray array(count);
    if (array.heap_) std::memset(array.heap_.get(), 0, count * sizeof(T));
    return array;
  }
  HugeArray(HugeArray&&) noexcept = default;
  HugeArray& operator=(HugeArray&&) noexcept = default;
  T& operator[](std::size_t index) noexcept { return data_[index]; }
  const T& operator[](std::size_t index) const noexcept { return data_[index]; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + count_; }
  std::size_t size() const noexcept { return count_; }

 private:
  static constexpr std::size_t kHeapBytesMax = std::size_t{256} << 10;
  static constexpr std::size_t kAlignment = 64;  // of a cache line: buckets are read whole
  static_assert(alignof(T) <= kAlignment);
  struct FreeAligned {
    void operator()(void* data) const noexcept { ::operator delete(data, std::align_val_t{kAlignment}); }
  };
  explicit HugeArray(std::size_t count) : count_(count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes > kHeapBytesMax) {
      memory_ = HugeMemory::map(bytes);
      if (!memory_) throw std::bad_alloc();
      data_ = reinterpret_cast<T*>(memory_.data());
    } else {
      heap_.reset(::operator new(bytes, std::align_val_t{kAlignment}));
      data_ = static_cast<T*>(heap_.get());
    }
  }

  HugeMemory memory_;                        // one of the two holds
  std::unique_ptr<void, FreeAligned> heap_;  // the elements
  T* data_ = nullptr;
  std::size_t count_;
};

}  // namespace cambium::rt
