// SPDX-License-Identifier: MIT OR Apache-2.0
// A full device: what makes room still works there, by the reserve that ordinary flushes may not take.
//
// Deletes make room in trees at once. In a level store they are entries like others until what they hide is dropped, by
// a merge or, where there is no room for one, sstable by sstable. A merge of long values finds no room, but loses
// nothing.
#include <catch2/catch.hpp>

#include <cerrno>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/kinds.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr Options kOptions{// of many runs a scan holds a page each
                           .path = "full.cambium",
                           .memory_bytes = 4 * MiB,
                           .write_buffer_bytes = 128 * KiB,
                           .cache_bytes = 1 * MiB};
constexpr Options kSmallest{
    .path = kOptions.path, .memory_bytes = 1 * MiB, .write_buffer_bytes = 64 * KiB, .cache_bytes = 256 * KiB};
constexpr std::uint64_t kReservePages = 16;          // of a file of a few hundred pages, at least
constexpr std::uint64_t kRoomy = kReservePages + 8;  // of the smallest device: a short put fits beside the reserve

// What the partition's table of this kind has to hold.
struct Contents : std::map<std::string, std::string> {
  explicit Contents(TableKind its_kind, bool some_long = true) : kind(its_kind), long_values(some_long) {}
  TableKind kind;
  bool long_values;
};

std::string key_of(std::size_t i) { return rt::str("key ", 100'000 + i); }
std::string value_of(std::size_t i, bool some_long = true) {
  return rt::str("value ", i, std::string(some_long && i % 50 == 0 ? 5000 : 200, 'v'));
}

// Writes until a flush is refused; `durable` is what the flushes before it held. The device ends `spare` bytes later
// than it is now.
Task<Status> fill(Core& core, SimDisk& disk, std::uint64_t spare, Contents& durable) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, durable.kind));
  disk.set_capacity_bytes(disk.allocated_bytes() + spare);
  Status flushed;
  Contents part(durable.kind);
  for (std::size_t i = 0; flushed && i < 100'000;) {
    part.clear();
    for (std::size_t n = 0; n < 60; ++n, ++i) {
      const std::string key = key_of(i * 7919 % 100'000);
      part[key] = value_of(i, durable.long_values);
      co_await check(db.put(table, key, part[key]));
    }
    flushed = co_await db.flush({.trim = false});
    if (flushed) durable.merge(part);
  }
  if (flushed.code() != Errc::no_space) co_return Error(Errc::io, "the device did not fill up");
  const Stats stats = db.stats();
  if (stats.free_pages + stats.held_pages < kReservePages) co_return Error(Errc::io, "the reserve was taken");
  co_await check(db.check());
  const Status closed = co_await db.close();  // says once more what could not be written
  if (durable.kind == TableKind::tree) {
    if (closed.code() != Errc::no_space) co_return Error(Errc::io, "close() forgot what was not written");
    co_return Status();
  }
  // A merge may have given space back since, even after close() was told: then all of it is there.
  db = co_await check(Partition::open(core, kOptions));
  const Table again = co_await check(table_of(db, durable.kind));
  bool there = false;
  {
    const Value first = co_await check(db.get(again, part.begin()->first));
    there = static_cast<bool>(first);
  }
  if (there) durable.merge(part);
  if (closed && !there) co_return Error(Errc::io, "close() forgot what was not written");
  Status seen = co_await db.close();
  co_return seen;
}

Task<Status> put_into(Partition& db, const Table& table, Contents& contents, std::string key, std::string value) {
  co_await check(db.put(table, key, value));
  contents[key] = std::move(value);
  co_return Status();
}

Task<Status> expect_contents(Partition& db, const Table& table, const Contents& expected) {
  std::size_t found = 0;
  Scan scan = db.scan(table);
  for (;;) {
    auto page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) {
      const auto it = expected.find(entry.key.str());
      if (it == expected.end() || it->second != entry.value.view()) {
        co_return Error(Errc::corruption, rt::str("a wrong value of ", entry.key.view()));
      }
      ++found;
    }
  }
  if (found != expected.size()) co_return Error(Errc::corruption, "entries are missing");
  co_return Status();
}

// The end of every workload: all that should be there is, the file is whole, and it closes.
Task<Status> end_with(Partition& db, const Table& table, const Contents& expected) {
  co_await check(expect_contents(db, table, expected));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

// One disk and what its partition has to hold.
struct FullDevice {
  SimDisk disk;
  std::unique_ptr<Core> core;
  Contents contents;

  FullDevice(std::uint64_t seed, TableKind kind, bool long_values = true)
      : core(disk.make_core({.seed = test_seed(seed)})), contents(kind, long_values) {}
  void run(Task<Status> workload) {
    const Status done = core->run(std::move(workload));
    core->drain();
    INFO(done.error().message());
    REQUIRE(done);
  }
  void fill_up(std::uint64_t spare) { run(fill(*core, disk, spare, contents)); }
  // Not a byte more than the file has now.
  void close_in() { disk.set_capacity_bytes(disk.allocated_bytes()); }
};

// Deletes all but each `keep`-th key, all over the tree: far more pages than the reserve has.
Task<Status> delete_all_but(Partition& db, const Table& table, std::size_t keep, Contents& contents) {
  std::size_t i = 0;
  for (auto it = contents.begin(); it != contents.end(); ++i) {
    if (i % keep == 0) {
      ++it;
      continue;
    }
    co_await check(db.del(table, it->first));
    it = contents.erase(it);
  }
  Status flushed = co_await db.flush({.trim = false});
  co_return flushed;
}

Task<Status> delete_most(Core& core, std::size_t keep, Contents& contents, bool settled = false) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, contents.kind));
  co_await check(expect_contents(db, table, contents));
  co_await check(delete_all_but(db, table, keep, contents));
  if (settled) {
    co_await check(db.settle());
  }
  Status ended = co_await end_with(db, table, contents);
  co_return ended;
}

Task<Status> write_again(Core& core, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, contents.kind));
  for (std::size_t i = 0; i < 100; ++i) {
    co_await check(put_into(db, table, contents, rt::str("again ", i), value_of(i, contents.long_values)));
  }
  co_await check(db.flush());
  Status ended = co_await end_with(db, table, contents);
  co_return ended;
}

TEST_CASE("full device: ordinary flushes leave the reserve, deletes go through with it, and then there is room again",
          "[S02][S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  for (const std::uint64_t spare : {256 * KiB, 1 * MiB + 20 * KiB, 3 * MiB}) {
    for (const std::size_t keep : {std::size_t{2}, std::size_t{50}}) {
      CAPTURE(spare, keep);
      FullDevice full(4, kind, kind == TableKind::tree);
      full.fill_up(spare);
      REQUIRE(full.contents.size() >= 60);
      full.run(delete_most(*full.core, keep, full.contents));
      full.run(write_again(*full.core, full.contents));
    }
  }
}

Task<Status> compact(Core& core, Contents& contents, std::uint64_t& before, std::uint64_t& after) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, contents.kind));
  co_await check(delete_all_but(db, table, 20, contents));
  before = db.stats().file_pages;
  co_await check(db.settle());
  co_await check(db.compact());
  after = db.stats().file_pages;
  Status ended = co_await end_with(db, table, contents);
  co_return ended;
}

TEST_CASE("full device: compaction works there and gives space back", "[S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  FullDevice full(5, kind, kind == TableKind::tree);
  full.fill_up(3 * MiB);
  full.close_in();
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  full.run(compact(*full.core, full.contents, before, after));
  CHECK(after < before / 2);
}

// One key, and the tightest device: nothing but the file itself, with as little free in it as flushes can leave.
Task<Status> delete_one(Core& core, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, contents.kind));
  co_await check(db.del(table, contents.begin()->first));
  contents.erase(contents.begin());
  co_await check(db.flush());
  co_await check(expect_contents(db, table, contents));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: keys can be deleted one by one until there is nothing left", "[S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  FullDevice full(6, kind, kind == TableKind::tree);
  full.fill_up(256 * KiB);
  full.close_in();
  while (!full.contents.empty()) full.run(delete_one(*full.core, full.contents));
  full.run(write_again(*full.core, full.contents));
}

// ---- deletes among other writes ------------------------------------------------------------------------------------

// Room for a short put: a flush that takes the last spare page may have left none, and a put that does not fit waits.
Task<Status> make_a_little_room(Partition& db, const Table& table, Contents& contents) {
  for (unsigned i = 0; db.stats().free_pages < kRoomy && i < 5; ++i) {
    for (std::size_t n = 0; n < 60; ++n) {
      co_await check(db.del(table, contents.begin()->first));
      contents.erase(contents.begin());
    }
    co_await check(db.flush({.trim = false}));
    const Status settled = co_await db.settle();  // as far as there is room to merge
    CHECK((settled || settled.code() == Errc::no_space));
  }
  CHECK(db.stats().free_pages >= kRoomy);
  co_return Status();
}

// Deletes of most keys, and puts that only have room behind them, in one write buffer; with `front`, a short put comes
// first.
Task<Status> make_room_and_use_it(Core& core, Contents& contents, bool front) {
  Options options = kOptions;
  options.write_buffer_bytes = 384 * KiB;
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(table_of(db, contents.kind));
  if (front) {
    co_await check(make_a_little_room(db, table, contents));
    contents[contents.begin()->first] = "short";
    co_await check(db.put(table, contents.begin()->first, "short"));
  }
  const std::uint64_t flushes_before = db.stats().flushes;
  std::size_t i = 0;
  for (auto it = std::next(contents.begin()); it != contents.end(); ++i) {
    if (i % 10 == 0) {
      ++it;
      continue;
    }
    co_await check(db.del(table, it->first));
    it = contents.erase(it);
  }
  for (std::size_t n = 0; n < 300; ++n) {
    co_await check(put_into(db, table, contents, rt::str("new ", n), std::string(600, 'n')));
  }
  CHECK(db.stats().flushes == flushes_before);  // one buffer, or this tests nothing
  co_await check(db.flush({.trim = false}));
  co_await check(expect_contents(db, table, contents));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: deletes at the head of a write buffer make room for the puts behind them", "[S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  for (const bool front : {false, true}) {
    CAPTURE(front);
    FullDevice full(8, kind, kind == TableKind::tree);
    full.fill_up(1 * MiB);
    full.close_in();
    full.run(make_room_and_use_it(*full.core, full.contents, front));
  }
}

// Deletes and puts in turn, each flush with just enough room, so that merges are left off and taken up again all the
// time while others begin above them. A run once came to the place of one that a merge had consumed: that merge, which
// had passed its keys, dropped its tombstones, and what they hid was back.
Task<Status> replace_all(Core& core, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kSmallest));
  const Table table = co_await check(table_of(db, contents.kind));
  for (std::size_t round = 0; round < 4; ++round) {
    for (std::size_t i = round * 100; i < round * 100 + 90; ++i) {
      contents.erase(key_of(i));
      co_await check(db.del(table, key_of(i)));
      if (i % 30 == 29) {
        co_await check(db.flush({.trim = false}));
        co_await check(expect_contents(db, table, contents));
      }
    }
    for (std::size_t i = 1000 + round * 40; i < 1040 + round * 40; ++i) {
      co_await check(put_into(db, table, contents, key_of(i), std::string(900, 'n')));
    }
    co_await check(db.flush({.trim = false}));
    co_await check(expect_contents(db, table, contents));
  }
  Status ended = co_await end_with(db, table, contents);
  co_return ended;
}

Task<Status> four_hundred(Core& core, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kSmallest));
  const Table table = co_await check(table_of(db, contents.kind));
  for (std::size_t i = 0; i < 400; ++i) {
    co_await check(put_into(db, table, contents, key_of(i), std::string(1000, 'o')));
  }
  co_await check(db.flush());
  co_await check(db.compact());
  Status ended = co_await end_with(db, table, contents);
  co_return ended;
}

TEST_CASE("full device: what was deleted stays deleted, however often merges are left off", "[S11][F10][F11]") {
  CAMBIUM_BOTH_KINDS(kind);
  const std::uint64_t first = test_seed(100);
  for (std::uint64_t seed = first; seed < first + 60; ++seed) {
    FullDevice full(seed, kind);
    full.run(four_hundred(*full.core, full.contents));
    full.close_in();
    const Status done = full.core->run(replace_all(*full.core, full.contents));
    full.core->drain();
    INFO(seed << ": " << done.error().message());
    REQUIRE((done || done.code() == Errc::no_space));  // a flush may give up before a merge has made room
  }
}

// Puts that do not fit hold up the deletes behind them: the tables hold a prefix of what was written.
Task<Status> delete_behind(Core& core, SimDisk& disk, Contents& contents) {
  Options options = kOptions;
  options.write_buffer_bytes = 384 * KiB;
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(table_of(db, contents.kind));
  for (std::size_t n = 0; n < 500; ++n) {
    co_await check(put_into(db, table, contents, rt::str("new ", n), std::string(600, 'n')));
  }
  const std::string gone = contents.begin()->first;
  contents.erase(gone);
  co_await check(db.del(table, gone));
  const Status refused = co_await db.flush();
  CHECK(refused.code() == Errc::no_space);
  co_await check(expect_contents(db, table, contents));  // from the buffers
  CHECK(db.stats().free_pages >= kReservePages);
  disk.set_capacity_bytes(~std::uint64_t{0});
  co_await core.sleep_ns(1'000'000'000);
  co_await check(db.flush());
  co_await check(expect_contents(db, table, contents));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: deletes behind puts that do not fit wait with them, and the reserve is left alone", "[S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  FullDevice full(9, kind);
  full.fill_up(256 * KiB);
  full.close_in();
  full.run(delete_behind(*full.core, full.disk, full.contents));
}

// A batch is one commit: where it needs more than the reserve has, it waits for space like any other write.
Task<Status> delete_in_one_batch(Core& core, SimDisk& disk, Contents& contents) {
  Options options = kOptions;
  options.write_buffer_bytes = 384 * KiB;
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(table_of(db, contents.kind));
  WriteBatch batch;
  std::size_t i = 0;
  for (auto it = contents.begin(); it != contents.end(); ++i) {
    if (i % 3 != 0) {
      ++it;
      continue;
    }
    batch.del(table, it->first);
    it = contents.erase(it);
  }
  co_await check(db.write(batch));
  const Status refused = co_await db.flush();
  CHECK(refused.code() == Errc::no_space);
  co_await check(expect_contents(db, table, contents));
  disk.set_capacity_bytes(~std::uint64_t{0});
  co_await core.sleep_ns(1'000'000'000);
  co_await check(db.flush());
  co_await check(expect_contents(db, table, contents));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: one batch of deletes that needs more than the reserve is refused, and goes through with space",
          "[S11]") {
  constexpr TableKind kind = TableKind::tree;  // of a level store a batch of tombstones takes less
  FullDevice full(10, kind, kind == TableKind::tree);
  full.fill_up(3 * MiB);
  full.close_in();
  full.run(delete_in_one_batch(*full.core, full.disk, full.contents));
}

// ---- the log --------------------------------------------------------------------------------------------------------

constexpr Options kLogged{.path = "full.cambium",
                          .wal = WalMode::batched,
                          .memory_bytes = 1 * MiB,
                          .write_buffer_bytes = 128 * KiB,
                          .cache_bytes = 128 * KiB,
                          .wal_bytes_max = 4 * MiB};

// The log wants to grow all the time, and the tables as well.
Task<Status> fill_with_log(Core& core, SimDisk& disk, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kLogged));
  const Table table = co_await check(table_of(db, contents.kind));
  disk.set_capacity_bytes(disk.allocated_bytes() + 1 * MiB);
  for (std::size_t i = 0; i < 100'000; ++i) {
    const std::string key = key_of(i % 3000);
    const std::string value = value_of(i);
    const Status put = co_await db.put(table, key, value, {.no_stall = true});
    if (put) contents[key] = value;
    CHECK(db.stats().free_pages + db.stats().held_pages >= kReservePages);
    if (i % 20 == 0) co_await core.sleep_ns(3'000'000);
    if (put.code() == Errc::would_stall && i > 3000) break;
  }
  co_await core.sleep_ns(1'000'000'000);
  CHECK(db.stats().free_pages + db.stats().held_pages >= kReservePages);
  CHECK(db.stats().wal_segments > 2);
  disk.set_capacity_bytes(disk.allocated_bytes() + 4 * MiB);
  co_await core.sleep_ns(1'000'000'000);
  co_await check(db.flush({.trim = false}));
  co_await check(expect_contents(db, table, contents));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: a log that grows leaves the reserve alone", "[S09][S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  FullDevice full(11, kind);
  full.run(fill_with_log(*full.core, full.disk, full.contents));
}

Task<Status> begin_log(Core& core) {
  Partition db = co_await check(Partition::open(core, kLogged));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: where there is no space for a log, it is not begun; without one, deletes make room for it",
          "[S09][S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  FullDevice full(12, kind, kind == TableKind::tree);
  full.fill_up(1 * MiB);
  full.close_in();
  const Status refused = full.core->run(begin_log(*full.core));
  full.core->drain();
  CHECK(refused.code() == Errc::no_space);
  full.run(delete_most(*full.core, 10, full.contents, true));
  full.run(begin_log(*full.core));
}

// ---- a table is dropped to make room ------------------------------------------------------------------------------

Task<Status> drop_to_write(Core& core, SimDisk& disk, TableKind kind) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table big = co_await check(db.table("big", {.kind = kind}));
  const Table table = db.default_table();
  disk.set_capacity_bytes(disk.allocated_bytes() + 2 * MiB);
  Status flushed;
  for (std::size_t i = 0; flushed && i < 100'000;) {
    for (std::size_t n = 0; n < 60; ++n, ++i) {
      co_await check(db.put(big, key_of(i), value_of(i)));
    }
    flushed = co_await db.flush({.trim = false});
  }
  if (flushed.code() != Errc::no_space) co_return Error(Errc::io, "the device did not fill up");
  disk.set_capacity_bytes(disk.allocated_bytes());
  const std::uint64_t used = db.stats().used_pages;
  Contents contents(TableKind::tree);
  for (std::size_t i = 0; i < 50; ++i) {
    contents[key_of(i)] = value_of(i);
    co_await check(db.put(table, key_of(i), contents[key_of(i)]));
  }
  co_await check(db.drop_table("big"));
  Status written = co_await db.flush({.trim = false});
  for (int tries = 0; !written && tries < 100; ++tries) {  // the pages come back in the background
    if (written.code() != Errc::no_space) co_return written;
    co_await core.sleep_ns(100'000'000);
    written = co_await db.flush({.trim = false});
  }
  co_await check(written);
  co_await core.sleep_ns(2'000'000'000);
  if (db.stats().used_pages > used / 2) co_return Error(Errc::io, "the table's pages are still in use");
  co_await check(expect_contents(db, table, contents));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: dropping a table goes through with the reserve, and what it frees is written to",
          "[S02][S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    FullDevice full(20 + seed, kind);
    full.run(drop_to_write(*full.core, full.disk, kind));
  }
}

// ---- merges of a level store ----------------------------------------------------------------------------------------

// Flushes go on into what is left, merges find nothing; then no flush does either. With space all of it is made up for.
Task<Status> merge_when_there_is_space(Core& core, SimDisk& disk, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, contents.kind));
  co_await check(expect_contents(db, table, contents));
  const Status unsettled = co_await db.settle();
  CHECK((unsettled || unsettled.code() == Errc::no_space));
  std::size_t deleted = 0;
  for (auto it = contents.begin(); it != contents.end() && deleted < 400; ++deleted) {
    co_await check(db.del(table, it->first));
    it = contents.erase(it);
  }
  const Status refused = co_await db.flush({.trim = false});
  CHECK((refused || refused.code() == Errc::no_space));
  co_await check(expect_contents(db, table, contents));
  co_await check(db.check());
  disk.set_capacity_bytes(~std::uint64_t{0});
  co_await core.sleep_ns(1'000'000'000);
  co_await check(db.flush({.trim = false}));
  co_await check(db.settle());
  CHECK(db.stats().compactions > 0);
  Status ended = co_await end_with(db, table, contents);
  co_return ended;
}

TEST_CASE("full device: a level store whose merges find no space loses nothing, and merges when there is some",
          "[S02][S11][F11]") {
  for (const std::uint64_t spare : {256 * KiB, 300 * KiB, 400 * KiB, 600 * KiB, 1 * MiB, 3 * MiB}) {
    CAPTURE(spare);
    FullDevice full(30 + spare, TableKind::levels);
    full.fill_up(spare);
    full.close_in();
    REQUIRE(full.contents.size() >= 60);
    full.run(merge_when_there_is_space(*full.core, full.disk, full.contents));
  }
}

// ---- a quota is a full device --------------------------------------------------------------------------------------

Task<Status> meet_quota(Core& core, SimDisk& disk, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, contents.kind));
  disk.plan({.error = EDQUOT, .kind = rt::IoKind::resize, .sticky = true});
  for (std::size_t i = 0; i < 400; ++i) {
    contents[key_of(i)] = value_of(i);
    const Status put = co_await db.put(table, key_of(i), contents[key_of(i)]);
    if (!put) contents.erase(key_of(i));
  }
  const Status refused = co_await db.flush();
  if (refused.code() != Errc::no_space) co_return Error(Errc::io, "a quota is not a lack of space");
  co_await check(expect_contents(db, table, contents));  // from the buffers
  disk.clear_faults();
  co_await core.sleep_ns(1'000'000'000);
  co_await check(db.put(table, "more", "room"));  // accepted again without being asked
  contents["more"] = "room";
  co_await check(db.flush());
  Status ended = co_await end_with(db, table, contents);
  co_return ended;
}

TEST_CASE("full device: a quota refuses the flush, loses nothing, and work resumes when it is raised", "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  FullDevice full(7, kind);
  full.run(meet_quota(*full.core, full.disk, full.contents));
}

}  // namespace
}  // namespace cambium::test
