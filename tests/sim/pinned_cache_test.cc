// SPDX-License-Identifier: MIT OR Apache-2.0
// A cache of very few pages: lookups that share it wait for each other; only what is held for good makes it busy.
#include <catch2/catch.hpp>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "support/kinds.h"

namespace cambium::test {
namespace {

constexpr int kKeys = 1200;
constexpr Options kSixteenPages{.path = "pinned.cambium", .memory_bytes = 1 * MiB, .cache_bytes = 64 * KiB};

std::string key_of(int i) { return rt::str("key ", 10'000 + i); }

Task<Status> fill(Core& core, TableKind kind) {
  Partition db = co_await check(Partition::open(core, kSixteenPages));
  const Table table = co_await check(table_of(db, kind));
  const std::string filling(900, 'f');
  for (int i = 0; i < kKeys; ++i) {
    co_await check(db.put(table, key_of(i), key_of(i) + filling));
  }
  Status closed = co_await db.close();
  co_return closed;
}

Task<Status> get_all_at_once(Core& core, TableKind kind, int& right) {
  Partition db = co_await check(Partition::open(core, kSixteenPages));
  const Table table = co_await check(table_of(db, kind));
  std::vector<Op<Value>> gets;
  for (int i = 0; i < kKeys; ++i) gets.push_back(db.get(table, key_of(i)));
  for (int i = 0; i < kKeys; ++i) {
    Value value = co_await check(std::move(gets[static_cast<std::size_t>(i)]));
    if (value && value.view().starts_with(key_of(i))) ++right;
  }
  Status closed = co_await db.close();
  co_return closed;
}

// Reads that end in one batch used to pin every frame at once, and those that waited for one were told that the cache
// is busy, though all of those pins were about to go.
TEST_CASE("get: many times more lookups in flight than the cache has pages all find their value", "[S04][S20]") {
  CAMBIUM_BOTH_KINDS(kind);
  for (const bool eager : {true, false}) {
    CAPTURE(eager);
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = 5, .eager = eager});
    REQUIRE(core->run(fill(*core, kind)));
    int right = 0;
    const Status done = core->run(get_all_at_once(*core, kind, right));
    INFO(done.error().message());
    REQUIRE(done);
    CHECK(right == kKeys);
  }
}

// Random lookups, twelve at a time: while one page arrives, others are looked for, and evicted.
Task<Status> get_at_random(Core& core, TableKind kind, std::uint64_t seed, int& right, int& asked) {
  Partition db = co_await check(Partition::open(core, kSixteenPages));
  const Table table = co_await check(table_of(db, kind));
  rt::Random random(seed);
  struct Asked {
    std::string key;
    Op<Value> get;
  };
  std::deque<Asked> gets;
  for (int i = 0; i < asked; ++i) {
    const std::string key = key_of(static_cast<int>(random.below(40)) * 30);
    gets.push_back({key, db.get(table, key)});
    if (gets.size() < 12 && i + 1 < asked) continue;
    do {
      Value value = co_await check(std::move(gets.front().get));
      if (value && value.view().starts_with(gets.front().key)) ++right;
      gets.pop_front();
    } while (i + 1 == asked && !gets.empty());
  }
  Status closed = co_await db.close();
  co_return closed;
}

// A read that comes in two parts shows a page with a header and a rest that is not there yet. A hint that named its
// frame from an earlier stay of the page took it for whole: present keys were absent.
TEST_CASE("get: a page that is still arriving in its old frame is not looked into", "[S04][S20]") {
  CAMBIUM_BOTH_KINDS(kind);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed, .short_chance = 0.5});
    REQUIRE(core->run(fill(*core, kind)));
    int right = 0;
    int asked = 3000;
    const Status done = core->run(get_at_random(*core, kind, seed, right, asked));
    INFO(done.error().message());
    REQUIRE(done);
    REQUIRE(right == asked);
  }
}

Task<Status> hold_every_page(Core& core, Errc& when_full, int& held, bool& right_after) {
  Partition db = co_await check(Partition::open(core, kSixteenPages));
  std::vector<Scan> scans;
  for (int i = 0; i < 40; ++i) {
    const std::string from = key_of(i * 30);
    scans.push_back(db.scan({.from = from}, {.readahead_pages = 1}));
    const Result<const Entry*> entry = co_await scans.back().next();
    if (!entry) {
      when_full = entry.code();
      break;
    }
    ++held;
  }
  scans.clear();
  Value value = co_await check(db.get(key_of(0)));
  right_after = value && value.view().starts_with(key_of(0));
  value = Value();
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("cache: when scans pin every page the next one is told busy, and reading goes on when they are dropped",
          "[S04]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 6});
  REQUIRE(core->run(fill(*core, TableKind::tree)));
  Errc when_full = Errc::ok;
  int held = 0;
  bool right_after = false;
  const Status done = core->run(hold_every_page(*core, when_full, held, right_after));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(when_full == Errc::busy);
  CHECK(held >= 8);
  CHECK(right_after);
}

}  // namespace
}  // namespace cambium::test
