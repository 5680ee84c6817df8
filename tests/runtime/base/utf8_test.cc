// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/utf8.h"

#include <catch2/catch.hpp>

#include <string_view>

namespace cambium::rt {
namespace {

using namespace std::string_view_literals;

TEST_CASE("utf8: characters of one to four bytes end where they should") {
  CHECK(utf8_length("a") == 1);
  CHECK(utf8_length("\0"sv) == 1);
  CHECK(utf8_length("\u00e4x") == 2);
  CHECK(utf8_length("\u20acx") == 3);
  CHECK(utf8_length("\U0001f333x") == 4);
}

TEST_CASE("utf8: what is overlong, a surrogate, cut off or too large is no character") {
  CHECK(utf8_length("") == 0);
  for (const std::string_view bad :
       {"\xc0\xaf"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xf0\x8f\xbf\xbf"sv, "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv,
        "\xf5\x80\x80\x80"sv, "\x80"sv, "\xff"sv, "\xe2\x82"sv, "\xc3"sv, "\xc3("sv}) {
    CAPTURE(bad.size(), static_cast<unsigned>(static_cast<unsigned char>(bad[0])));
    CHECK(utf8_length(bad) == 0);
  }
}

TEST_CASE("utf8: control characters are those of ASCII, DEL, and U+0080 to U+009F") {
  CHECK(is_control("\x1f"));
  CHECK(is_control("\x7f"));
  CHECK(is_control("\u0085"));
  CHECK(is_control("\u009f"));
  CHECK(!is_control(" "));
  CHECK(!is_control("~"));
  CHECK(!is_control("\u00a0"));
  CHECK(!is_control("\u20ac"));
}

}  // namespace
}  // namespace cambium::rt
