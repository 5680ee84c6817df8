// SPDX-License-Identifier: MIT OR Apache-2.0
//
// CRC-32C (Castagnoli; RFC 3720 appendix B.4), the checksum of every page, pointer and log record.
//
// Four implementations give the same numbers; the fastest that this processor has is chosen at the
// first call. The numbers are part of the file format and never change.
//
//   portable  slicing-by-8                       any processor
//   sse42     crc32 instruction in three chains  x86-64 with SSE4.2 and PCLMULQDQ
//   avx512    carry-less folding, 4 x 512 bits   x86-64 with AVX-512F and VPCLMULQDQ
//   armv8     crc32c instructions                aarch64 with the CRC extension
//
// Units      bytes. Any length, any alignment.
// Errors     none.
// Lifetime   usable from static initialisers; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cambium::rt {

enum class Crc32cImpl : std::uint8_t { portable, sse42, avx512, armv8 };

/// The checksum of `bytes` bytes at `data`. `seed` is the checksum of what comes before them:
/// crc32c(b, n, crc32c(a, m)) is the checksum of a followed by b.
[[nodiscard]] std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t seed = 0) noexcept;

/// The checksum of a followed by b, from the checksum of each and the length of b.
/// O(log bytes_b): about 60 carry-less multiplications, done in portable code.
[[nodiscard]] std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::size_t bytes_b) noexcept;

// For tests and benches.

/// Whether this build and this processor have the implementation.
[[nodiscard]] bool crc32c_available(Crc32cImpl impl) noexcept;

/// As crc32c(), by the implementation named. Requires crc32c_available(impl).
[[nodiscard]] std::uint32_t crc32c_with(Crc32cImpl impl, const void* data, std::size_t bytes,
                                        std::uint32_t seed = 0) noexcept;

[[nodiscard]] std::string_view crc32c_impl_name(Crc32cImpl impl) noexcept;

/// The name of the one that crc32c() uses here.
[[nodiscard]] std::string_view crc32c_impl_name() noexcept;

}  // namespace cambium::rt
