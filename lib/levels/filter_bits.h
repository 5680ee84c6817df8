// SPDX-License-Identifier: MIT OR Apache-2.0
// How many bits a filter should spend, and what they buy: the arithmetic behind blocked_filter.h.
//
// Floating point is safe here: it only chooses a shape, which is then written down (format::FilterRecord); readers
// compute with the record's integers.
//
// Units      bits per key; rates are probabilities, 0..1.
// Errors     none; arguments out of range are clamped to it.
#pragma once

namespace cambium {

inline constexpr double kFilterBitsMin = 1;  // fewer buy nothing: no filter at all
inline constexpr double kFilterBitsMax = 24;

// How often a blocked filter that was asked for an absent key says "maybe".
double blocked_false_positive_rate(double bits_per_key, unsigned probes) noexcept;
// The same of one that spreads its probes over all of its bits.
double classic_false_positive_rate(double bits_per_key, unsigned probes) noexcept;

// The number of probes with the lowest rate: fewer than the classic filter's bits * ln 2.
unsigned best_probes(double bits_per_key) noexcept;

// Bits per key for the filters of `level` (0 the smallest, level_count - 1 the largest), so that `average_bits` over
// all keys of all levels cost a lookup of an absent key the fewest reads. Requires: level < level_count,
// size_ratio > 1. May be below kFilterBitsMin where filters do not pay.
double bits_for_level(unsigned level, unsigned level_count, double size_ratio, double average_bits) noexcept;

}  // namespace cambium
