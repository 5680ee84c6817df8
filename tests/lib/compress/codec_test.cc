// SPDX-License-Identifier: MIT OR Apache-2.0
#include "compress/codec.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/codecs.h"
#include "support/skip.h"

namespace cambium {
namespace {

std::string random_bytes(rt::Random& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  random.bytes(text.data(), bytes);
  return text;
}

std::string input_of(rt::Random& random, std::size_t bytes) {
  if (random.chance(0.3)) return random_bytes(random, bytes);
  if (random.chance(0.1)) return std::string(bytes, '\0');
  std::string text;
  while (text.size() < bytes) text += "row " + std::to_string(random.below(50)) + std::string(random.below(9), ' ');
  text.resize(bytes);
  return text;
}

std::string compressed(Compressor& codec, const std::string& input) {
  std::string to(codec.bound(input.size()), '\0');
  to.resize(codec.compress(input, to.data()));
  return to;
}

constexpr char kGuard = '\x5a';

// With memory around the output that nobody may touch.
bool unpacks(Decompressor& codec, Compression compression, const std::string& from, std::size_t bytes,
             std::string& to) {
  std::string memory(bytes + 128, kGuard);
  const std::string heap = from;  // in a block of its size: AddressSanitizer sees reads beyond it
  const bool done = codec.decompress(compression, Bytes(heap), memory.data() + 64, bytes);
  const auto untouched = [](char byte) { return byte == kGuard; };
  REQUIRE(std::all_of(memory.begin(), memory.begin() + 64, untouched));
  REQUIRE(std::all_of(memory.end() - 64, memory.end(), untouched));
  to = memory.substr(64, bytes);
  return done;
}

TEST_CASE("codec: what was compressed comes back, whatever it was") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  CAPTURE(name_of(compression));
  CAMBIUM_NEEDS_CODEC(compression);
  Compressor codec(compression);
  Decompressor back;
  rt::Random random(1);
  for (int round = 0; round < 400; ++round) {
    const std::string input = input_of(random, random.between(1, 32'768));
    const std::string packed = compressed(codec, input);
    REQUIRE(!packed.empty());
    std::string output;
    REQUIRE(unpacks(back, compression, packed, input.size(), output));
    REQUIRE(output == input);
  }
}

TEST_CASE("codec: bytes that are cut short, go on, say another size, or are changed never write beyond the output") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  CAPTURE(name_of(compression));
  CAMBIUM_NEEDS_CODEC(compression);
  Compressor codec(compression);
  Decompressor back;
  rt::Random random(2);
  std::string output;
  for (int round = 0; round < 300; ++round) {
    const std::string input = input_of(random, random.between(100, 8'192));
    const std::string packed = compressed(codec, input);
    CHECK_FALSE(unpacks(back, compression, packed.substr(0, random.below(packed.size())), input.size(), output));
    CHECK_FALSE(unpacks(back, compression, packed + random_bytes(random, random.between(1, 20)), input.size(), output));
    CHECK_FALSE(unpacks(back, compression, packed, input.size() - 1, output));
    CHECK_FALSE(unpacks(back, compression, packed, input.size() + 1, output));
    std::string changed = packed;
    for (std::uint64_t left = random.between(1, 5); left != 0; --left) {
      changed[random.below(changed.size())] = static_cast<char>(random.next());
    }
    static_cast<void>(unpacks(back, compression, changed, input.size(), output));
    static_cast<void>(unpacks(back, compression, random_bytes(random, 200), input.size(), output));
  }
}

TEST_CASE("codec: none is no codec, and is always there") {
  CHECK(has_codec(Compression::none));
  CHECK_FALSE(has_codec(static_cast<Compression>(3)));
  char to[4];
  CHECK_FALSE(Decompressor().decompress(Compression::none, "1234", to, 4));
  CHECK_FALSE(Decompressor().decompress(static_cast<Compression>(77), "1234", to, 4));
}

}  // namespace
}  // namespace cambium
