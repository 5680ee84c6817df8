// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/bulk_load.h"

#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <utility>

#include "lib/partition/partition_fixture.h"

namespace cambium {
namespace {

using test::PartitionFixture;

std::string key_of(unsigned i) { return "key" + std::to_string(100'000 + i); }

BulkLoad begin(PartitionFixture& f) { return f.run(test::begin_load(*f.db, *f.home)).value(); }
Status add(PartitionFixture& f, BulkLoad& load, const std::string& key, const std::string& value) {
  return f.run(test::add_to(load, key, value));
}

TEST_CASE("bulk load: what was added is there afterwards, long values too, and survives reopening") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  {
    BulkLoad load = begin(f);
    for (unsigned i = 0; i < 3000; ++i) {
      const std::string value(i % 500 == 7 ? 20'000 : i % 200, static_cast<char>('a' + i % 26));
      add(f, load, key_of(i), value).value();
      f.model[key_of(i)] = value;
    }
    CHECK(f.scan().empty());  // nothing is visible before finish()
    f.run(test::finish_load(load)).value();
    CHECK(f.run(test::finish_load(load)).code() == Errc::closed);
    CHECK(add(f, load, "zzz", "late").code() == Errc::closed);
  }
  f.require_contents(f.model);
  CHECK(f.run(test::check_partition(*f.db)).value().entries == f.model.size());
  f.put("key100001x", "after the load");
  f.flush();
  f.reopen();
  f.require_contents(f.model);
}

TEST_CASE("bulk load: a key out of order or out of bounds is refused, and the load goes on") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  {
    BulkLoad load = begin(f);
    add(f, load, "b", "1").value();
    CHECK(add(f, load, "a", "2").code() == Errc::invalid_argument);
    CHECK(add(f, load, "b", "2").code() == Errc::invalid_argument);
    CHECK(add(f, load, "a", std::string(5000, 'l')).code() == Errc::invalid_argument);
    CHECK(add(f, load, "", "2").code() == Errc::invalid_argument);
    CHECK(add(f, load, std::string(kKeyBytesMax + 1, 'z'), "2").code() == Errc::invalid_argument);
    add(f, load, "c", "3").value();
    f.run(test::finish_load(load)).value();
  }
  f.require_contents({{"b", "1"}, {"c", "3"}});
  f.run(test::check_partition(*f.db)).value();
}

// A load used to be published between two buffered writes: a snapshot taken during it moved forward with the next
// flush, and then showed what had been loaded after it was taken.
TEST_CASE("bulk load: writes beside it are refused, and a snapshot taken during it never shows it") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  auto load = std::make_unique<BulkLoad>(begin(f));
  add(f, *load, "a", "1").value();
  CHECK(f.db->put(*f.home, "x", "2").result().code() == Errc::busy);
  {
    const Snapshot during = f.db->snapshot();
    f.run(test::finish_load(*load)).value();
    load.reset();
    f.put("y", "3");
    f.flush();
    Scan scan = f.db->scan(*f.home, ScanRange::all(), {.snapshot = &during});
    test::Pairs shown;
    f.run(test::collect_scan(scan, shown)).value();
    CHECK(shown.empty());
  }
  f.require_contents({{"a", "1"}, {"y", "3"}});
}

TEST_CASE("bulk load: dropped without finish it leaves nothing and lets the commit lane go") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  const std::uint64_t used = f.db->stats().used_pages;
  {
    BulkLoad load = begin(f);
    for (unsigned i = 0; i < 3000; ++i) add(f, load, key_of(i), std::string(100, 'v')).value();
    add(f, load, "long", std::string(20'000, 'l')).value();
  }
  f.settle();
  CHECK(f.db->stats().used_pages == used);
  CHECK(f.scan().empty());
  f.put("a", "1");
  f.flush();  // takes the lane
  f.require_contents({{"a", "1"}});
  f.run(test::check_partition(*f.db)).value();
}

TEST_CASE("bulk load: an empty one is a commit without entries") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  {
    BulkLoad load = begin(f);
    f.run(test::finish_load(load)).value();
  }
  CHECK(f.scan().empty());
  f.put("a", "1");
  f.flush();
  f.require_contents({{"a", "1"}});
}

TEST_CASE("bulk load: a table with entries is refused, buffered or flushed, and the lane stays free") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  f.put("a", "1");
  if (GENERATE(true, false)) f.flush();
  const Result<BulkLoad> load = f.run(test::begin_load(*f.db, *f.home));
  REQUIRE(load.code() == Errc::invalid_argument);
  CHECK(std::string(load.error().message()).find(test::table_name_of(kind)) != std::string::npos);
  f.put("b", "2");
  f.flush();
  f.require_contents(f.model);
}

TEST_CASE("bulk load: the partition does not close while it goes on") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  {
    BulkLoad load = begin(f);
    CHECK(f.run(test::close_partition(*f.db)).code() == Errc::busy);
    add(f, load, "a", "1").value();
    f.run(test::finish_load(load)).value();
  }
  f.require_contents({{"a", "1"}});
}

Task<Status> drop_and_close(Core& core, const Options& options) {
  Partition db = co_await check(Partition::open(core, options));
  {
    BulkLoad load = co_await check(db.bulk_load());
    const std::string value(100, 'v');
    for (unsigned i = 0; i < 500; ++i) {
      co_await check(load.add(key_of(i), value));
    }
  }
  Status closed = co_await db.close();
  co_return closed;
}

// What needs the commit lane used to wait for it, for ever where the waiting coroutine holds the load itself.
Task<Status> all_beside_a_load(Core& core, std::array<Status, 6>& answers) {
  Partition db = co_await check(Partition::open(core, PartitionFixture::kOptions));
  {
    BulkLoad load = co_await check(db.bulk_load());
    co_await check(load.add("a", "1"));
    answers[0] = co_await db.flush();
    answers[1] = co_await db.flush({.trim = false});
    answers[2] = co_await db.compact();
    answers[3] = co_await db.close();
    const Result<BulkLoad> second = co_await db.bulk_load();
    if (!second) answers[4] = second.error();
    const Result<CheckReport> checked = co_await db.check();
    if (!checked) answers[5] = checked.error();
    co_await check(load.add("b", "2"));
    co_await check(load.finish());
    co_await check(db.flush());
    co_await check(db.compact());
    co_await check(db.check());
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("bulk load: beside it flush, compact, check, close and another load are busy, and say what to do") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 3});
  std::array<Status, 6> answers;
  CHECK(core->run(all_beside_a_load(*core, answers)));
  for (const Status& answer : answers) {
    CHECK(answer.code() == Errc::busy);
    CHECK(!answer.error().hint().empty());
  }
}

Task<Status> two_loads_and_a_compaction_at_once(Core& core) {
  Partition db = co_await check(Partition::open(core, PartitionFixture::kOptions));
  {
    co_await check(db.put("a", "1"));
    co_await check(db.del("a"));
    Op<void> compaction = db.compact();
    Op<BulkLoad> first_begun = db.bulk_load();
    Op<BulkLoad> second_begun = db.bulk_load();
    BulkLoad first = co_await check(std::move(first_begun));
    Result<BulkLoad> second = co_await std::move(second_begun);
    if (second.code() != Errc::busy) co_return Error(Errc::io, "two loads at a time");
    co_await check(std::move(compaction));
    co_await check(first.finish());
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("bulk load: of two that are begun at once one is busy, and a compaction beside them comes to an end") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
    CHECK(core->run(two_loads_and_a_compaction_at_once(*core)));
  }
}

// close() used to end before the task that gives the pages back had begun: it then met a destroyed partition.
TEST_CASE("bulk load: a partition may be closed right after a load was dropped with writes in flight") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
    CHECK(core->run(drop_and_close(*core, PartitionFixture::kOptions)));
    core->drain();
  }
}

}  // namespace
}  // namespace cambium
