// SPDX-License-Identifier: MIT OR Apache-2.0
// Scans through the whole engine: the cases that the model test found, each with its story.
#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "support/effort.h"
#include "support/kinds.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr Options kSmall{.path = "scan.cambium", .memory_bytes = 1 * MiB, .cache_bytes = 128 * KiB};

std::string key_of(int i) { return rt::str("key ", 1000 + i); }

Task<Status> collect(Scan& scan, std::string& keys) {
  for (;;) {
    const Entry* entry = co_await check(scan.next());
    if (entry == nullptr) break;
    keys += entry->key.view().substr(entry->key.size() - 2);
    keys += entry->value == Bytes("buffered") ? "b " : " ";
  }
  co_return Status();
}

Task<Status> scan_limited(Core& core, TableKind kind, std::string& forwards, std::string& backwards) {
  Partition db = co_await check(Partition::open(core, kSmall));
  const Table table = co_await check(table_of(db, kind));
  for (int i = 0; i < 60; ++i) {
    co_await check(db.put(table, key_of(i), "in the table"));
  }
  co_await check(db.flush());
  co_await check(db.put(table, key_of(12), "buffered"));
  const std::string from = key_of(10);
  const std::string to = key_of(15);
  {
    Scan scan = db.scan(table, {.from = from}, {.limit = 6});
    co_await check(collect(scan, forwards));
    Scan reverse = db.scan(table, {.to = to}, {.reverse = true, .limit = 6});
    co_await check(collect(reverse, backwards));
  }
  Status closed = co_await db.close();
  co_return closed;
}

// The rest of a leaf that follows the last buffered write was limited by itself, so a scan showed up to twice its
// limit.
TEST_CASE("scan: a limit counts buffered writes and the rest of their leaf together", "[F03][S18]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core();
  std::string forwards;
  std::string backwards;
  REQUIRE(core->run(scan_limited(*core, kind, forwards, backwards)));
  CHECK(forwards == "10 11 12b 13 14 15 ");
  CHECK(backwards == "14 13 12b 11 10 09 ");
}

constexpr int kMany = 30'000;  // a root, branches, and leaves
std::string many_key(int i) { return rt::str("key ", 100'000 + i); }

// The entries [from, to) in either direction, by entry numbers.
Task<Status> scan_exactly(Partition& db, const Table& table, int from, int to, bool reverse) {
  const std::string low = many_key(from);
  const std::string high = many_key(to);
  Scan scan = db.scan(table, {.from = low, .to = high}, {.reverse = reverse});
  for (int left = to - from; left != 0; --left) {
    const Entry* const entry = co_await check(scan.next());
    const std::string expected = many_key(reverse ? from + left - 1 : to - left);
    if (entry == nullptr || entry->key != Bytes(expected)) {
      co_return Error(Errc::corruption, rt::str("instead of ", expected, " the scan shows ",
                                                entry == nullptr ? "its end" : entry->key.view()));
    }
  }
  const Entry* const more = co_await check(scan.next());
  if (more != nullptr) co_return Error(Errc::corruption, "the scan goes on behind its end");
  co_return Status();
}

Task<Status> scan_three_levels(Core& core, TableKind kind) {
  Partition db = co_await check(Partition::open(core, kSmall));
  const Table table = co_await check(table_of(db, kind));
  for (int i = 0; i < kMany; ++i) {
    co_await check(db.put(table, many_key(i), "a value of some length"));
  }
  co_await check(db.flush());
  co_await check(scan_exactly(db, table, 0, kMany, false));
  co_await check(scan_exactly(db, table, 0, kMany, true));
  rt::Random random(test_seed(1));
  for (int i = 0; i < 60; ++i) {
    const int from = static_cast<int>(random.below(kMany));
    const int to = from + static_cast<int>(random.below(static_cast<std::uint64_t>(kMany - from)));
    co_await check(scan_exactly(db, table, from, to, i % 2 == 0));
  }
  Status closed = co_await db.close();
  co_return closed;
}

// Keys without gaps: the bound between two branches is then the first key of the right one, which a scan that comes
// from the left must not take for seen.
TEST_CASE("scan: a tree of three levels shows every entry once, from any bound, in both directions", "[F03][S18]") {
  add_effort();
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.eager = true});
  const Status done = core->run(scan_three_levels(*core, kind));
  INFO(done.error().message());
  REQUIRE(done);
}

Task<Status> drop_a_scan_and_close(Core& core) {
  {
    Partition db = co_await check(Partition::open(core, kSmall));
    const std::string value(1000, 'v');
    for (int i = 0; i < 300; ++i) {
      co_await check(db.put(key_of(i), value));
    }
    co_await check(db.close());
  }
  Options reading = kSmall;
  reading.read_only = true;
  Partition db = co_await check(Partition::open(core, reading));
  {
    Scan scan = db.scan();
    for (int i = 0; i < 3; ++i) {
      const auto page = co_await check(scan.next_page());
      if (page.empty()) co_return Error(Errc::corruption, "the scan ends early");
    }
  }
  const std::uint64_t prefetches = db.stats().prefetches;
  Status closed = co_await db.close();
  if (closed && prefetches == 0)
    co_return Error(Errc::invalid_argument, "nothing was read ahead: the test tests nothing");
  co_return closed;
}

// close() found the reads ahead of a dropped scan in flight, and asserted.
TEST_CASE("scan: a partition may be closed right after a scan that was reading ahead is dropped", "[S25]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core();
  const Status done = core->run(drop_a_scan_and_close(*core));
  INFO(done.error().message());
  REQUIRE(done);
}

}  // namespace
}  // namespace cambium::test
