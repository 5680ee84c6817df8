// SPDX-License-Identifier: MIT OR Apache-2.0
// Does one block of a filter hold all bits of a hash? The inner step of blocked_filter.h, in the ways processors offer.
//
//   portable  one probe after the other, without a branch on what is found    any processor
//   avx2      eight probes at once: the block is a table in two registers     x86-64 with AVX2
//
// All give the same answers; the best that this processor has is chosen at the first call.
//
// Units      a block is 64 bytes, at any alignment; `bits` is the lower half of a hash; probes 1 .. 16.
// Errors     none.
#pragma once

#include <cstdint>
#include <string_view>

namespace cambium {

enum class FilterProbeImpl : std::uint8_t { portable, avx2 };

void set_filter_bits(char* block, std::uint32_t bits, unsigned probes) noexcept;
bool has_filter_bits(const char* block, std::uint32_t bits, unsigned probes) noexcept;

// For tests and benches. Requires, of the second: filter_probe_available(impl).
bool filter_probe_available(FilterProbeImpl impl) noexcept;
bool has_filter_bits_with(FilterProbeImpl impl, const char* block, std::uint32_t bits, unsigned probes) noexcept;
std::string_view filter_probe_name(FilterProbeImpl impl) noexcept;

}  // namespace cambium
