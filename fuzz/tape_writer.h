// SPDX-License-Identifier: MIT OR Apache-2.0
// TapeWriter: writes an edit of a script for a mutator, in bytes as Draws takes them (support/draws.h): the highest
// first, two for what is larger than a byte.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/random.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace cambium::fuzz {

class TapeWriter {
 public:
  void byte(std::uint64_t value) { bytes_[size_++] = static_cast<std::uint8_t>(value); }
  void number(std::uint64_t value, std::uint64_t bound) {
    if (bound > 0x100) byte(value >> 8);
    byte(value & 0xff);
  }
  // What an edit that sets bytes puts there: one to eight, all zeros, all ones, or anything.
  void fill(rt::Random& random) {
    const std::uint64_t count = std::uint64_t{1} << random.below(4);
    byte(count - 1);
    const std::uint64_t kind = random.below(3);
    for (std::uint64_t i = 0; i < count; ++i) byte(kind == 0 ? 0 : kind == 1 ? 0xff : random.next());
  }
  // By how much an edit that adds changes a number, and of how many bytes that is.
  void addend(rt::Random& random) {
    byte(random.below(4));
    byte(128 + random.between(0, 6) - 3);
  }
  const std::uint8_t* data() const { return bytes_; }
  std::size_t size() const { return size_; }

 private:
  std::uint8_t bytes_[40];
  std::size_t size_ = 0;
};

// The script with the edit behind it; where there is no room, behind its first byte, else libFuzzer changes it.
inline std::size_t append_edit(const TapeWriter& edit, std::uint8_t* data, std::size_t size, std::size_t max_size) {
  if (size + edit.size() > max_size) size = std::min<std::size_t>(size, 1);
  if (size + edit.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data + size, edit.data(), edit.size());
  return size + edit.size();
}

}  // namespace cambium::fuzz
