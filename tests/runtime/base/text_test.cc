// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/text.h"

#include <catch2/catch.hpp>
#include <limits>

#include "base/random.h"

using namespace cambium::rt;
using namespace std::string_literals;

TEST_CASE("text: str joins text, characters, integers and hexadecimal") {
  const std::string owned = "owned";
  CHECK(str() == "");
  CHECK(str("page ", 7u, ' ', owned, ' ', std::string_view("view"), ' ', true) == "page 7 owned view true");
  CHECK(str(hex(0x1Fu), ' ', hex(0u, 8), ' ', hex(std::numeric_limits<std::uint64_t>::max())) ==
        "0x1f 0x00000000 0xffffffffffffffff");
  CHECK(str(hex(0xABCDu, 2), ' ', hex(1, 99)) == "0xabcd 0x0000000000000001");
  CHECK(str(hex(static_cast<std::int8_t>(-1))) == "0xff");
}

TEST_CASE("text: integers of every type print as numbers, to their limits") {
  CHECK(str(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(str(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(str(std::uint8_t{65}, std::int8_t{-1}, std::uint16_t{3}) == "65-13");
  CHECK(str('A') == "A");
}

TEST_CASE("text: bytes that are zero survive joining and hex") {
  const std::string zero("a\0b", 3);
  CHECK(str(zero, 1) == std::string("a\0b1", 4));
  CHECK(hex_bytes(zero) == "610062");
  CHECK(hex_bytes("\xFF\x7A") == "ff7a");
  CHECK(hex_bytes("") == "");
}

TEST_CASE("text: sizes for people have one decimal at most and never 1024 of a unit") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1024) == "1 KiB");
  CHECK(format_bytes(1536) == "1.5 KiB");
  CHECK(format_bytes(1024 * 1024 - 1) == "1 MiB");
  CHECK(format_bytes(1023 * 1024) == "1023 KiB");
  CHECK(format_bytes(std::uint64_t{3} << 29) == "1.5 GiB");
  CHECK(format_bytes(std::uint64_t{512} << 20) == "512 MiB");
  CHECK(format_bytes(std::numeric_limits<std::uint64_t>::max()) == "16 EiB");
}

TEST_CASE("text: sizes are read in the units people write") {
  CHECK(parse_bytes("0") == 0u);
  CHECK(parse_bytes("4096") == 4096u);
  CHECK(parse_bytes("12B") == 12u);
  CHECK(parse_bytes("512MiB") == std::uint64_t{512} << 20);
  CHECK(parse_bytes("512mib") == std::uint64_t{512} << 20);
  CHECK(parse_bytes(" 512 M ") == std::uint64_t{512} << 20);
  CHECK(parse_bytes("1.5 GiB") == std::uint64_t{3} << 29);
  CHECK(parse_bytes("0.5k") == 512u);
  CHECK(parse_bytes("2KB") == 2000u);
  CHECK(parse_bytes("1TB") == 1'000'000'000'000u);
  CHECK(parse_bytes("15EiB") == std::uint64_t{15} << 60);
  CHECK(parse_bytes("0.0009765625KiB") == 1u);
  CHECK(parse_bytes("1.9999999999999999999999999B") == 1u);
  CHECK(parse_bytes("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("text: what is no size is refused") {
  for (const char* text : {"", " ", "MiB", "-1", "+1", "1.", ".5", "1..5", "1e3", "0x10", "12 parsecs", "1 M iB", "1Mi",
                           "1MiBs", "1bb", "16EiB", "18446744073709551616", "99999999999999999999k", "1 2"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_bytes(text));
  }
}

TEST_CASE("text: exact sizes read back as the same number") {
  CHECK(format_bytes_exact(0) == "0B");
  CHECK(format_bytes_exact(1000) == "1000B");
  CHECK(format_bytes_exact(1536 * 1024) == "1536KiB");
  CHECK(format_bytes_exact(std::uint64_t{512} << 20) == "512MiB");
  constexpr std::uint64_t kSeed = 3;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t value = (random.next() >> random.below(64)) << random.below(64);
    CAPTURE(value);
    REQUIRE(parse_bytes(format_bytes_exact(value)) == value);
  }
}

TEST_CASE("text: a misspelt word finds the one that was meant") {
  constexpr std::string_view kOptions[] = {"memory", "wal", "path", "cores", "compression", "read_only"};
  CHECK(closest_match("memroy", kOptions) == "memory");  // a swap is one edit
  CHECK(closest_match("Memory", kOptions) == "memory");
  CHECK(closest_match("compresion", kOptions) == "compression");
  CHECK(closest_match("readonly", kOptions) == "read_only");
  CHECK(closest_match("core", kOptions) == "cores");
  CHECK(closest_match("wa", kOptions) == "wal");
  CHECK(closest_match("patth", kOptions) == "path");
  CHECK_FALSE(closest_match("durability", kOptions));
  CHECK_FALSE(closest_match("xyz", kOptions));
  CHECK_FALSE(closest_match("", kOptions));
  CHECK_FALSE(closest_match(std::string(1000, 'm'), kOptions));
  CHECK_FALSE(closest_match("memory", {}));
}

TEST_CASE("text: of equally close candidates the first wins, and an exact one always") {
  constexpr std::string_view kOptions[] = {"cat", "car", "can"};
  CHECK(closest_match("cab", kOptions) == "cat");
  CHECK(closest_match("can", kOptions) == "can");
}
