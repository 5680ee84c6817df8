// SPDX-License-Identifier: MIT OR Apache-2.0
//
// CRC-32C on x86-64: the crc32 instruction in three interleaved chains, and folding by carry-less
// multiplication in 512-bit registers. Empty on other processors.
//
// Sources    V. Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction" (2011) and
//            "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (2009), Intel.
//
// Arithmetic. In a bit-reversed 64-bit word bit 63 is x^0; in a 128-bit lane bit 127 is, so the low word of
// a lane stands x^64 above the high one. The carry-less product of two words, read as a lane, is their
// product times x. A constant c of 32 bits, as the low half of a word, means c * x^32. Hence
//   word * x^n            = product(word, x^(n-33)) as a lane,
//   lane * x^n            = product(low, x^(n+64-33)) + product(high, x^(n-33)),
// and the crc32 instruction from state 0 turns a word w into w * x^32 mod P.
#include "base/crc32c_impl.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "base/endian.h"

#define CAMBIUM_TARGET_SSE42 __attribute__((target("sse4.2,pclmul")))
#define CAMBIUM_TARGET_AVX512 __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))

namespace cambium::rt::crc32c_detail {

namespace {

/// The crc32 instruction alone, one chain.
CAMBIUM_TARGET_SSE42 inline std::uint32_t extend_serial(std::uint32_t state, const unsigned char* at,
                                                        std::size_t bytes) noexcept {
  std::uint64_t wide = state;
  for (; bytes >= 8; bytes -= 8, at += 8) wide = _mm_crc32_u64(wide, load_le64(at));
  state = static_cast<std::uint32_t>(wide);
  if ((bytes & 4) != 0) {
    state = _mm_crc32_u32(state, load_le32(at));
    at += 4;
  }
  if ((bytes & 2) != 0) {
    state = _mm_crc32_u16(state, load_le16(at));
    at += 2;
  }
  if ((bytes & 1) != 0) state = _mm_crc32_u8(state, *at);
  return state;
}

/// state * multiplier, not yet reduced: the crc32 instruction does that for a sum of such products.
CAMBIUM_TARGET_SSE42 inline std::uint64_t product(std::uint64_t state, std::uint32_t multiplier) noexcept {
  const __m128i lane = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(state)),
                                            _mm_cvtsi64_si128(static_cast<long long>(multiplier)), 0);
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(lane));
}

/// Consumes whole runs of 3 * kChainBytes. Three chains, because the instruction takes three cycles but
/// one can start in each; then the first two are moved to where the third ends.
template <std::size_t kChainBytes>
CAMBIUM_TARGET_SSE42 inline std::uint32_t extend_chains(std::uint32_t state, const unsigned char*& at,
                                                        std::size_t& bytes) noexcept {
  static_assert(kChainBytes % 8 == 0);
  // 33: the shift in the comment above, of which the crc32 instruction's x^32 is a part.
  constexpr std::uint32_t kOneChain = x_power(8 * kChainBytes - 33);
  constexpr std::uint32_t kTwoChains = x_power(16 * kChainBytes - 33);
  for (; bytes >= 3 * kChainBytes; bytes -= 3 * kChainBytes, at += 3 * kChainBytes) {
    std::uint64_t first = state;
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kChainBytes; i += 8) {
      first = _mm_crc32_u64(first, load_le64(at + i));
      second = _mm_crc32_u64(second, load_le64(at + kChainBytes + i));
      third = _mm_crc32_u64(third, load_le64(at + 2 * kChainBytes + i));
    }
    const std::uint64_t moved = _mm_crc32_u64(0, product(first, kTwoChains) ^ product(second, kOneChain));
    state = static_cast<std::uint32_t>(moved ^ third);
  }
  return state;
}

consteval long long fold_low(std::uint64_t bits) noexcept { return x_power(bits + 64 - 33); }
consteval long long fold_high(std::uint64_t bits) noexcept { return x_power(bits - 33); }

/// Constants that move every lane by the same number of bits.
template <std::uint64_t kBits>
CAMBIUM_TARGET_AVX512 inline __m512i distance() noexcept {
  return _mm512_set_epi64(fold_high(kBits), fold_low(kBits), fold_high(kBits), fold_low(kBits),  //
                          fold_high(kBits), fold_low(kBits), fold_high(kBits), fold_low(kBits));
}

/// lanes * x^distance + addend, lane by lane.
CAMBIUM_TARGET_AVX512 inline __m512i fold(__m512i lanes, __m512i constants, __m512i addend) noexcept {
  const __m512i low = _mm512_clmulepi64_epi128(lanes, constants, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(lanes, constants, 0x11);
  return _mm512_ternarylogic_epi64(low, high, addend, 0x96);  // exclusive or of three
}

/// The state after the 64 bytes in `lanes`, from state 0.
CAMBIUM_TARGET_AVX512 inline std::uint32_t reduce(__m512i lanes) noexcept {
  // The first three lanes move to where the fourth is; that one stays (its product with 0 is 0).
  const __m512i constants = _mm512_set_epi64(0, 0, fold_high(128), fold_low(128),  //
                                             fold_high(256), fold_low(256), fold_high(384), fold_low(384));
  const __m512i stays = _mm512_maskz_mov_epi64(0xC0, lanes);
  const __m512i moved = fold(lanes, constants, stays);
  // The maskz form with all lanes on: g++ 12 warns of an uninitialised operand inside the plain one.
  const __m128i first = _mm512_maskz_extracti32x4_epi32(0x0F, moved, 0);
  const __m128i second = _mm512_maskz_extracti32x4_epi32(0x0F, moved, 1);
  const __m128i third = _mm512_maskz_extracti32x4_epi32(0x0F, moved, 2);
  const __m128i fourth = _mm512_maskz_extracti32x4_epi32(0x0F, moved, 3);
  const __m128i lane = _mm_xor_si128(_mm_xor_si128(first, second), _mm_xor_si128(third, fourth));
  const std::uint64_t low = _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(lane)));
  return static_cast<std::uint32_t>(_mm_crc32_u64(low, static_cast<std::uint64_t>(_mm_extract_epi64(lane, 1))));
}

CAMBIUM_TARGET_AVX512 inline __m512i load64(const unsigned char* at) noexcept { return _mm512_loadu_si512(at); }

/// Requires bytes >= 256. Four registers, since a carry-less multiplication takes longer than a load.
CAMBIUM_TARGET_AVX512 inline std::uint32_t extend_folding(std::uint32_t state, const unsigned char*& at,
                                                          std::size_t& bytes) noexcept {
  __m512i a = _mm512_xor_si512(load64(at), _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(state))));
  __m512i b = load64(at + 64);
  __m512i c = load64(at + 128);
  __m512i d = load64(at + 192);
  at += 256;
  bytes -= 256;
  const __m512i by_256_bytes = distance<2048>();
  for (; bytes >= 256; bytes -= 256, at += 256) {
    a = fold(a, by_256_bytes, load64(at));
    b = fold(b, by_256_bytes, load64(at + 64));
    c = fold(c, by_256_bytes, load64(at + 128));
    d = fold(d, by_256_bytes, load64(at + 192));
  }
  const __m512i by_64_bytes = distance<512>();
  a = fold(a, distance<1536>(), fold(b, distance<1024>(), fold(c, by_64_bytes, d)));
  for (; bytes >= 64; bytes -= 64, at += 64) a = fold(a, by_64_bytes, load64(at));
  return reduce(a);
}

}  // namespace

bool has_sse42() noexcept {
  __builtin_cpu_init();  // we may be called before the constructor that would do it
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

bool has_avx512() noexcept {
  return has_sse42() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

CAMBIUM_TARGET_SSE42 std::uint32_t extend_sse42(std::uint32_t state, const unsigned char* at,
                                                std::size_t bytes) noexcept {
  // Long chains for a page (4,080 of 4,096 bytes), shorter ones for what is left and for small records.
  if (bytes >= 192) {
    state = extend_chains<1360>(state, at, bytes);
    state = extend_chains<336>(state, at, bytes);
    state = extend_chains<64>(state, at, bytes);
  }
  return extend_serial(state, at, bytes);
}

CAMBIUM_TARGET_AVX512 std::uint32_t extend_avx512(std::uint32_t state, const unsigned char* at,
                                                  std::size_t bytes) noexcept {
  if (bytes >= 256) state = extend_folding(state, at, bytes);
  return extend_serial(state, at, bytes);
}

}  // namespace cambium::rt::crc32c_detail

#endif  // __x86_64__
