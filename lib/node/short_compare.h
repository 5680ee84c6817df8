// SPDX-License-Identifier: MIT OR Apache-2.0
// memcmp order for the few bytes that a search compares once heads and prefixes have done their part.
//
// Up to sixteen bytes are compared as two big-endian words, without a call; more goes to memcmp. Never reads past
// either end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <cambium/rt/bytes.h>

#include "base/endian.h"

namespace cambium::node {

inline int order_of(std::uint64_t a, std::uint64_t b) noexcept { return a < b ? -1 : (a > b ? 1 : 0); }

inline int short_compare(const char* a, const char* b, std::size_t bytes) noexcept {
  if (bytes > 16) [[unlikely]]
    return std::memcmp(a, b, bytes);
  if (bytes >= 8) {  // the second word overlaps the first: what they share is equal by then
    const int first = order_of(rt::load_be64(a), rt::load_be64(b));
    return first != 0 ? first : order_of(rt::load_be64(a + bytes - 8), rt::load_be64(b + bytes - 8));
  }
  if (bytes >= 4) {
    const int first = order_of(rt::load_be32(a), rt::load_be32(b));
    return first != 0 ? first : order_of(rt::load_be32(a + bytes - 4), rt::load_be32(b + bytes - 4));
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    if (a[i] != b[i]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[i]) ? -1 : 1;
  }
  return 0;
}

// The order of keys, without a call for the short ones.
inline bool key_below(Bytes a, Bytes b) noexcept {
  const int order = short_compare(a.data(), b.data(), a.size() < b.size() ? a.size() : b.size());
  return order < 0 || (order == 0 && a.size() < b.size());
}

// Equality alone is cheaper than order.
inline bool short_equal(const char* a, const char* b, std::size_t bytes) noexcept {
  if (bytes > 16) [[unlikely]]
    return std::memcmp(a, b, bytes) == 0;
  if (bytes >= 8) {
    const std::uint64_t first = rt::load_le64(a) ^ rt::load_le64(b);
    return (first | (rt::load_le64(a + bytes - 8) ^ rt::load_le64(b + bytes - 8))) == 0;
  }
  if (bytes >= 4) {
    const std::uint32_t first = rt::load_le32(a) ^ rt::load_le32(b);
    return (first | (rt::load_le32(a + bytes - 4) ^ rt::load_le32(b + bytes - 4))) == 0;
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

}  // namespace cambium::node
