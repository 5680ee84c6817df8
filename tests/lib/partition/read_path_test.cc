// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads that are refused, given up or damaged: what they say, and that what is beside them is answered.
#include <catch2/catch.hpp>

#include <span>
#include <string>
#include <vector>

#include <cambium/rt/cancel.h>

#include "base/text.h"
#include "lib/partition/partition_fixture.h"
#include "support/kinds.h"

namespace cambium::test {
namespace {

Task<Result<std::string>> get_text(Partition& db, const Table& table, Bytes key, ReadOptions options) {
  Value value = co_await check(db.get(table, key, options));
  std::string text = value ? std::string(value.view()) : std::string("(absent)");
  co_return text;
}
Task<Status> get_many(Partition& db, std::span<const Bytes> keys, std::span<Value> values, ReadOptions options) {
  Status status = co_await db.multi_get(keys, values, options);
  co_return status;
}
Task<Result<std::string>> get_text(Partition& db, Bytes key, ReadOptions options) {
  const Table table = db.default_table();
  Result<std::string> text = co_await get_text(db, table, key, options);
  co_return text;
}
Task<Status> next_entry(Scan& scan) {
  const Result<const Entry*> entry = co_await scan.next();
  if (!entry) co_return entry.error();
  co_return Status();
}

std::string key_of(int i) { return rt::str("key ", 1000 + i); }
std::string value_of(int i) { return rt::str("value ", i, " ", std::string(i % 40 == 0 ? 5000 : 100, 'v')); }

// Some leaves and overflow values, none of them cached.
void fill_and_reopen(PartitionFixture& fixture) {
  for (int i = 0; i < 200; ++i) fixture.put(key_of(i), value_of(i));
  fixture.reopen();
}

TEST_CASE("read path: a key of no or too many bytes is refused, alone and among others, buffered or flushed") {
  PartitionFixture fixture;
  fixture.put("key", "value");
  const std::string longest(kKeyBytesMax, 'k');
  for (const bool flushed : {false, true}) {
    if (flushed) fixture.flush();
    CAPTURE(flushed);
    for (const std::string& bad : {std::string(), longest + "k"}) {
      CAPTURE(bad.size());
      const Result<std::string> refused = fixture.run(get_text(*fixture.db, bad, {}));
      REQUIRE(refused.code() == Errc::invalid_argument);
      CHECK(refused.error().message().find(rt::str("a key of ", bad.size(), " bytes")) != std::string_view::npos);
      const std::vector<Bytes> keys = {Bytes("key"), Bytes(bad), Bytes("key")};
      std::vector<Value> values(keys.size());
      CHECK(fixture.run(get_many(*fixture.db, keys, values, {})).code() == Errc::invalid_argument);
    }
    CHECK(fixture.run(get_text(*fixture.db, longest, {})).value() == "(absent)");
    CHECK(fixture.run(get_text(*fixture.db, "key", {})).value() == "value");
  }
}

TEST_CASE("read path: a read that was cancelled, or whose deadline has passed, does not go to the device") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture fixture;
  Table table = fixture.run(open_of_kind(*fixture.db, kind)).value();
  for (int i = 0; i < 200; ++i) fixture.run(apply_put(*fixture.db, table, key_of(i), value_of(i))).value();
  fixture.reopen();
  table = fixture.run(open_of_kind(*fixture.db, kind)).value();
  if (kind == TableKind::levels) {  // its manifest is read with the first key, wherever that is
    CHECK(fixture.run(get_text(*fixture.db, table, "absent", {})).value() == "(absent)");
  }
  CancelSource cancel;
  cancel.request();
  const auto reads = [&] { return fixture.core->stats().reads; };
  const std::uint64_t before = reads();
  const auto get = [&](int i, ReadOptions options) {
    return fixture.run(get_text(*fixture.db, table, key_of(i), options));
  };
  for (const int i : {1, 40}) {  // in a leaf, and in overflow pages
    CHECK(get(i, {.cancel = &cancel}).code() == Errc::cancelled);
    const std::int64_t now_ns = fixture.core->now_ns();
    CHECK(get(i, {.deadline_ns = now_ns}).code() == Errc::timeout);
  }
  CHECK(reads() == before);

  // What is at hand is answered all the same, and nothing is left behind by those that gave up.
  fixture.run(apply_put(*fixture.db, table, "buffered", "at hand")).value();
  CHECK(fixture.run(get_text(*fixture.db, table, "buffered", {.cancel = &cancel})).value() == "at hand");
  CHECK(get(1, {}).value() == value_of(1));
  CHECK(get(1, {.cancel = &cancel}).value() == value_of(1));
  CHECK(get(40, {.cancel = &cancel}).code() == Errc::cancelled);
  CHECK(get(40, {}).value() == value_of(40));
}

TEST_CASE("read path: a cancelled scan ends with that error, and stays there") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture fixture;
  Table table = fixture.run(open_of_kind(*fixture.db, kind)).value();
  for (int i = 0; i < 200; ++i) fixture.run(apply_put(*fixture.db, table, key_of(i), value_of(i))).value();
  fixture.reopen();
  table = fixture.run(open_of_kind(*fixture.db, kind)).value();
  CancelSource cancel;
  cancel.request();
  Scan scan = fixture.db->scan(table, {}, {.cancel = &cancel});
  CHECK(fixture.run(next_entry(scan)).code() == Errc::cancelled);
  CHECK(fixture.run(next_entry(scan)).code() == Errc::cancelled);
}

TEST_CASE("read path: a damaged leaf fails the keys in it, and no other key of the same multi_get") {
  PartitionFixture fixture;
  fill_and_reopen(fixture);
  const std::string_view file = PartitionFixture::kOptions.path.view();
  const std::string bytes = fixture.disk.peek(file, 0, fixture.disk.file_size(file));
  const std::size_t damaged = bytes.find("value 77 ");
  REQUIRE(damaged != std::string::npos);
  fixture.disk.flip_bit(file, damaged, 3);

  std::vector<std::string> names;
  for (int i = 0; i < 200; ++i) names.push_back(key_of(i));
  const std::vector<Bytes> keys(names.begin(), names.end());
  std::vector<Value> values(keys.size());
  const Status status = fixture.run(get_many(*fixture.db, keys, values, {}));
  REQUIRE(status.code() == Errc::corruption);
  CHECK(status.error().message().find(rt::str("page ", damaged / kPageBytes)) != std::string_view::npos);
  int answered = 0;
  for (int i = 0; i < 200; ++i) {
    const Value& value = values[static_cast<std::size_t>(i)];
    if (!value) continue;
    ++answered;
    CHECK(value.view() == value_of(i));
  }
  CHECK(!values[77]);
  CHECK(answered > 100);
  CHECK(fixture.run(get_text(*fixture.db, key_of(77), {})).code() == Errc::corruption);
}

Task<Result<Table>> make_level_table(Partition& db, Bytes name) {
  Result<Table> table = co_await db.table(name, {.kind = TableKind::levels});
  co_return table;
}
Task<Status> put_same(Partition& db, const Table& table, Bytes value) {
  for (const char* const key : {"a", "b", "c"}) {
    co_await check(db.put(table, key, value));
  }
  Status flushed = co_await db.flush({.trim = false});
  co_return flushed;
}
// Nothing in the background has had its turn when the snapshot is taken.
Task<Status> read_older_version(Core& core) {
  Partition db = co_await check(Partition::open(core, PartitionFixture::kOptions));
  db.pause_compaction();
  const Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
  {
    Snapshot before = db.snapshot();
    co_await check(put_same(db, table, "new"));
    Result<std::string> older = co_await read_value(db, table, "b", {.snapshot = &before});
    CHECK(older.value() == "old");
    Result<std::string> newer = co_await read_value(db, table, "b", {});
    CHECK(newer.value() == "new");
  }
  Status closed = co_await db.close();
  co_return closed;
}

// The newest version was loaded in vain, again and again, until the stack had no end.
TEST_CASE("read path: a snapshot older than the first flush reads a level store that nobody has looked into yet") {
  PartitionFixture fixture;
  Result<Table> made = fixture.run(make_level_table(*fixture.db, "t"));
  REQUIRE(made);
  fixture.run(put_same(*fixture.db, *made, "old")).value();
  fixture.run(close_partition(*fixture.db)).value();
  fixture.db.reset();
  fixture.run(read_older_version(*fixture.core)).value();
  fixture.open();
}

}  // namespace
}  // namespace cambium::test
