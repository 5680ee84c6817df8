// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/huge_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <limits>

#include "base/assert.h"
#include "base/sanitizer.h"

namespace cambium::rt {

namespace {

void unmap(void* data, std::size_t bytes) noexcept {
  if (bytes == 0) return;
  // munmap fails for a range that was never ours, or when splitting a mapping hits the kernel's limit on
  // mappings; the second only wastes address space, and only while trimming. Neither leaves us wrong.
  [[maybe_unused]] const int result = ::munmap(data, bytes);
}

}  // namespace

HugeMemory HugeMemory::map(std::size_t bytes, OnFork on_fork) noexcept {
  if (bytes == 0 || bytes > std::numeric_limits<std::size_t>::max() - 2 * kHugePageBytes) {
    errno = bytes == 0 ? EINVAL : ENOMEM;
    return {};
  }
  const std::size_t size_bytes = (bytes + kHugePageBytes - 1) & ~(kHugePageBytes - 1);

  // mmap aligns to 4 KiB: map one huge page more, then give back what lies before and behind.
  const std::size_t mapped_bytes = size_bytes + kHugePageBytes;
  void* const mapped = ::mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return {};
  auto* const begin = static_cast<std::byte*>(mapped);
  const std::size_t head = (0 - reinterpret_cast<std::uintptr_t>(begin)) & (kHugePageBytes - 1);
  std::byte* const data = begin + head;
  unmap(begin, head);
  unmap(data + size_bytes, kHugePageBytes - head);

  // Advice: a kernel without transparent huge pages refuses it, and the block works on small pages. So does one that is
  // smaller than a huge page, of which the rest would be filled with zeros for nothing.
  if (bytes >= kHugePageBytes) ::madvise(data, size_bytes, MADV_HUGEPAGE);
  if (on_fork == OnFork::absent && ::madvise(data, size_bytes, MADV_DONTFORK) != 0) {
    const int error = errno;
    unmap(data, size_bytes);
    errno = error;
    return {};
  }
  return HugeMemory(data, size_bytes);
}

HugeMemory::~HugeMemory() {
  if (data_ == nullptr) return;
  asan_unpoison(data_, size_bytes_);  // the next owner of these addresses must not inherit our marks
  const int result = ::munmap(data_, size_bytes_);
  CAMBIUM_ASSERT(result == 0);
}

}  // namespace cambium::rt
