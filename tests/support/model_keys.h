// SPDX-License-Identifier: MIT OR Apache-2.0
// The keys and values of the model test: every length that the limits allow, shared prefixes, bytes 0x00 and 0xff.
//
// A value is remembered as 16 bytes from which its content is made again, so that copies of the model are cheap.
#pragma once

#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <cambium/limits.h>
#include <cambium/rt/bytes.h>

#include "base/hash.h"
#include "base/random.h"
#include "support/draws.h"

namespace cambium::test {

struct ValueSpec {
  std::uint64_t seed = 0;
  std::uint32_t bytes = 0;

  // Into `out`, which keeps its memory.
  void write_to(std::string& out) const {
    out.resize(bytes);
    std::uint64_t word = seed;
    std::size_t at = 0;
    for (; at + 8 <= bytes; at += 8, word += 0x9E3779B97F4A7C15u) std::memcpy(out.data() + at, &word, 8);
    std::memcpy(out.data() + at, &word, bytes - at);
  }
  bool is(Bytes value, std::string& scratch) const {
    write_to(scratch);
    return value == Bytes(scratch);
  }
};

// Most values are short; some need one, two or three pages of their own, a few 64 KiB.
inline ValueSpec draw_value(Draws& random) {
  ValueSpec value;
  value.seed = random.next();
  const std::uint64_t kind = random.below(1000);
  const std::uint64_t bytes = kind < 20    ? 0
                              : kind < 850 ? random.below(200)
                              : kind < 930 ? random.between(1200, 1400)  // around the longest inline value
                              : kind < 998 ? random.below(9001)
                                           : random.between(65'535, 65'537);
  value.bytes = static_cast<std::uint32_t>(bytes);
  return value;
}

inline std::vector<std::string> make_keys(std::uint64_t count, rt::Random& random) {
  std::set<std::string> keys;
  const std::string trunk(700, 't');
  while (keys.size() < count) {
    const std::uint64_t number = random.next();
    const std::uint64_t kind = random.below(100);
    std::string key;
    if (kind < 60) {
      // Close together: what tells two leaves apart is then a whole key, and bounds are met exactly.
      key = "user:" + std::to_string(number % (2 * count));
    } else if (kind < 80) {
      key.resize(1 + random.below(40));
      random.bytes(key.data(), key.size());
    } else if (kind < 88) {
      key = trunk.substr(0, 1 + random.below(trunk.size())) + std::to_string(number % 100'000);
    } else if (kind < 90) {
      key.assign(kKeyBytesMax, static_cast<char>('a' + number % 26));
      key.replace(kKeyBytesMax - 8, 8, std::to_string(10'000'000 + number % 90'000'000));
    } else {
      key.assign(1 + number % 12, kind < 95 ? '\0' : '\xff');
      key += static_cast<char>(number >> 8);
    }
    keys.insert(key);
  }
  return {keys.begin(), keys.end()};
}

}  // namespace cambium::test
