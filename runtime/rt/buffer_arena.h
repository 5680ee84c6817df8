// SPDX-License-Identifier: MIT OR Apache-2.0
// BufferArena: page-aligned memory that is registered with the core's ring where that is allowed.
//
// Huge pages where possible (1.2-1.3 x on lookups, 15 x faster registration), excluded from fork(). Registered in
// pieces of 1 GiB, which is the kernel's limit per buffer.
//
// Units      bytes, rounded up to 2 MiB.
// Errors     resource when the memory cannot be had. A refused registration is not an error: index_of() is -1.
// Lifetime   nothing that lies in it is in flight when it is destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cambium/rt/core.h>
#include <cambium/rt/result.h>

#include "base/huge_memory.h"

namespace cambium::rt {

class BufferArena {
 public:
  static Result<BufferArena> create(Core& core, std::size_t bytes);
  BufferArena(BufferArena&& other) noexcept;
  BufferArena& operator=(BufferArena&& other) noexcept;
  ~BufferArena();

  char* data() const noexcept { return reinterpret_cast<char*>(memory_.data()); }
  std::size_t size() const noexcept { return memory_.size(); }
  bool registered() const noexcept;

  // The registered buffer that holds [data, data + bytes), or -1 (also when a transfer would cross two of them).
  std::int32_t index_of(const char* data, std::size_t bytes) const noexcept;

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{1} << 30;
  BufferArena(Core& core, HugeMemory memory) noexcept;
  void release() noexcept;

  Core* core_;
  HugeMemory memory_;
  std::vector<std::int32_t> indexes_;
};

}  // namespace cambium::rt
