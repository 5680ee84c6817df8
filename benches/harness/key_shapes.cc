// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/key_shapes.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "base/random.h"
#include "harness/workload.h"

namespace cambium::bench {

namespace {

std::string dictionary_word(rt::Random& random) {
  static constexpr const char* kSyllables[] = {"an", "ber", "con", "de", "er", "fo", "ge",  "in", "ma",
                                               "no", "pre", "ra",  "se", "ti", "un", "ver", "ya", "zu"};
  std::string word;
  for (std::uint64_t n = random.between(4, 12); n != 0; --n) word += kSyllables[random.below(std::size(kSyllables))];
  return word;
}

std::string make_key(const std::string& shape, rt::Random& random, std::uint64_t i) {
  if (shape == "sequential") {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%016llu", static_cast<unsigned long long>(i));
    return digits;
  }
  if (shape == "clustered") {  // 1,000 users far apart, the events of each dense
    const std::uint64_t user = mix64(random.below(1000));
    return Bytes(u64_key(user & ~std::uint64_t{0xffffffffff})).str().substr(0, 3) +
           Bytes(u64_key(random.below(100'000'000))).str().substr(3);
  }
  if (shape == "dictionary") return dictionary_word(random);
  std::string key(16, '\0');
  random.bytes(key.data(), key.size());
  return key;
}

}  // namespace

std::vector<std::string> make_keys(const std::string& shape, std::uint64_t count, std::uint64_t seed) {
  rt::Random random(seed);
  std::vector<std::string> keys(count);
  for (std::uint64_t i = 0; i < count; ++i) keys[i] = make_key(shape, random, i);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

Asked draw(const std::vector<std::string>& keys, std::uint64_t count, std::uint64_t seed) {
  rt::Random random(seed);
  Asked asked;
  for (std::uint64_t i = 0; i < count; ++i) {
    asked.bytes += keys[random.below(keys.size())];
    asked.ends.push_back(static_cast<std::uint32_t>(asked.bytes.size()));
  }
  return asked;
}

}  // namespace cambium::bench
