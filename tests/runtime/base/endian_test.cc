// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/endian.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "base/random.h"

using namespace cambium::rt;

namespace {

constexpr unsigned char kBytes[9] = {0xEE, 1, 2, 3, 4, 5, 6, 7, 8};

// The compile-time paths are the byte loops, the run-time ones memcpy: the tests below compare both.
static_assert(load_le16(kBytes + 1) == 0x0201);
static_assert(load_le32(kBytes + 1) == 0x04030201u);
static_assert(load_le64(kBytes + 1) == 0x0807060504030201u);
static_assert(load_be32(kBytes + 1) == 0x01020304u);
static_assert(load_be64(kBytes + 1) == 0x0102030405060708u);

constexpr std::array<char, 8> stored_at_compile_time() {
  std::array<char, 8> out{};
  store_le64(out.data(), 0xF8F7F6F504030201u);
  return out;
}

}  // namespace

TEST_CASE("endian: bytes lie in the order of the name, at any alignment") {
  CHECK(load_le16(kBytes + 1) == 0x0201);
  CHECK(load_le32(kBytes + 1) == 0x04030201u);
  CHECK(load_le64(kBytes + 1) == 0x0807060504030201u);
  CHECK(load_be32(static_cast<const void*>(kBytes + 1)) == 0x01020304u);
  CHECK(load_be64(static_cast<const void*>(kBytes + 1)) == 0x0102030405060708u);

  unsigned char out[9] = {};
  store_le16(out + 1, 0x0201);
  CHECK((out[1] == 1 && out[2] == 2));
  store_le32(static_cast<void*>(out + 1), 0x04030201u);
  CHECK(std::memcmp(out + 1, kBytes + 1, 4) == 0);
  store_be32(out + 1, 0x01020304u);
  CHECK(std::memcmp(out + 1, kBytes + 1, 4) == 0);
  store_le64(out + 1, 0x0807060504030201u);
  CHECK(std::memcmp(out + 1, kBytes + 1, 8) == 0);
  store_be64(out + 1, 0x0102030405060708u);
  CHECK(std::memcmp(out + 1, kBytes + 1, 8) == 0);
  CHECK(out[0] == 0);
}

TEST_CASE("endian: storing at compile time and at run time gives the same bytes") {
  constexpr std::array<char, 8> constant = stored_at_compile_time();
  char out[8];
  store_le64(out, 0xF8F7F6F504030201u);
  REQUIRE(std::memcmp(out, constant.data(), 8) == 0);
}

TEST_CASE("endian: big-endian loads order like memcmp") {
  Random random(7);
  for (int i = 0; i < 2000; ++i) {
    unsigned char a[8];
    unsigned char b[8];
    random.bytes(a, 8);
    std::memcpy(b, a, 8);
    b[random.below(8)] = static_cast<unsigned char>(random.next());
    CAPTURE(i);
    REQUIRE((load_be64(a) < load_be64(b)) == (std::memcmp(a, b, 8) < 0));
    REQUIRE((load_be32(a) < load_be32(b)) == (std::memcmp(a, b, 4) < 0));
  }
}
