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

TEST_CASE("result: every code has a name of its own") {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(Errc::closed); ++i) names.emplace(to_string(static_cast<Errc>(i)));
  CHECK(names.size() == static_cast<std::size_t>(Errc::closed) + 1);
  CHECK(to_string(static_cast<Errc>(200)) == "unknown error code");
}

}  // namespace
}  // namespace cambium
