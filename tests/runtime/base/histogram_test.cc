// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/histogram.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <vector>

#include "base/random.h"

using namespace cambium::rt;

TEST_CASE("histogram: an empty one answers zero") {
  const auto histogram = std::make_unique<Histogram>();
  CHECK(histogram->count() == 0);
  CHECK(histogram->min() == 0);
  CHECK(histogram->max() == 0);
  CHECK(histogram->mean() == 0);
  CHECK(histogram->percentile(50) == 0);
}

TEST_CASE("histogram: values below 256 are exact") {
  const auto histogram = std::make_unique<Histogram>();
  for (std::uint64_t value = 1; value <= 200; ++value) histogram->record(value);
  CHECK(histogram->percentile(0) == 1);
  CHECK(histogram->percentile(50) == 100);
  CHECK(histogram->percentile(99.5) == 199);
  CHECK(histogram->percentile(100) == 200);
  CHECK(histogram->mean() == 100.5);
}

TEST_CASE("histogram: percentiles of random values are within 1 % of the exact ones, never below") {
  constexpr std::uint64_t kSeed = 99;
  CAPTURE(kSeed);
  Random random(kSeed);
  const auto histogram = std::make_unique<Histogram>();
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t value = random.next() >> random.between(24, 63);  // every magnitude up to 2^40
    values.push_back(value);
    histogram->record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.0, 0.1, 1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
    const std::uint64_t exact = values[rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1];
    const std::uint64_t reported = histogram->percentile(percent);
    CAPTURE(percent, exact, reported);
    CHECK(reported >= exact);
    CHECK(static_cast<double>(reported - exact) <= 0.01 * static_cast<double>(exact));
  }
  CHECK(histogram->min() == values.front());
  CHECK(histogram->max() == values.back());
}

TEST_CASE("histogram: one value of any magnitude is reported exactly at its ends and within 1 % between") {
  for (unsigned bits = 0; bits <= 40; ++bits) {
    for (const int around : {-1, 0, 1}) {
      const std::uint64_t value =
          (std::uint64_t{1} << bits) + static_cast<std::uint64_t>(static_cast<std::int64_t>(around));
      if (value > Histogram::kValueMax) continue;
      const auto histogram = std::make_unique<Histogram>();
      histogram->record(0);
      histogram->record(value);
      histogram->record(Histogram::kValueMax);
      CAPTURE(value);
      const std::uint64_t reported = histogram->percentile(60);
      CHECK(reported >= value);
      CHECK(static_cast<double>(reported - value) <= 0.01 * static_cast<double>(value));
    }
  }
}

TEST_CASE("histogram: what is beyond the range counts as its end") {
  const auto histogram = std::make_unique<Histogram>();
  histogram->record(~std::uint64_t{0}, 3);
  CHECK(histogram->count() == 3);
  CHECK(histogram->max() == Histogram::kValueMax);
  CHECK(histogram->percentile(50) == Histogram::kValueMax);
  CHECK(histogram->mean() == static_cast<double>(Histogram::kValueMax));
}

TEST_CASE("histogram: merging equals recording both streams, and clear forgets") {
  Random random(5);
  const auto a = std::make_unique<Histogram>();
  const auto b = std::make_unique<Histogram>();
  const auto both = std::make_unique<Histogram>();
  for (int i = 0; i < 3000; ++i) {
    const std::uint64_t value = random.below(1u << 30);
    (i % 3 == 0 ? *a : *b).record(value, 2);
    both->record(value, 2);
  }
  a->merge(*b);
  a->merge(Histogram{});
  CHECK(a->count() == both->count());
  CHECK(a->min() == both->min());
  CHECK(a->max() == both->max());
  CHECK(a->mean() == both->mean());
  for (double percent = 0; percent <= 100; percent += 0.5) REQUIRE(a->percentile(percent) == both->percentile(percent));
  a->clear();
  CHECK(a->count() == 0);
  a->record(7);
  CHECK(a->min() == 7);
  CHECK(a->percentile(50) == 7);
}
