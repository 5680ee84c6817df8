// SPDX-License-Identifier: MIT OR Apache-2.0
// Sorted key sets of the shapes that nodes find hard, for the tests of lib/node and lib/tree.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include <cambium/limits.h>

#include "base/random.h"

namespace cambium::test {

enum class KeyShape : unsigned {
  binary,       // 0x00, 0xff and a letter: zero padding of heads, order of unsigned bytes
  decimal,      // "1", "10", "11": lengths around the four bytes of a head
  chains,       // every key a prefix of the next
  equal_heads,  // one head for all, the difference behind it
  deep,         // a path of shared directories, so that prefixes of 10 to 900 bytes come and go
  any_length,   // 1 to 1,024 bytes
  long_prefix,  // hundreds of shared bytes
};
inline constexpr unsigned kKeyShapes = 7;

inline std::string random_text(rt::Random& random, std::size_t bytes, std::string_view alphabet) {
  std::string text(bytes, '\0');
  for (char& c : text) c = alphabet[random.below(alphabet.size())];
  return text;
}

inline std::string random_key(rt::Random& random, KeyShape shape) {
  using namespace std::string_view_literals;
  switch (shape) {
    case KeyShape::binary:
      return random_text(random, random.between(1, 9), "\0\xff\x61"sv);
    case KeyShape::decimal:
      return std::to_string(random.below(100'000));
    case KeyShape::chains:
      return std::string(random.between(1, 300), random.chance(0.9) ? 'a' : '\0');
    case KeyShape::equal_heads:
      return "prefixHEAD" + random_text(random, random.below(12), "xyz\0"sv);
    case KeyShape::deep: {
      std::string key;
      for (unsigned level = 0; level < 6 && !(level > 0 && random.chance(0.1)); ++level) {
        const auto letter = static_cast<char>('a' + random.below(3));
        key += std::string(5 + 37 * (static_cast<unsigned>(letter) % 3), letter);
      }
      return key + std::to_string(random.below(1000));
    }
    case KeyShape::any_length: {
      std::string key(random.between(1, kKeyBytesMax), '\0');
      random.bytes(key.data(), key.size());
      return key;
    }
    case KeyShape::long_prefix:
      break;
  }
  return std::string(random.between(0, 3) == 0 ? 700 : 900, 'p') + random_text(random, random.between(1, 40), "01"sv);
}

inline std::vector<std::string> random_keys(rt::Random& random, KeyShape shape, std::size_t count) {
  std::set<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) keys.insert(random_key(random, shape));
  return {keys.begin(), keys.end()};
}

}  // namespace cambium::test
