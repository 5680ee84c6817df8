// SPDX-License-Identifier: MIT OR Apache-2.0
// placeholder until the filter module is merged
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>
#include <cambium/limits.h>
#include <cambium/rt/bytes.h>
#include "base/hash.h"
namespace cambium {
inline std::uint64_t filter_hash(Bytes key) noexcept { return rt::hash64(key.data(), key.size(), 0); }
struct FilterShape {
  std::uint32_t pages = 0;
  std::uint32_t probes = 0;
  static FilterShape for_keys(std::uint64_t keys, double bits) {
    const double total = static_cast<double>(keys) * bits;
    return {static_cast<std::uint32_t>(total / (63 * 512)) + 1, 6};
  }
  std::uint32_t page_of(std::uint64_t hash) const noexcept { return static_cast<std::uint32_t>(((hash >> 32) * pages) >> 32); }
  bool may_contain(const char* page, std::uint64_t hash) const noexcept {
    const char* block = page + 64 + 64 * (((hash & 0xffff) * 63) >> 16);
    std::uint64_t h = hash * 0x9E3779B97F4A7C15ull;
    for (std::uint32_t i = 0; i < probes; ++i, h = (h << 9) | (h >> 55)) {
      const unsigned bit = h & 511;
      if ((static_cast<unsigned char>(block[bit / 8]) >> (bit % 8) & 1) == 0) return false;
    }
    return true;
  }
};
class FilterBuilder {
 public:
  explicit FilterBuilder(FilterShape shape) : shape_(shape), bytes_(std::size_t{shape.pages} * 4096) {}
  void add(std::uint64_t hash) {
    char* block = bytes_.data() + std::size_t{shape_.page_of(hash)} * 4096 + 64 + 64 * (((hash & 0xffff) * 63) >> 16);
    std::uint64_t h = hash * 0x9E3779B97F4A7C15ull;
    for (std::uint32_t i = 0; i < shape_.probes; ++i, h = (h << 9) | (h >> 55)) {
      const unsigned bit = h & 511;
      block[bit / 8] = static_cast<char>(static_cast<unsigned char>(block[bit / 8]) | (1u << (bit % 8)));
    }
  }
  void write(std::uint32_t page, char* to) const { std::memcpy(to, bytes_.data() + std::size_t{page} * 4096, 4096); }
 private:
  FilterShape shape_;
  std::vector<char> bytes_;
};
}  // namespace cambium
