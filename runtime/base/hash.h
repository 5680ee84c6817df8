// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Stable 64-bit hashes of keys, for hash tables in memory and filters on disk.
//
// hash64 is wyhash, final version 4.2, with its default secret (Wang Yi, github.com/wangyi-fudan/wyhash,
// public domain; re-implemented here): two 64x64->128 bit multiplications for a key of up to 16 bytes, one
// more for each further 16, and three independent ones for each 48.
//
// Its output is part of the file format (filters): it never changes, golden tests hold it.
//
// Invariants
//   1. The same bytes and seed give the same hash, on every platform, in every version.
//   2. hash_u64 is a bijection: distinct integers never collide in 64 bits.
//
// Units      bytes, any length, any alignment.
// Errors     none. Not a defence against keys chosen to collide: pass a secret seed where that matters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/endian.h"
#include "base/wide.h"

namespace cambium::rt {

namespace hash_detail {

// Odd, with 32 of 64 bits set, and pairwise at Hamming distance 32: wyhash's default secret.
inline constexpr std::uint64_t kSecret[4] = {0x2D358DCCAA6C78A5u, 0x8BB84B93962EACC9u,  //
                                             0x4B33A62ED433D4A3u, 0x4D5A2DA51DE1AA47u};

/// Both halves of the 128-bit product, folded into 64 bits: every input bit reaches every output bit's half.
constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  const uint128 product = static_cast<uint128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// The bulk of a key longer than 16 bytes; returns the new seed and leaves 1..16 bytes to the caller.
inline std::uint64_t absorb(const unsigned char*& at, std::size_t& left, std::uint64_t seed) noexcept {
  if (left >= 48) {
    // Three chains, since a multiplication takes longer than loading its inputs.
    std::uint64_t seed1 = seed;
    std::uint64_t seed2 = seed;
    do {
      seed = fold(load_le64(at) ^ kSecret[1], load_le64(at + 8) ^ seed);
      seed1 = fold(load_le64(at + 16) ^ kSecret[2], load_le64(at + 24) ^ seed1);
      seed2 = fold(load_le64(at + 32) ^ kSecret[3], load_le64(at + 40) ^ seed2);
      at += 48;
      left -= 48;
    } while (left >= 48);
    seed ^= seed1 ^ seed2;
  }
  for (; left > 16; left -= 16, at += 16) {
    seed = fold(load_le64(at) ^ kSecret[1], load_le64(at + 8) ^ seed);
  }
  return seed;
}

}  // namespace hash_detail

/// The hash of `bytes` bytes at `data` (which may be null when there are none).
[[nodiscard]] inline std::uint64_t hash64(const void* data, std::size_t bytes, std::uint64_t seed = 0) noexcept {
  using namespace hash_detail;
  const auto* at = static_cast<const unsigned char*>(data);
  seed ^= fold(seed ^ kSecret[0], kSecret[1]);
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (bytes <= 16) [[likely]] {
    if (bytes >= 4) {
      // Four overlapping 4-byte loads cover 4..16 bytes without a branch on the length.
      const std::size_t inner = (bytes >> 3) << 2;
      const unsigned char* const last = at + bytes - 4;
      a = (static_cast<std::uint64_t>(load_le32(at)) << 32) | load_le32(at + inner);
      b = (static_cast<std::uint64_t>(load_le32(last)) << 32) | load_le32(last - inner);
    } else if (bytes > 0) {
      a = (static_cast<std::uint64_t>(at[0]) << 16) | (static_cast<std::uint64_t>(at[bytes >> 1]) << 8) | at[bytes - 1];
    }
  } else {
    std::size_t left = bytes;
    seed = absorb(at, left, seed);
    // The last 16 bytes, which overlap what is already absorbed unless 16 are left.
    a = load_le64(at + left - 16);
    b = load_le64(at + left - 8);
  }
  const uint128 product = static_cast<uint128>(a ^ kSecret[1]) * (b ^ seed);
  return fold(static_cast<std::uint64_t>(product) ^ kSecret[0] ^ bytes,
              static_cast<std::uint64_t>(product >> 64) ^ kSecret[1]);
}

/// With seed 0. (Without a seed parameter: hash64("key", 3) must mean three bytes, not seed 3.)
[[nodiscard]] inline std::uint64_t hash64(std::string_view bytes) noexcept {
  return hash64(bytes.data(), bytes.size());
}

/// The hash of an integer, such as a page id: the finalizer of splitmix64 (D. Stafford's "Mix13"), after
/// the step that takes 0 away from 0.
[[nodiscard]] constexpr std::uint64_t hash_u64(std::uint64_t value) noexcept {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

}  // namespace cambium::rt
