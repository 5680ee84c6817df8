// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/filter_probe.h"

#include <atomic>
#include <cstddef>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/assert.h"
#include "base/endian.h"
#include "format/filter_page.h"

namespace cambium {
namespace {

using format::kFilterProbeFactor;

bool has_bits_portable(const char* block, std::uint32_t bits, unsigned probes) noexcept {
  std::uint32_t missing = 0;
  for (unsigned i = 0; i < probes; ++i, bits *= kFilterProbeFactor) {
    missing |= ~rt::load_le32(block + 4 * (bits >> 28)) >> ((bits >> 23) & 31);
  }
  return (missing & 1) == 0;
}

#if defined(__x86_64__)

constexpr std::uint32_t factor_power(unsigned exponent) noexcept {
  std::uint32_t product = 1;
  for (; exponent != 0; --exponent) product *= kFilterProbeFactor;
  return product;
}
constexpr int factor_lane(unsigned lane) noexcept { return static_cast<int>(factor_power(lane)); }

// After RocksDB's FastLocalBloom (util/bloom_impl.h): a register permutation looks eight words up at once.
__attribute__((target("avx2"))) bool has_bits_avx2(const char* block, std::uint32_t bits, unsigned probes) noexcept {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32));
  const __m256i powers = _mm256_setr_epi32(factor_lane(0), factor_lane(1), factor_lane(2), factor_lane(3),
                                           factor_lane(4), factor_lane(5), factor_lane(6), factor_lane(7));
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  for (int left = static_cast<int>(probes);; left -= 8, bits *= factor_power(8)) {
    const __m256i place = _mm256_mullo_epi32(_mm256_set1_epi32(static_cast<int>(bits)), powers);
    const __m256i word = _mm256_srli_epi32(place, 28);
    // The permutation takes the low three bits of `word`; the fourth, the sign of `place`, names the half.
    const __m256i words = _mm256_castps_si256(
        _mm256_blendv_ps(_mm256_castsi256_ps(_mm256_permutevar8x32_epi32(low, word)),
                         _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(high, word)), _mm256_castsi256_ps(place)));
    // 1 in the lanes that are asked for, 0 in those beyond the last probe.
    const __m256i ones = _mm256_srli_epi32(_mm256_cmpgt_epi32(_mm256_set1_epi32(left), lanes), 31);
    const __m256i shift = _mm256_srli_epi32(_mm256_slli_epi32(place, 4), 27);
    if (_mm256_testc_si256(words, _mm256_sllv_epi32(ones, shift)) == 0) return false;
    if (left <= 8) return true;
  }
}

bool has_avx2() noexcept {
  __builtin_cpu_init();  // we may be called before the constructor that would do it
  return __builtin_cpu_supports("avx2") != 0;
}

#else

bool has_bits_avx2(const char*, std::uint32_t, unsigned) noexcept { CAMBIUM_UNREACHABLE(); }
bool has_avx2() noexcept { return false; }

#endif

using HasBits = bool (*)(const char*, std::uint32_t, unsigned) noexcept;

bool has_bits_first(const char* block, std::uint32_t bits, unsigned probes) noexcept;

// Starts at the function that chooses and replaces itself. Any thread may be first: all choose alike.
constinit std::atomic<HasBits> chosen_has_bits{has_bits_first};

bool has_bits_first(const char* block, std::uint32_t bits, unsigned probes) noexcept {
  const HasBits chosen = has_avx2() ? has_bits_avx2 : has_bits_portable;
  chosen_has_bits.store(chosen, std::memory_order_relaxed);
  return chosen(block, bits, probes);
}

}  // namespace

void set_filter_bits(char* block, std::uint32_t bits, unsigned probes) noexcept {
  for (unsigned i = 0; i < probes; ++i, bits *= kFilterProbeFactor) {
    char* word = block + 4 * (bits >> 28);
    rt::store_le32(word, rt::load_le32(word) | std::uint32_t{1} << ((bits >> 23) & 31));
  }
}

bool has_filter_bits(const char* block, std::uint32_t bits, unsigned probes) noexcept {
  return chosen_has_bits.load(std::memory_order_relaxed)(block, bits, probes);
}

bool filter_probe_available(FilterProbeImpl impl) noexcept { return impl == FilterProbeImpl::portable || has_avx2(); }

bool has_filter_bits_with(FilterProbeImpl impl, const char* block, std::uint32_t bits, unsigned probes) noexcept {
  CAMBIUM_ASSERT(filter_probe_available(impl));
  return impl == FilterProbeImpl::portable ? has_bits_portable(block, bits, probes)
                                           : has_bits_avx2(block, bits, probes);
}

std::string_view filter_probe_name(FilterProbeImpl impl) noexcept {
  return impl == FilterProbeImpl::portable ? "portable" : "avx2";
}

}  // namespace cambium
