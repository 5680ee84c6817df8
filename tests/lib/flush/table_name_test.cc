// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/table_name.h"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>

#include <cambium/limits.h>

namespace cambium {
namespace {

using namespace std::string_view_literals;

TEST_CASE("table name: printable UTF-8 of 1 to 255 bytes will do") {
  for (const std::string_view good : {"a"sv, "default"sv, "orders 2024"sv, "\u00fcbersicht"sv, "\u8868"sv,
                                      "a.b-c_d:e"sv, "\U0001f333"sv, "\\"sv, ".."sv}) {
    CAPTURE(good);
    CHECK(check_table_name(good));
  }
  CHECK(check_table_name(std::string(kTableNameBytesMax, 'n')));
}

TEST_CASE("table name: empty, too long, with /, control characters or bytes that are not UTF-8 is refused") {
  for (const std::string_view bad : {""sv, "a/b"sv, "/"sv, "a\n"sv, "\0"sv, "tab\there"sv, "\x7f"sv, "\u0085"sv,
                                     "\xff"sv, "cut \xe2\x82"sv, "\xc0\xaf"sv}) {
    CAPTURE(bad.size());
    CHECK(check_table_name(bad).code() == Errc::invalid_argument);
  }
  CHECK(check_table_name(std::string(kTableNameBytesMax + 1, 'n')).code() == Errc::invalid_argument);
}

}  // namespace
}  // namespace cambium
