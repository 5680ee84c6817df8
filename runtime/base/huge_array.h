// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A fixed array of plain records on huge pages: for tables that are hit at random, where a miss of the TLB costs
// as much as one of the cache.
//
// Errors     throws std::bad_alloc on a system without memory, as any other container does.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "base/huge_memory.h"

namespace cambium::rt {

template <class T>
class HugeArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  HugeArray(std::size_t count, const T& value) : memory_(HugeMemory::map(count * sizeof(T))), count_(count) {
    if (!memory_) throw std::bad_alloc();
    for (std::size_t i = 0; i < count; ++i) new (data() + i) T(value);
  }
  // Of a type whose default is all zero bytes, as the memory comes: nothing is touched before it is used.
  static HugeArray zeroed(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    return HugeArray(HugeMemory::map(count * sizeof(T)), count);
  }
  T& operator[](std::size_t index) noexcept { return data()[index]; }
  const T& operator[](std::size_t index) const noexcept { return data()[index]; }
  T* begin() noexcept { return data(); }
  T* end() noexcept { return data() + count_; }
  std::size_t size() const noexcept { return count_; }

 private:
  HugeArray(HugeMemory memory, std::size_t count) : memory_(std::move(memory)), count_(count) {
    if (!memory_) throw std::bad_alloc();
  }
  T* data() const noexcept { return reinterpret_cast<T*>(memory_.data()); }

  HugeMemory memory_;
  std::size_t count_;
};

}  // namespace cambium::rt
