// SPDX-License-Identifier: MIT OR Apache-2.0
// Keys of the shapes that an index meets: uniform (16 random bytes), sequential (16 digits), clustered (a thousand
// users far apart, the events of each dense), dictionary (words of syllables).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <cambium/rt/bytes.h>

namespace cambium::bench {

inline constexpr const char* kKeyShapes[] = {"uniform", "sequential", "clustered", "dictionary"};

// About `count`, sorted, each once.
std::vector<std::string> make_keys(const std::string& shape, std::uint64_t count, std::uint64_t seed);

// Keys in the order of their use, back to back, so that fetching them costs little, and the same on both sides.
struct Asked {
  std::string bytes;
  std::vector<std::uint32_t> ends;

  template <class Find>
  std::uint64_t ask(Find&& find) const {
    std::uint64_t sum = 0;
    std::uint32_t begin = 0;
    for (const std::uint32_t end : ends) {
      sum += find(Bytes(bytes.data() + begin, end - begin));
      begin = end;
    }
    return sum;
  }
};

Asked draw(const std::vector<std::string>& keys, std::uint64_t count, std::uint64_t seed);

}  // namespace cambium::bench
