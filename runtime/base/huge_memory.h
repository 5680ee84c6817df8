// SPDX-License-Identifier: MIT OR Apache-2.0
//
// An owned block of zeroed memory, 2 MiB aligned and backed by huge pages where the kernel has them.
//
// The page cache, buffer pools and arenas live in such blocks: huge pages save 1.2-1.3 x on random reads.
// Transparent huge pages are advice: without them the block works the same, on 4 KiB pages.
//
// Units      bytes; size() is the request rounded up to 2 MiB.
// Errors     a failed map() is a null object: test it. Memory is committed when touched, not when mapped.
// Lifetime   unmapped by the destructor; move only. By default a forked child does not inherit the block:
//            the kernel may be writing into it (reads in flight), and copy-on-write after a fork would
//            move the parent's pages away from under the device.
#pragma once

#include <cstddef>
#include <utility>

namespace cambium::rt {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

/// What a forked child sees of a block: nothing (touching it faults), or its own copy.
enum class OnFork : unsigned char { absent, copied };

class HugeMemory {
 public:
  HugeMemory() noexcept = default;
  HugeMemory(HugeMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  HugeMemory& operator=(HugeMemory&& other) noexcept {
    HugeMemory taken(std::move(other));
    std::swap(data_, taken.data_);
    std::swap(size_bytes_, taken.size_bytes_);
    return *this;
  }
  ~HugeMemory();

  /// Maps at least `bytes` bytes. Null when `bytes` is 0 or the kernel refuses; errno then says why.
  [[nodiscard]] static HugeMemory map(std::size_t bytes, OnFork on_fork = OnFork::absent) noexcept;

  [[nodiscard]] explicit operator bool() const noexcept { return data_ != nullptr; }
  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_bytes_; }

 private:
  HugeMemory(std::byte* data, std::size_t size_bytes) noexcept : data_(data), size_bytes_(size_bytes) {}

  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace cambium::rt
