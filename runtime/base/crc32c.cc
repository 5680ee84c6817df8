// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The choice of implementation, the portable one, and combine.
#include "base/crc32c.h"

#include <array>
#include <atomic>

#include "base/assert.h"
#include "base/crc32c_impl.h"
#include "base/endian.h"

namespace cambium::rt {

namespace crc32c_detail {
namespace {

// kTables[k][b]: the state after byte b and k zero bytes (slicing-by-8: M. Kounavis and F. Berry, "A
// Systematic Approach to Building High Performance Software-based CRC Generators", 2005).
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() noexcept {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t state = byte;
    for (int bit = 0; bit < 8; ++bit) state = times_x(state);
    tables[0][byte] = state;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

std::uint32_t extend_portable(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept {
  for (; bytes >= 8; bytes -= 8, at += 8) {
    const std::uint64_t word = load_le64(at) ^ state;
    state = kTables[7][word & 0xFF] ^ kTables[6][(word >> 8) & 0xFF] ^           //
            kTables[5][(word >> 16) & 0xFF] ^ kTables[4][(word >> 24) & 0xFF] ^  //
            kTables[3][(word >> 32) & 0xFF] ^ kTables[2][(word >> 40) & 0xFF] ^  //
            kTables[1][(word >> 48) & 0xFF] ^ kTables[0][word >> 56];
  }
  for (; bytes > 0; --bytes, ++at) state = (state >> 8) ^ kTables[0][(state ^ *at) & 0xFF];
  return state;
}

}  // namespace crc32c_detail

namespace {

using crc32c_detail::Extend;

/// Null where this build has no such implementation or this processor cannot run it.
Extend extend_of(Crc32cImpl impl) noexcept {
  switch (impl) {
    case Crc32cImpl::portable:
      return crc32c_detail::extend_portable;
#if defined(__x86_64__)
    case Crc32cImpl::sse42:
      return crc32c_detail::has_sse42() ? crc32c_detail::extend_sse42 : nullptr;
    case Crc32cImpl::avx512:
      return crc32c_detail::has_avx512() ? crc32c_detail::extend_avx512 : nullptr;
    case Crc32cImpl::armv8:
      return nullptr;
#elif defined(__aarch64__)
    case Crc32cImpl::armv8:
      return crc32c_detail::has_armv8() ? crc32c_detail::extend_armv8 : nullptr;
    case Crc32cImpl::sse42:
    case Crc32cImpl::avx512:
      return nullptr;
#else
    case Crc32cImpl::sse42:
    case Crc32cImpl::avx512:
    case Crc32cImpl::armv8:
      return nullptr;
#endif
  }
  CAMBIUM_UNREACHABLE();
}

Crc32cImpl best_impl() noexcept {
  for (const Crc32cImpl impl : {Crc32cImpl::avx512, Crc32cImpl::armv8, Crc32cImpl::sse42}) {
    if (extend_of(impl) != nullptr) return impl;
  }
  return Crc32cImpl::portable;
}

std::uint32_t extend_first(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept;

// Starts at the function that chooses and replaces itself. Constant-initialised, hence right in any static
// initialiser; relaxed, because every thread that races here chooses the same.
constinit std::atomic<Extend> chosen_extend{extend_first};

std::uint32_t extend_first(std::uint32_t state, const unsigned char* at, std::size_t bytes) noexcept {
  const Extend best = extend_of(best_impl());
  chosen_extend.store(best, std::memory_order_relaxed);
  return best(state, at, bytes);
}

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t seed) noexcept {
  const Extend extend = chosen_extend.load(std::memory_order_relaxed);
  return ~extend(~seed, static_cast<const unsigned char*>(data), bytes);
}

std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::size_t bytes_b) noexcept {
  // The complements at both ends cancel: crc(a b) = crc(a) * x^(8 bytes_b) + crc(b).
  using namespace crc32c_detail;
  return multiply(crc_a, power(kXToThe8, bytes_b)) ^ crc_b;
}

bool crc32c_available(Crc32cImpl impl) noexcept { return extend_of(impl) != nullptr; }

std::uint32_t crc32c_with(Crc32cImpl impl, const void* data, std::size_t bytes, std::uint32_t seed) noexcept {
  const Extend extend = extend_of(impl);
  CAMBIUM_ASSERT_MSG(extend != nullptr, "this processor lacks the CRC-32C implementation asked for");
  return ~extend(~seed, static_cast<const unsigned char*>(data), bytes);
}

std::string_view crc32c_impl_name(Crc32cImpl impl) noexcept {
  switch (impl) {
    case Crc32cImpl::portable:
      return "portable";
    case Crc32cImpl::sse42:
      return "sse42";
    case Crc32cImpl::avx512:
      return "avx512";
    case Crc32cImpl::armv8:
      return "armv8";
  }
  CAMBIUM_UNREACHABLE();
}

std::string_view crc32c_impl_name() noexcept { return crc32c_impl_name(best_impl()); }

}  // namespace cambium::rt
