// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/filter_bits.h"

#include <catch2/catch.hpp>

#include <cmath>

namespace cambium {
namespace {

TEST_CASE("filter bits: rates that are known from elsewhere", "[F08]") {
  // Classic: the textbook's (1 - e^(-k/b))^k. Blocked, 512 bits: RocksDB's documentation of its FastLocalBloom says
  // 0.95 % for 10 bits and 6 probes.
  CHECK(classic_false_positive_rate(10, 7) == Approx(0.00819).epsilon(0.01));
  CHECK(blocked_false_positive_rate(10, 6) == Approx(0.0095).epsilon(0.03));
  CHECK(blocked_false_positive_rate(1, 1) == Approx(1 - std::exp(-1.0)).epsilon(0.01));
}

TEST_CASE("filter bits: blocks cost something, more bits gain something") {
  double before = 1;
  for (double bits = 1; bits <= 24; bits += 0.5) {
    CAPTURE(bits);
    const unsigned probes = best_probes(bits);
    const double rate = blocked_false_positive_rate(bits, probes);
    CHECK(rate < before);
    CHECK(rate > classic_false_positive_rate(bits, probes) * 0.999);
    before = rate;
  }
}

TEST_CASE("filter bits: the number of probes is the best of all") {
  for (double bits = 1; bits <= 24; bits += 0.25) {
    CAPTURE(bits);
    const unsigned best = best_probes(bits);
    for (unsigned probes = 1; probes <= 16; ++probes) {
      CHECK(blocked_false_positive_rate(bits, best) <= blocked_false_positive_rate(bits, probes));
    }
  }
  CHECK(best_probes(0.1) == 1);
  CHECK(best_probes(1000) == best_probes(24));
}

double average(unsigned levels, double ratio, double asked) {
  double weight = 1;
  double weights = 0;
  double spent = 0;
  for (unsigned i = levels; i-- != 0; weight /= ratio) {
    weights += weight;
    spent += weight * bits_for_level(i, levels, ratio, asked);
  }
  return spent / weights;
}

// Expected reads of a lookup of an absent key, by Monkey's model of a filter.
double cost(double bits) { return std::exp(-bits * std::log(2.0) * std::log(2.0)); }

TEST_CASE("filter bits: levels spend together what was given to all") {
  for (unsigned levels = 1; levels <= 8; ++levels) {
    for (const double ratio : {2.0, 4.0, 10.0}) {
      for (double bits = 0; bits <= 24; bits += 0.5) {
        CAPTURE(levels, ratio, bits);
        CHECK(average(levels, ratio, bits) == Approx(bits).margin(1e-6));
      }
    }
  }
  CHECK(bits_for_level(0, 1, 10, 10) == Approx(10));
  CHECK(bits_for_level(0, 3, 10, 99) == Approx(24));
}

TEST_CASE("filter bits: smaller levels get more, by the derived step where nothing is at its limit") {
  const double step = std::log(10.0) / (std::log(2.0) * std::log(2.0));
  for (unsigned level = 0; level + 1 < 3; ++level) {
    CHECK(bits_for_level(level, 3, 10, 10) - bits_for_level(level + 1, 3, 10, 10) == Approx(step).epsilon(1e-6));
  }
  for (unsigned level = 0; level + 1 < 7; ++level) {
    CHECK(bits_for_level(level, 7, 10, 5) >= bits_for_level(level + 1, 7, 10, 5));
  }
  // With next to nothing to spend the largest level goes without.
  CHECK(bits_for_level(6, 7, 10, 0.1) == 0);
  CHECK(bits_for_level(0, 7, 10, 0.1) > 10);
}

TEST_CASE("filter bits: the same memory costs fewer reads than spread evenly, and no small shift does better") {
  for (const double bits : {2.0, 5.0, 10.0}) {
    double optimal = 0;
    for (unsigned level = 0; level < 5; ++level) optimal += cost(bits_for_level(level, 5, 10, bits));
    CHECK(optimal < 5 * cost(bits));
    // Move memory between two neighbouring levels: delta bits per key of the larger are 10 delta of the smaller.
    for (unsigned level = 0; level + 1 < 5; ++level) {
      for (const double delta : {-0.05, 0.05}) {
        const double small = bits_for_level(level, 5, 10, bits);
        const double large = bits_for_level(level + 1, 5, 10, bits);
        if (small + 10 * delta > 24 || large - delta < 0) continue;
        CHECK(cost(small + 10 * delta) + cost(large - delta) > cost(small) + cost(large));
      }
    }
  }
}

}  // namespace
}  // namespace cambium
