// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Between crc32c.cc and the implementations: arithmetic modulo the polynomial, and their entry points.
//
// A checksum is a polynomial over GF(2) modulo P = 0x11EDC6F41. It is kept bit-reversed, as the crc32
// instructions keep it: bit 31 is the coefficient of x^0, and P itself (without x^32) is 0x82F63B78.
// "State" below is a checksum before the final complement. Every constant is a power of x, computed here.
//
// Not for users of crc32c.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cambium::rt::crc32c_detail {

inline constexpr std::uint32_t kPolynomial = 0x82F63B78u;
inline constexpr std::uint32_t kOne = 0x80000000u;      // x^0
inline constexpr std::uint32_t kX = 0x40000000u;        // x^1
inline constexpr std::uint32_t kXToThe8 = 0x00800000u;  // x^8: one byte further

/// a * x mod P.
constexpr std::uint32_t times_x(std::uint32_t a) noexcept { return (a >> 1) ^ ((a & 1) != 0 ? kPolynomial : 0); }

/// a * b mod P.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (std::uint32_t bit = kOne; bit != 0; bit >>= 1) {
    if ((b & bit) != 0) product ^= a;
    a = times_x(a);
  }
  return product;
}

/// base^exponent mod P, by squaring.
constexpr std::uint32_t power(std::uint32_t base, std::uint64_t exponent) noexcept {
  std::uint32_t result = kOne;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

/// x^n mod P.
constexpr std::uint32_t x_power(std::uint64_t n) noexcept { return power(kX, n); }

static_assert(multiply(kOne, kPolynomial) == kPolynomial);
static_assert(x_power(8) == kXToThe8);
static_assert(x_power(32) == kPolynomial, "x^32 = P without its leading term");
static_assert(x_power((std::uint64_t{1} << 31) - 1) == kOne, "P = (x + 1) times a primitive polynomial of degree 31");

/// An implementation takes and returns a state (not complemented).
using Extend = std::uint32_t (*)(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept;

std::uint32_t extend_portable(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept;

#if defined(__x86_64__)
bool has_sse42() noexcept;
bool has_avx512() noexcept;
std::uint32_t extend_sse42(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept;
std::uint32_t extend_avx512(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept;
#elif defined(__aarch64__)
bool has_armv8() noexcept;
std::uint32_t extend_armv8(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept;
#endif

}  // namespace cambium::rt::crc32c_detail
