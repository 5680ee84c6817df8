// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/hash.h"

#include <bit>
#include <catch2/catch.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/random.h"

using namespace cambium::rt;

namespace {
std::uint64_t hash_of(std::string_view text, std::uint64_t seed) { return hash64(text.data(), text.size(), seed); }
}  // namespace

TEST_CASE("hash64: the published vectors of wyhash final 4.2, which files depend on", "[F08]") {
  CHECK(hash_of("", 0) == 0x93228A4DE0EEC5A2u);
  CHECK(hash_of("a", 1) == 0xC5BAC3DB178713C4u);
  CHECK(hash_of("abc", 2) == 0xA97F2F7B1D9B3314u);
  CHECK(hash_of("message digest", 3) == 0x786D1F1DF3801DF4u);
  CHECK(hash_of("abcdefghijklmnopqrstuvwxyz", 4) == 0xDCA5A8138AD37C87u);
  CHECK(hash_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 5) == 0xB9E734F117CFAF70u);
  CHECK(hash_of("12345678901234567890123456789012345678901234567890123456789012345678901234567890", 6) ==
        0x6CC5EAB49A92D617u);
}

TEST_CASE("hash64: every length from 0 to 300 has the hash it had in the first version", "[F08]") {
  std::vector<unsigned char> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 7 + 1);
  std::uint64_t all = 0;
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    all = std::rotl(all, 5) ^ hash64(bytes.data(), length, length);
  }
  CHECK(all == 0x5D969CB2E0DEEFB6u);
}

TEST_CASE("hash64: alignment does not matter") {
  for (std::size_t length : {1ul, 8ul, 16ul, 17ul, 32ul, 100ul}) {
    std::vector<char> bytes(length + 8, 'x');
    for (std::size_t shift = 0; shift < 8; ++shift) {
      CAPTURE(length, shift);
      REQUIRE(hash64(bytes.data() + shift, length) == hash64(bytes.data(), length));
    }
  }
}

TEST_CASE("hash64: each byte and the seed count, at every length around the branches") {
  for (std::size_t length = 1; length <= 130; ++length) {
    std::string key(length, 'k');
    const std::uint64_t before = hash64(key);
    REQUIRE(hash_of(key, 1) != before);
    for (std::size_t i = 0; i < length; ++i) {
      key[i] = 'j';
      CAPTURE(length, i);
      REQUIRE(hash64(key) != before);
      key[i] = 'k';
    }
  }
}

TEST_CASE("hash64: keys that count up spread evenly over the low and the high bits") {
  constexpr std::size_t kKeys = 1u << 16;
  std::vector<unsigned> low(256);
  std::vector<unsigned> high(256);
  std::unordered_set<std::uint64_t> distinct;
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    unsigned char key[16] = {'u', 's', 'e', 'r'};
    store_be64(key + 8, i);
    const std::uint64_t hash = hash64(key, sizeof key);
    ++low[hash & 0xFF];
    ++high[hash >> 56];
    distinct.insert(hash);
  }
  CHECK(distinct.size() == kKeys);
  // 256 expected in each, standard deviation 16: seven of them.
  for (std::size_t i = 0; i < 256; ++i) {
    CAPTURE(i);
    CHECK((low[i] > 144 && low[i] < 368));
    CHECK((high[i] > 144 && high[i] < 368));
  }
}

TEST_CASE("hash64: one flipped input bit flips about half of the output bits") {
  Random random(11);
  for (const std::size_t length : {4ul, 8ul, 16ul, 24ul, 64ul}) {
    std::uint64_t flipped = 0;
    constexpr int kRounds = 2000;
    for (int round = 0; round < kRounds; ++round) {
      unsigned char key[64];
      random.bytes(key, length);
      const std::uint64_t before = hash64(key, length);
      const std::uint64_t bit = random.below(length * 8);
      key[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
      flipped += static_cast<std::uint64_t>(std::popcount(before ^ hash64(key, length)));
    }
    const double mean = static_cast<double>(flipped) / kRounds;
    CAPTURE(length);
    CHECK((mean > 31.3 && mean < 32.7));
  }
}

TEST_CASE("hash_u64: the numbers of splitmix64, spread and without collision", "[F08]") {
  static_assert(hash_u64(0) == 0xE220A8397B1DCDAFu);
  std::uint64_t state = 1234567;
  const std::uint64_t hash = hash_u64(state);
  CHECK(hash == splitmix64(state));  // which moves the state on
  std::unordered_set<std::uint64_t> top;
  for (std::uint64_t i = 0; i < 1024; ++i) top.insert(hash_u64(i) >> 54);
  CHECK(top.size() > 600);  // 1,024 balls into 1,024 bins fill 647 on average
}
