// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/segment_fitter.h"

#include <catch2/catch.hpp>

#include <vector>

#include "base/random.h"

namespace cambium {
namespace {

struct Point {
  std::uint64_t x;
  std::uint32_t y;
};

std::vector<Segment> fit(const std::vector<Point>& points, std::uint32_t epsilon) {
  SegmentFitter fitter(epsilon);
  std::vector<Segment> segments;
  for (const Point& point : points) {
    const std::optional<Segment> finished = fitter.add(point.x, point.y);
    if (finished.has_value()) segments.push_back(*finished);
  }
  segments.push_back(fitter.segment());
  return segments;
}

TEST_CASE("segment fitter: no point is further from its line than epsilon", "[F19]") {
  const std::uint64_t seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  const std::uint32_t epsilon = GENERATE(0u, 1u, 8u, 128u);
  CAPTURE(seed, epsilon);
  rt::Random random(seed);
  for (int round = 0; round < 200; ++round) {
    // Gaps of one magnitude or of all; steps of one leaf or of many.
    const std::uint64_t gap_bits = random.between(1, 55);
    const bool wild = random.chance(0.5);
    std::vector<Point> points = {{random.below(1000), 0}};
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t gap = 1 + (random.next() >> (64 - (wild ? random.between(1, 55) : gap_bits)));
      const auto rise = static_cast<std::uint32_t>(random.chance(0.1) ? random.below(200) : random.below(2));
      points.push_back({points.back().x + gap, points.back().y + rise});
    }
    const std::vector<Segment> segments = fit(points, epsilon);
    std::size_t at = 0;
    for (const Point& point : points) {
      while (at + 1 < segments.size() && segments[at + 1].start <= point.x) ++at;
      const std::uint64_t guess = segments[at].ordinal + segment_rise(segments[at].slope, point.x - segments[at].start);
      REQUIRE(guess + epsilon >= point.y);
      REQUIRE(guess <= std::uint64_t{point.y} + epsilon);
    }
  }
}

TEST_CASE("segment fitter: a straight line is one segment, whatever its slope") {
  for (unsigned bits = 0; bits < 50; ++bits) {
    std::vector<Point> points;
    for (std::uint32_t i = 0; i < 5'000; ++i) points.push_back({std::uint64_t{i} << bits, i});
    CHECK(fit(points, 1).size() == 1);
  }
}

TEST_CASE("segment fitter: the whole range of numbers") {
  const std::uint64_t top = ~std::uint64_t{0};
  CHECK(fit({{0, 0}, {top, 1'000'000}}, 1).size() == 1);
  CHECK(fit({{0, 0}, {top - 1, 0}, {top, 3}}, 1).size() == 2);
  CHECK(fit({{top, 5}}, 1).size() == 1);
  CHECK(fit({{7, 5}, {7, 5}, {8, 6}, {8, 6}}, 1).size() == 1);
}

TEST_CASE("segment fitter: a step that no slope below one leaf per unit can climb begins a segment") {
  const std::vector<Segment> segments = fit({{0, 0}, {10, 1}, {11, 100}, {12, 101}}, 8);
  REQUIRE(segments.size() == 2);
  CHECK(segments[1].start == 11);
  CHECK(segments[1].ordinal == 100);
}

}  // namespace
}  // namespace cambium
