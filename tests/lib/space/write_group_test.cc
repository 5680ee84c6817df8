// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/write_group.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <string>

#include "lib/space/device_fixture.h"

namespace cambium {
namespace {

using test::DeviceFixture;

Task<Status> write_all(WriteGroup& group, unsigned pages, std::size_t& in_flight_max) {
  for (unsigned page = 0; page < pages; ++page) {
    const std::size_t slot = co_await group.acquire();
    std::memset(group.data(slot), static_cast<int>('a' + page % 26), kPageBytes);
    group.write(slot, page * kPageBytes, kPageBytes);
    in_flight_max = std::max(in_flight_max, group.in_flight());
  }
  Status drained = co_await group.drain();
  co_return drained;
}

TEST_CASE("write group: every slot is in flight at once, never more, and drain waits for all") {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    DeviceFixture f(200, {.seed = seed, .short_chance = 0.2, .retry_chance = 0.2});
    WriteGroup group(f.device(), f.memory(4), 4, kPageBytes);
    std::size_t in_flight_max = 0;
    REQUIRE(f.run(write_all(group, 200, in_flight_max)));
    CHECK(in_flight_max == 4);
    CHECK(group.in_flight() == 0);
    CHECK(group.writes() == 200);
    for (unsigned page = 0; page < 200; ++page) {
      REQUIRE(f.disk().peek(test::kFile, page * kPageBytes, kPageBytes) ==
              std::string(kPageBytes, static_cast<char>('a' + page % 26)));
    }
  }
}

TEST_CASE("write group: the first error sticks until drain has told it, and only until then") {
  DeviceFixture f(200, {.seed = 1});
  WriteGroup group(f.device(), f.memory(4), 4, kPageBytes);
  f.disk().plan({.error = 28, .kind = rt::IoKind::write, .operation = 7});
  f.disk().plan({.error = 5, .kind = rt::IoKind::write, .operation = 40});
  std::size_t in_flight_max = 0;
  CHECK(f.run(write_all(group, 100, in_flight_max)).code() == Errc::no_space);
  CHECK(f.run(write_all(group, 20, in_flight_max)));
}

}  // namespace
}  // namespace cambium
