// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/short_compare.h"

#include <catch2/catch.hpp>
#include <string>

#include "base/random.h"

namespace cambium::node {
namespace {

int sign(int value) { return value < 0 ? -1 : (value > 0 ? 1 : 0); }

TEST_CASE("short compare: agrees with memcmp on every length and on every first difference") {
  rt::Random random(7);
  for (std::size_t bytes = 0; bytes <= 40; ++bytes) {
    for (int round = 0; round < 200; ++round) {
      // Exact-size strings, so that a read past the end shows under AddressSanitizer.
      std::string a(bytes, '\0');
      for (char& c : a) c = static_cast<char>(random.below(4) * 0x7f);
      std::string b = a;
      if (bytes != 0 && random.below(4) != 0) b[random.below(bytes)] = static_cast<char>(random.below(256));
      CAPTURE(bytes, round);
      REQUIRE(sign(short_compare(a.data(), b.data(), bytes)) == sign(std::memcmp(a.data(), b.data(), bytes)));
      b.resize(random.below(bytes + 1));
      REQUIRE(key_below(a, b) == (Bytes(a) < Bytes(b)));
      REQUIRE(key_below(b, a) == (Bytes(b) < Bytes(a)));
    }
  }
}

}  // namespace
}  // namespace cambium::node
