// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/clock.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

using namespace cambium::rt;

TEST_CASE("clock: it never steps back, and a sleep of 5 ms takes at least 5 ms") {
  std::uint64_t before = now_ns();
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t now = now_ns();
    REQUIRE(now >= before);
    before = now;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(now_ns() - before >= 5'000'000u);
}
