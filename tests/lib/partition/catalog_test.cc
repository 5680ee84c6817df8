// SPDX-License-Identifier: MIT OR Apache-2.0
// Named tables: what makes, names and lists them, and that every operation is of the table it was asked of.
#include "partition/catalog.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "lib/partition/partition_fixture.h"

namespace cambium::test {
namespace {

std::vector<std::string> names_of(const Partition& db) {
  std::vector<std::string> names;
  for (const TableInfo& info : db.tables()) names.push_back(info.table.name());
  return names;
}

TEST_CASE("tables: a new partition has the default table, others are made by name and listed by name") {
  PartitionFixture f;
  CHECK(names_of(*f.db) == std::vector<std::string>{"default"});
  const Table b = f.table("b");
  const Table a = f.table("a");
  CHECK(f.table("b") == b);
  CHECK(a.name() == "a");
  CHECK(a.kind() == TableKind::tree);
  CHECK(f.db->default_table().name() == "default");
  CHECK(f.table("default") == f.db->default_table());
  CHECK(names_of(*f.db) == std::vector<std::string>{"a", "b", "default"});
}

TEST_CASE("tables: modes tell making from opening; impossible names change nothing") {
  PartitionFixture f;
  const std::uint64_t commits = f.db->stats().commits;
  CHECK(f.run(open_table(*f.db, "t", TableMode::open)).code() == Errc::not_found);
  CHECK(f.run(open_table(*f.db, "default", TableMode::create)).code() == Errc::exists);
  CHECK(f.run(open_table(*f.db, "a/b")).code() == Errc::invalid_argument);
  CHECK(f.run(open_table(*f.db, "")).code() == Errc::invalid_argument);
  CHECK(f.db->stats().commits == commits);

  REQUIRE(f.run(open_table(*f.db, "t", TableMode::create)));
  CHECK(f.run(open_table(*f.db, "t", TableMode::create)).code() == Errc::exists);
  CHECK(f.run(open_table(*f.db, "t", TableMode::open)));
}

TEST_CASE("tables: the same key is another entry in each table, in buffers, in the file and after opening again") {
  PartitionFixture f;
  const Table a = f.table("a");
  const Table b = f.table("b");
  f.put("key", "of the default table");
  f.run(apply_put(*f.db, a, "key", "of a")).value();
  f.run(apply_put(*f.db, b, "key", "of b")).value();
  f.run(apply_put(*f.db, b, "only b", "1")).value();
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    CHECK(f.get(a, "key") == "of a");
    CHECK(f.get(b, "key") == "of b");
    CHECK(f.get(a, "only b") == "(absent)");
    CHECK(f.get(f.db->default_table(), "key") == "of the default table");
    CHECK(f.scan(a) == Pairs{{"key", "of a"}});
    CHECK(f.scan(b) == Pairs{{"key", "of b"}, {"only b", "1"}});
    f.require_contents(f.model);
    round == 0 ? f.flush() : f.reopen();
  }
  const TableStats stats = f.db->table_stats(b).value();
  CHECK(stats.entries == 2);
  CHECK(stats.pages == 1);
  CHECK(stats.bytes == kPageBytes);
  CHECK(f.db->stats().entries == 4);
}

TEST_CASE("tables: operations are counted for the table and for the partition") {
  PartitionFixture f;
  const Table t = f.table("t");
  f.put("k", "v");
  f.run(apply_put(*f.db, t, "k", "v")).value();
  WriteBatch batch;
  batch.put(t, "l", "v").del(t, "k").del("k");
  f.run(apply_batch(*f.db, batch)).value();
  static_cast<void>(f.get(t, "k"));
  static_cast<void>(f.scan(t));
  const TableStats one = f.db->table_stats(t).value();
  CHECK(one.puts == 2);
  CHECK(one.deletes == 1);
  CHECK(one.gets == 1);
  CHECK(one.scans == 1);
  const Stats all = f.db->stats();
  CHECK(all.puts == 3);
  CHECK(all.deletes == 2);
  CHECK(all.gets == 1);
  CHECK(all.scans == 1);
}

TEST_CASE("tables: a batch over several is applied whole, a snapshot sees all of it or nothing") {
  PartitionFixture f;
  const Table a = f.table("a");
  const Table b = f.table("b");
  Snapshot before = f.db->snapshot();
  WriteBatch batch;
  batch.put(a, "k", "1").put(b, "k", "2").put("k", "3").del(a, "gone");
  f.run(apply_batch(*f.db, batch)).value();
  Snapshot after = f.db->snapshot();
  f.run(apply_put(*f.db, b, "k", "4")).value();
  for (int round = 0; round < 2; ++round) {
    CHECK(f.get(a, "k", {.snapshot = &before}) == "(absent)");
    CHECK(f.get(b, "k", {.snapshot = &before}) == "(absent)");
    CHECK(f.get(a, "k", {.snapshot = &after}) == "1");
    CHECK(f.get(b, "k", {.snapshot = &after}) == "2");
    CHECK(f.scan(b, {.snapshot = &after}) == Pairs{{"k", "2"}});
    CHECK(f.get(f.db->default_table(), "k", {.snapshot = &after}) == "3");
    CHECK(f.get(b, "k") == "4");
    f.flush();
  }
}

TEST_CASE("tables: one made after a snapshot is empty in it") {
  PartitionFixture f;
  Snapshot before = f.db->snapshot();
  const Table t = f.table("t");
  f.run(apply_put(*f.db, t, "k", "v")).value();
  f.flush();
  CHECK(f.get(t, "k", {.snapshot = &before}) == "(absent)");
  CHECK(f.scan(t, {.snapshot = &before}).empty());
}

Task<Status> make_many(Partition& db, std::size_t count, std::vector<Table>& made) {
  std::vector<Op<Table>> ops;
  for (std::size_t i = 0; i < count; ++i) ops.push_back(db.table(rt::str("table ", i)));
  for (Op<Table>& op : ops) {
    Op<Table>& one = op;
    Result<Table> table = co_await one;
    if (!table) co_return table.error();
    made.push_back(*std::move(table));
  }
  co_return Status();
}

TEST_CASE("tables: those asked for together share commits, and two requests for one name give one table") {
  PartitionFixture f;
  const std::uint64_t commits = f.db->stats().commits;
  std::vector<Table> made;
  f.run(make_many(*f.db, 500, made)).value();
  CHECK(f.db->stats().commits <= commits + 2);
  CHECK(f.db->tables().size() == 501);

  Op<Table> one = f.db->table("twice");
  Op<Table> two = f.db->table("twice");
  Op<Table> three = f.db->table("twice", {}, TableMode::create);
  f.settle();
  REQUIRE(one.ready());
  REQUIRE(two.ready());
  REQUIRE(three.ready());
  CHECK(one.result().value() == two.result().value());
  CHECK(three.result().code() == Errc::exists);
}

TEST_CASE("tables: renaming changes the name and nothing else, for good") {
  PartitionFixture f;
  const Table t = f.table("before");
  f.run(apply_put(*f.db, t, "k", "v")).value();
  REQUIRE(f.run(rename_table(*f.db, "before", "after")));
  CHECK(t.name() == "before");  // as of when the handle was made
  CHECK(f.get(t, "k") == "v");
  CHECK(f.run(open_table(*f.db, "before", TableMode::open)).code() == Errc::not_found);
  CHECK(f.table("after") == t);
  f.reopen();
  CHECK(f.get(f.table("after"), "k") == "v");
  CHECK(names_of(*f.db) == std::vector<std::string>{"after", "default"});
}

TEST_CASE(
    "tables: renaming to a name that is taken or impossible, of what is not there, or of the default is refused") {
  PartitionFixture f;
  f.table("a");
  f.table("b");
  CHECK(f.run(rename_table(*f.db, "a", "b")).code() == Errc::exists);
  CHECK(f.run(rename_table(*f.db, "a", "default")).code() == Errc::exists);
  CHECK(f.run(rename_table(*f.db, "c", "d")).code() == Errc::not_found);
  CHECK(f.run(rename_table(*f.db, "a", "x/y")).code() == Errc::invalid_argument);
  CHECK(f.run(rename_table(*f.db, "default", "x")).code() == Errc::invalid_argument);
  CHECK(f.run(rename_table(*f.db, "a", "a")));
  CHECK(names_of(*f.db) == std::vector<std::string>{"a", "b", "default"});
}

TEST_CASE("tables: names change hands in the order of the calls, also within one turn") {
  PartitionFixture f;
  const Table a = f.table("a");
  Op<void> away = f.db->rename_table("a", "old");
  Op<Table> again = f.db->table("a");  // still there when asked
  Op<Table> fresh = f.db->table("b");
  f.settle();
  REQUIRE(away.ready());
  CHECK(away.result());
  CHECK(again.result().value() == a);
  CHECK(fresh.result().value().id() != a.id());
  CHECK(names_of(*f.db) == std::vector<std::string>{"b", "default", "old"});
}

TEST_CASE("tables: numbers are not given out twice, not after opening again either") {
  PartitionFixture f;
  const TableId first = f.table("a").id();
  f.reopen();
  const TableId second = f.table("b").id();
  CHECK(raw(second) > raw(first));
}

TEST_CASE("tables: a sorted load fills the table it was asked for") {
  PartitionFixture f;
  const Table t = f.table("t");
  f.put("in the default table", "1");
  Op<BulkLoad> begun = f.db->bulk_load(t);
  f.settle();
  REQUIRE(begun.ready());
  {
    BulkLoad load = *std::move(begun.result());
    f.run(add_to(load, "a", "1")).value();
    f.run(add_to(load, "b", "2")).value();
    CHECK(f.run(open_table(*f.db, "other")).code() == Errc::busy);  // it holds the lane
    CHECK(f.run(rename_table(*f.db, "t", "u")).code() == Errc::busy);
    f.run(finish_load(load)).value();
  }
  CHECK(f.scan(t) == Pairs{{"a", "1"}, {"b", "2"}});
  f.require_contents(f.model);
  CHECK(f.run(open_table(*f.db, "other")));
}

TEST_CASE("tables: a partition opened read-only opens tables and makes none") {
  PartitionFixture f;
  const Table t = f.table("t");
  f.run(apply_put(*f.db, t, "k", "v")).value();
  f.reopen();
  REQUIRE(f.run(close_partition(*f.db)));
  Options options = PartitionFixture::kOptions;
  options.read_only = true;
  f.db.emplace(f.run(open_partition(*f.core, options)).value());
  CHECK(f.get(f.table("t"), "k") == "v");
  CHECK(f.run(open_table(*f.db, "new")).code() == Errc::unsupported);
  CHECK(f.run(rename_table(*f.db, "t", "u")).code() == Errc::unsupported);
}

TEST_CASE("tables: check and the inventory know all of them") {
  PartitionFixture f;
  for (int i = 0; i < 20; ++i) {
    const Table t = f.table(rt::str("t", i));
    f.run(apply_put(*f.db, t, "k", std::string(static_cast<std::size_t>(i) * 300, 'v'))).value();
  }
  f.flush();
  const CheckReport report = f.run(check_partition(*f.db)).value();
  CHECK(report.tables == 21);
  CHECK(report.entries == 20);
}

}  // namespace
}  // namespace cambium::test
