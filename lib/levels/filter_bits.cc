// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/filter_bits.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/assert.h"
#include "format/filter_page.h"

namespace cambium {
namespace {

double power(double base, unsigned exponent) noexcept {
  double result = 1;
  for (; exponent != 0; exponent >>= 1, base *= base) {
    if ((exponent & 1) != 0) result *= base;
  }
  return result;
}

}  // namespace

// F. Putze, P. Sanders, J. Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007): the keys of a block are
// Poisson distributed, with mean 512 / bits_per_key, and the rate is the mean over that of a small filter's. A filter
// of s bits after m probes has S bits set; E[(S/s)^k] is E[S/s]^k and, to second order, what the variance of S adds.
double blocked_false_positive_rate(double bits_per_key, unsigned probes) noexcept {
  const double s = format::kFilterBlockBits;
  const double mean = s / std::clamp(bits_per_key, kFilterBitsMin, 4096.0);
  const auto load_max = static_cast<unsigned>(mean + 12 * std::sqrt(mean) + 30);
  const double clear_step = power(1 - 1 / s, probes);
  const double pair_step = power(1 - 2 / s, probes);
  double chance = std::exp(-mean);  // of this load
  double clear = 1;                 // chance that one given bit is clear
  double pair_clear = 1;            // chance that two given ones are
  double rate = 0;
  for (unsigned load = 1; load <= load_max; ++load) {
    chance *= mean / load;
    clear *= clear_step;
    pair_clear *= pair_step;
    const double set = s * (1 - clear);
    const double variance = s * clear + s * (s - 1) * pair_clear - s * s * clear * clear;
    const double spread = 0.5 * probes * (probes - 1) * variance / (set * set);
    rate += chance * std::min(1.0, power(1 - clear, probes) * (1 + spread));
  }
  return rate;
}

double classic_false_positive_rate(double bits_per_key, unsigned probes) noexcept {
  return power(1 - std::exp(-static_cast<double>(probes) / std::max(bits_per_key, kFilterBitsMin)), probes);
}

unsigned best_probes(double bits_per_key) noexcept {
  const double bits = std::clamp(bits_per_key, kFilterBitsMin, kFilterBitsMax);
  // Crowded blocks want fewer probes than bits * ln 2, never more.
  const auto last = std::clamp(static_cast<unsigned>(bits * std::numbers::ln2 + 1), 1u, format::kFilterProbesMax);
  unsigned best = last;
  double best_rate = 1;
  for (unsigned probes = last; probes != 0; --probes) {
    const double rate = blocked_false_positive_rate(bits, probes);
    if (rate >= best_rate) break;  // the rate has one minimum
    best_rate = rate;
    best = probes;
  }
  return best;
}

// N. Dayan, M. Athanassoulis, S. Idreos, "Monkey: Optimal Navigable Key-Value Store" (2017).
// A lookup of an absent key reads one leaf for each filter that errs, so the cost is the sum of the rates p_i of the
// levels; a filter of b bits per key has p = e^(-b c), c = (ln 2)^2. With f_i the share of the keys in level i:
//   minimise  sum p_i   where  sum f_i b_i = average   =>   d p_i / d b_i = -c p_i  is proportional to f_i
// so p_i is proportional to the level's size: each level up, size_ratio times smaller, gets ln(size_ratio) / c bits
// more. With x the bits of the largest level, b_i = x + (levels below i) * ln(size_ratio) / c. Where that is negative
// or beyond what a filter can use, b_i stays at the limit and the others share the difference: the sum grows with x,
// so x is found by bisection.
double bits_for_level(unsigned level, unsigned level_count, double size_ratio, double average_bits) noexcept {
  CAMBIUM_ASSERT(level < level_count && size_ratio > 1);
  const double step = std::log(size_ratio) / (std::numbers::ln2 * std::numbers::ln2);
  const double average = std::clamp(average_bits, 0.0, kFilterBitsMax);
  const auto bits = [&](unsigned i, double x) noexcept {
    return std::clamp(x + step * (level_count - 1 - i), 0.0, kFilterBitsMax);
  };
  double low = -step * level_count;
  double high = kFilterBitsMax;
  for (int round = 0; round < 64; ++round) {
    const double x = (low + high) / 2;
    double weight = 1;  // the largest level's; only ratios matter
    double weights = 0;
    double spent = 0;
    for (unsigned i = level_count; i-- != 0; weight /= size_ratio) {
      weights += weight;
      spent += weight * bits(i, x);
    }
    (spent < average * weights ? low : high) = x;
  }
  return bits(level, high);
}

}  // namespace cambium
