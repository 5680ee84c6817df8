// SPDX-License-Identifier: MIT OR Apache-2.0
// Dropping tables: gone at once for everybody but older snapshots, and their space comes back.
#include <catch2/catch.hpp>

#include <optional>
#include <string>

#include "base/text.h"
#include "lib/partition/partition_fixture.h"
#include "partition/catalog.h"

namespace cambium::test {
namespace {

// Enough for several rounds of freeing, with long values among it.
Table fill(PartitionFixture& f, const std::string& name, int keys = 1500) {
  const Table table = f.table(name);
  for (int i = 0; i < keys; ++i) {
    const std::size_t bytes = i % 100 == 0 ? 9000 : 500;
    f.run(apply_put(*f.db, table, rt::str("key ", 10'000 + i), std::string(bytes, 'v'))).value();
  }
  f.flush();
  return table;
}

std::uint64_t used_pages(PartitionFixture& f) {
  f.settle();  // what works in the background has come to its end
  return f.db->stats().used_pages;
}

void require_whole(PartitionFixture& f) {
  const Result<CheckReport> report = f.run(check_partition(*f.db));
  INFO((report ? std::string() : std::string(report.error().message())));
  REQUIRE(report);
}

TEST_CASE("drop: a dropped table is not found, by its name or its handle, and its space comes back") {
  PartitionFixture f;
  f.put("kept", "1");
  f.flush();
  const std::uint64_t used = used_pages(f);
  const Table t = fill(f, "t");
  CHECK(used_pages(f) > used + 200);
  REQUIRE(f.run(drop_table(*f.db, "t")));

  CHECK(f.run(open_table(*f.db, "t", TableMode::open)).code() == Errc::not_found);
  CHECK(f.run(apply_put(*f.db, t, "k", "v")).code() == Errc::not_found);
  CHECK(f.run(read_value(*f.db, t, "key 10000", {})).code() == Errc::not_found);
  CHECK(f.db->table_stats(t).code() == Errc::not_found);
  {
    Scan scan = f.db->scan(t);
    Pairs pairs;
    CHECK(f.run(collect_scan(scan, pairs)).code() == Errc::not_found);
  }
  WriteBatch batch;
  batch.put("beside", "it").put(t, "k", "v");
  CHECK(f.run(apply_batch(*f.db, batch)).code() == Errc::not_found);
  Op<BulkLoad> load = f.db->bulk_load(t);
  CHECK(load.result().code() == Errc::not_found);
  CHECK(f.run(drop_table(*f.db, "t")).code() == Errc::not_found);
  CHECK(f.run(drop_table(*f.db, "default")).code() == Errc::invalid_argument);

  CHECK(used_pages(f) <= used + 2);
  CHECK(f.db->tables().size() == 1);
  f.require_contents(f.model);
  require_whole(f);
  f.reopen();
  f.require_contents(f.model);
  CHECK(f.db->tables().size() == 1);
}

TEST_CASE("drop: the name is free at once, the new table is another") {
  PartitionFixture f;
  const Table old = fill(f, "t", 300);
  REQUIRE(f.run(drop_table(*f.db, "t")));
  const Table fresh = f.table("t");
  CHECK(fresh.id() != old.id());
  CHECK(f.scan(fresh).empty());
  f.run(apply_put(*f.db, fresh, "k", "v")).value();
  CHECK(f.run(apply_put(*f.db, old, "k", "w")).code() == Errc::not_found);
  f.reopen();
  CHECK(f.scan(f.table("t")) == Pairs{{"k", "v"}});
}

TEST_CASE("drop: snapshots taken before read the table until they end, through flushes of what was buffered then") {
  PartitionFixture f;
  const std::uint64_t used = used_pages(f);
  const Table t = fill(f, "t");
  std::optional<Snapshot> older(f.db->snapshot());
  f.run(apply_put(*f.db, t, "in the buffer", "1")).value();
  std::optional<Snapshot> before(f.db->snapshot());
  f.run(apply_put(*f.db, t, "after it", "2")).value();
  REQUIRE(f.run(drop_table(*f.db, "t")));
  const Snapshot after = f.db->snapshot();
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    CHECK(f.scan(t, {.snapshot = &*older}).size() == 1500);
    CHECK(f.scan(t, {.snapshot = &*before}).size() == 1501);
    CHECK(f.get(t, "in the buffer", {.snapshot = &*before}) == "1");
    CHECK(f.get(t, "in the buffer", {.snapshot = &*older}) == "(absent)");
    CHECK(f.get(t, "after it", {.snapshot = &*before}) == "(absent)");
    CHECK(f.run(read_value(*f.db, t, "key 10000", {.snapshot = &after})).code() == Errc::not_found);
    f.put("something", rt::str("else ", round));
    f.flush();
    f.settle();
  }
  require_whole(f);
  CHECK(used_pages(f) > used + 200);
  older.reset();
  CHECK(f.scan(t, {.snapshot = &*before}).size() == 1501);
  before.reset();
  CHECK(used_pages(f) <= used + 4);
  require_whole(f);
}

// What the snapshot needs is in a buffer, and is flushed for it alone; where nothing was written before, the table has
// no page at all when it is dropped, and no row afterwards, until that flush.
TEST_CASE("drop: a snapshot taken while the drop is under way reads what was written by then") {
  PartitionFixture f;
  const Table t = f.table("t");
  const bool early = GENERATE(true, false);
  CAPTURE(early);
  std::optional<Snapshot> before;
  Pairs expected{{"late", "2"}};
  if (early) {
    f.run(apply_put(*f.db, t, "early", "1")).value();
    expected.insert(expected.begin(), {"early", "1"});
  }
  Op<void> dropped = f.db->drop_table("t");
  f.run(apply_put(*f.db, t, "late", "2")).value();
  before.emplace(f.db->snapshot());
  f.settle();
  REQUIRE(dropped.ready());
  REQUIRE(dropped.result());
  for (int round = 0; round < 2; ++round) {
    CHECK(f.scan(t, {.snapshot = &*before}) == expected);
    f.put("k", "v");
    f.flush();
  }
  before.reset();
  f.settle();
  require_whole(f);
  f.reopen();
  CHECK(f.db->tables().size() == 1);
}

TEST_CASE("drop: a scan that has begun goes on to its end") {
  PartitionFixture f;
  const Table t = fill(f, "t");
  std::optional<Scan> scan(f.db->scan(t));
  REQUIRE(f.run(drop_table(*f.db, "t")));
  f.settle();  // nothing of the table has a row any more
  Pairs pairs;
  REQUIRE(f.run(collect_scan(*scan, pairs)));
  CHECK(pairs.size() == 1500);
  scan.reset();
  require_whole(f);
}

TEST_CASE("drop: closed in the middle of it, freeing goes on when the partition is opened again") {
  PartitionFixture f;
  const std::uint64_t used = used_pages(f);
  fill(f, "t", 3000);
  REQUIRE(f.run(drop_table(*f.db, "t")));
  f.reopen();  // long before it is done
  require_whole(f);
  CHECK(f.db->tables().size() == 1);
  CHECK(used_pages(f) <= used + 4);
  require_whole(f);
}

TEST_CASE("drop: a dropped table is moved by compaction like any other while a snapshot keeps it") {
  PartitionFixture f;
  for (int i = 0; i < 3000; ++i) f.put(rt::str("key ", i), std::string(500, 'd'));
  f.flush();
  const Table t = fill(f, "t", 500);
  std::optional<Snapshot> before(f.db->snapshot());
  REQUIRE(f.run(drop_table(*f.db, "t")));
  for (int i = 0; i < 3000; ++i) f.del(rt::str("key ", i));
  f.flush();
  REQUIRE(f.run(compact_partition(*f.db)));
  CHECK(f.scan(t, {.snapshot = &*before}).size() == 500);
  require_whole(f);
  before.reset();
  f.settle();
  require_whole(f);
}

TEST_CASE("drop: what was counted for a table stays counted for the partition") {
  PartitionFixture f;
  fill(f, "t", 100);
  const std::uint64_t puts = f.db->stats().puts;
  REQUIRE(f.run(drop_table(*f.db, "t")));
  f.settle();
  CHECK(f.db->stats().puts == puts);
  CHECK(f.db->stats().entries == 0);
}

}  // namespace
}  // namespace cambium::test
