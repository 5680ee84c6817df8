// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/result.h>

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>

namespace cambium {
namespace {

TEST_CASE("result: holds a value or an error, moves, and throws only from value()") {
  Result<std::unique_ptr<int>> good = std::make_unique<int>(5);
  CHECK(good);
  CHECK(good.code() == Errc::ok);
  CHECK(**good == 5);
  Result<std::unique_ptr<int>> moved = std::move(good);
  CHECK(**moved == 5);
  Result<std::unique_ptr<int>> bad = Error(Errc::busy, "data is locked by process 7", "close it there first");
  CHECK(!bad);
  CHECK(bad.code() == Errc::busy);
  moved = std::move(bad);
  CHECK(moved.code() == Errc::busy);
  CHECK_THROWS_AS(moved.value(), BadResult);
  try {
    static_cast<void>(*moved);
    FAIL("an unchecked error was dereferenced");
  } catch (const BadResult& e) {
    CHECK(std::string(e.what()) == "data is locked by process 7 (close it there first)");
    CHECK(e.error().code() == Errc::busy);
  }
  CHECK(Result<int>(Errc::timeout).value_or(3) == 3);
}

TEST_CASE("result: a bare code has its name as its message, and a context goes in front") {
  const Status status = Errc::would_stall;
  CHECK(!status);
  CHECK(status.error().message() == "would stall");
  CHECK(status.error().hint().empty());
  const Error outer = Error(Errc::io, "read failed", "look at the disk").within("opening data.cambium");
  CHECK(outer.code() == Errc::io);
  CHECK(outer.message() == "opening data.cambium: read failed");
  CHECK(outer.hint() == "look at the disk");
  CHECK(Status());
  CHECK_NOTHROW(Status().value());
  CHECK_THROWS_AS(status.value(), BadResult);
}

TEST_CASE("result: every code has a text of its own for people, and a name of its own for programs") {
  std::set<std::string> texts;
  std::set<std::string> names;
  for (std::size_t i = 0; i < kErrcCount; ++i) {
    texts.emplace(to_string(Errc{static_cast<std::uint8_t>(i)}));
    names.emplace(name_of(Errc{static_cast<std::uint8_t>(i)}));
  }
  CHECK(texts.size() == kErrcCount);
  CHECK(names.size() == kErrcCount);
  CHECK(name_of(Errc::invalid_argument) == "invalid_argument");
  CHECK(name_of(Errc::io) == "io");
  CHECK(name_of(Errc::closed) == "closed");
  CHECK(to_string(static_cast<Errc>(200)) == "unknown error code");
  CHECK(name_of(static_cast<Errc>(200)) == "unknown");
}

}  // namespace
}  // namespace cambium
