// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/random.h"

#include <catch2/catch.hpp>
#include <cstring>

using namespace cambium::rt;

TEST_CASE("random: xoshiro256** gives the numbers of its reference implementation") {
  Random random(Random::State{1, 2, 3, 4});
  CHECK(random.next() == 11520u);
  CHECK(random.next() == 0u);
  CHECK(random.next() == 1509978240u);
  CHECK(random.next() == 1215971899390074240u);
}

TEST_CASE("random: splitmix64 gives the numbers of its reference implementation") {
  std::uint64_t state = 1234567;
  CHECK(splitmix64(state) == 6457827717110365317u);
  CHECK(splitmix64(state) == 3203168211198807973u);
  CHECK(splitmix64(state) == 9817491932198370423u);
}

TEST_CASE("random: the same seed replays, a saved state continues, another seed differs") {
  Random a(42);
  Random b(42);
  Random other(43);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t number = a.next();
    REQUIRE(number == b.next());
    differs |= number != other.next();
  }
  CHECK(differs);
  Random continued(a.state());
  CHECK(continued.next() == a.next());
}

TEST_CASE("random: below stays below, reaches every value, and favours none") {
  Random random(1);
  constexpr std::uint64_t kBound = 7;
  constexpr int kDraws = 70'000;
  int seen[kBound] = {};
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t value = random.below(kBound);
    REQUIRE(value < kBound);
    ++seen[value];
  }
  // 10,000 expected, standard deviation 93: six of them.
  for (const int times : seen) CHECK((times > 9'440 && times < 10'560));
  CHECK(random.below(1) == 0);

  // With a bound just above 2^63, plain multiply-and-shift would give some values twice as often.
  constexpr std::uint64_t kHuge = (std::uint64_t{1} << 63) + 1;
  int upper_half = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t value = random.below(kHuge);
    REQUIRE(value < kHuge);
    upper_half += value >= kHuge / 2 ? 1 : 0;
  }
  CHECK((upper_half > 4'700 && upper_half < 5'300));
}

TEST_CASE("random: between includes both ends, also of the whole range") {
  Random random(2);
  bool first = false;
  bool last = false;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = random.between(10, 12);
    REQUIRE((value >= 10 && value <= 12));
    first |= value == 10;
    last |= value == 12;
  }
  CHECK(first);
  CHECK(last);
  CHECK(random.between(5, 5) == 5);
  Random copy = random;
  CHECK(random.between(0, ~std::uint64_t{0}) == copy.next());
}

TEST_CASE("random: chance keeps its probability, and consumes one number always") {
  Random random(3);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) hits += random.chance(0.25) ? 1 : 0;
  CHECK((hits > 2'240 && hits < 2'760));  // six standard deviations

  Random never(4);
  Random always(4);
  for (int i = 0; i < 1000; ++i) {
    REQUIRE_FALSE(never.chance(0));
    REQUIRE(always.chance(1));
  }
  CHECK(never.state() == always.state());
}

TEST_CASE("random: bytes fills exactly what it is asked to, the same on every call of a seed") {
  for (std::size_t count = 0; count <= 40; ++count) {
    unsigned char a[64];
    unsigned char b[64];
    std::memset(a, 0xAB, sizeof a);
    std::memset(b, 0xAB, sizeof b);
    Random(count).bytes(a + 3, count);
    Random(count).bytes(b + 3, count);
    CAPTURE(count);
    REQUIRE(std::memcmp(a, b, sizeof a) == 0);
    REQUIRE((a[2] == 0xAB && a[3 + count] == 0xAB));
    if (count >= 8) REQUIRE(load_le64(a + 3) == Random(count).next());
  }
}
