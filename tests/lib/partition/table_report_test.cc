// SPDX-License-Identifier: MIT OR Apache-2.0
// What table_stats(), table_levels() and sstable_entries() say, against what was done.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/partition/partition_fixture.h"

namespace cambium {
namespace {

using test::PartitionFixture;

Task<Result<Table>> make_levels(Partition& db, Bytes name) {
  Result<Table> table = co_await db.table(name, {.kind = TableKind::levels});
  co_return table;
}
Task<Result<TableLevels>> look_inside(Partition& db, const Table& table) {
  Result<TableLevels> levels = co_await db.table_levels(table);
  co_return levels;
}
Task<Result<std::vector<SstableEntry>>> look_at(Partition& db, const Table& table, std::uint64_t id,
                                                const SstableRange& range) {
  Result<std::vector<SstableEntry>> entries = co_await db.sstable_entries(table, id, range);
  co_return entries;
}
Task<Status> put_many(Partition& db, const Table& table, std::uint64_t first, std::uint64_t count, std::size_t bytes) {
  const std::string value(bytes, 'v');
  for (std::uint64_t i = first; i < first + count; ++i) {
    co_await check(db.put(table, "key" + std::to_string(1'000'000 + i), value));
  }
  co_return Status();
}
Task<Status> get_many(Partition& db, const Table& table, std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t i = first; i < first + count; ++i) {
    const Value value = co_await check(db.get(table, "key" + std::to_string(1'000'000 + i)));
  }
  co_return Status();
}
Task<Status> delete_one(Partition& db, const Table& table, Bytes key) {
  Status done = co_await db.del(table, key);
  co_return done;
}
Task<Status> settle_levels(Partition& db) {
  Status done = co_await db.settle();
  co_return done;
}

// Stops compaction between two slices of a merge; how many there were.
Task<Result<std::uint64_t>> pause_in_merge(Core& core, Partition& db, const Table& table) {
  std::uint64_t slices = 0;
  for (int turn = 0; turn < 100'000 && slices == 0; ++turn) {
    co_await core.yield();
    slices = db.table_stats(table).value().compaction.slices;
  }
  db.pause_compaction();
  co_await check(db.settle());  // the slice under way
  co_return slices;
}

struct LevelsFixture : PartitionFixture {
  Table levels(const std::string& name) { return run(make_levels(*db, name)).value(); }
  void fill(const Table& table, std::uint64_t first, std::uint64_t count, std::size_t bytes = 50) {
    run(put_many(*db, table, first, count, bytes)).value();
    flush(false);
  }
  void read(const Table& table, std::uint64_t first, std::uint64_t count) {
    run(get_many(*db, table, first, count)).value();
  }
  TableLevels inside(const Table& table) { return run(look_inside(*db, table)).value(); }
  TableStats stats(const Table& table) { return db->table_stats(table).value(); }
  std::vector<SstableEntry> entries(const Table& table, std::uint64_t id, const SstableRange& range = {}) {
    return run(look_at(*db, table, id, range)).value();
  }
};

TEST_CASE("table report: what lookups met is counted for each table, and for all of them together", "[F08]") {
  LevelsFixture f;
  const Table a = f.levels("a");
  const Table b = f.levels("b");
  f.db->pause_compaction();
  for (std::uint64_t run = 0; run < 3; ++run) {
    f.run(put_many(*f.db, a, 0, 1, 50)).value();  // so that the ranges of all runs overlap
    f.fill(a, 1 + run * 500, 500);
  }
  f.fill(b, 0, 100);
  f.fill(f.levels("c"), 0, 1);  // the buffer flushed last answers for what is in it
  f.read(a, 0, 1501);
  f.read(a, 9000, 100);  // beyond every run: no filter is asked
  const TableStats of_a = f.stats(a);
  CHECK(of_a.gets == 1601);
  CHECK(of_a.lookups == 1601);
  CHECK(of_a.sstable_searches == 1501 + of_a.filter_false_positives);
  CHECK(of_a.filter_checks == of_a.sstable_searches + of_a.filter_negatives);
  CHECK(of_a.filter_negatives > 300);
  CHECK(of_a.filter_false_positives < 100);
  CHECK(of_a.read_amplification() < 1.1);
  CHECK(of_a.read_amplification() > 0.8);
  CHECK(f.stats(b).lookups == 0);
  CHECK(f.stats(b).filter_checks == 0);

  f.read(b, 0, 100);
  const TableStats of_b = f.stats(b);
  CHECK(of_b.lookups == 100);
  CHECK(of_b.sstable_searches == 100);
  CHECK(of_b.read_amplification() == 1);
  const Stats all = f.db->stats();
  CHECK(all.filter_checks == of_a.filter_checks + of_b.filter_checks);
  CHECK(all.filter_negatives == of_a.filter_negatives + of_b.filter_negatives);
  CHECK(all.filter_false_positives == of_a.filter_false_positives + of_b.filter_false_positives);

  f.fill(a, 100, 10);  // another version of the table: the counters go on
  CHECK(f.stats(a).lookups == 1601);
}

TEST_CASE("table report: a get that the write buffer answers is no lookup") {
  LevelsFixture f;
  const Table t = f.levels("t");
  f.fill(t, 0, 10);
  f.run(put_many(*f.db, t, 0, 10, 50)).value();
  f.read(t, 0, 10);
  CHECK(f.stats(t).gets == 10);
  CHECK(f.stats(t).lookups == 0);
}

TEST_CASE("table report: bytes put and bytes written give the write amplification", "[L07]") {
  LevelsFixture f;
  const Table t = f.levels("t");
  const Table tree = f.table("tree");
  f.db->pause_compaction();
  CHECK(f.stats(t).write_amplification() == 0);
  constexpr std::uint64_t kBytes = 1000 * (10 + 90);
  f.fill(t, 0, 1000, 90);
  f.fill(tree, 0, 1000, 90);
  const TableStats once = f.stats(t);
  CHECK(once.bytes_put == kBytes);
  CHECK(once.bytes_flushed == once.bytes);  // one run: every page that was written is there
  CHECK(once.content_bytes == kBytes);
  CHECK(once.space_amplification() == once.write_amplification());
  CHECK(once.space_amplification() > 1);
  CHECK(once.space_amplification() < 1.5);
  CHECK(f.stats(tree).bytes_put == kBytes);
  CHECK(f.stats(tree).bytes_flushed == f.stats(tree).bytes);
  CHECK(f.stats(tree).read_amplification() == f.stats(tree).height);
  CHECK(f.stats(tree).space_amplification() == 0);  // not known

  for (int round = 0; round < 6; ++round) f.fill(t, 0, 1000, 90);
  const TableStats before = f.stats(t);
  CHECK(before.runs == 7);
  CHECK(before.levels == 1);
  CHECK(before.compaction.bytes_written == 0);
  f.db->resume_compaction();
  f.run(settle_levels(*f.db)).value();
  const TableStats after = f.stats(t);
  CHECK(after.runs == 1);
  CHECK(after.entries == 1000);
  CHECK(after.bytes_put == 7 * kBytes);
  CHECK(after.bytes_flushed == before.bytes_flushed);
  CHECK(after.compaction.merges == 1);
  CHECK(after.compaction.slices >= 1);
  CHECK(after.compaction.entries_read == 1000);
  CHECK(!after.compaction.merging);
  CHECK(after.compaction.failure.empty());
  CHECK(after.compaction.bytes_written >= after.bytes - kPageBytes);
  CHECK(after.write_amplification() > before.write_amplification());
  CHECK(after.space_amplification() < 1.5);
  const Stats all = f.db->stats();
  CHECK(all.compactions == 1);
  CHECK(all.compaction_pages_written * kPageBytes == after.compaction.bytes_written);
  CHECK(f.stats(tree).compaction.bytes_written == 0);
}

TEST_CASE("table report: deletes and batches put bytes, too; a sorted load puts and writes them") {
  LevelsFixture f;
  const Table t = f.levels("t");
  WriteBatch batch;
  batch.put(t, "abc", "12345").del(t, "d");
  f.run(test::apply_batch(*f.db, batch)).value();
  CHECK(f.stats(t).bytes_put == 9);
  f.run(delete_one(*f.db, t, "xyz")).value();
  CHECK(f.stats(t).bytes_put == 12);
  {
    BulkLoad load = f.run(test::begin_load(*f.db)).value();
    f.run(test::add_to(load, "k", std::string(5000, 'v'))).value();
    f.run(test::finish_load(load)).value();
  }
  const TableStats loaded = f.stats(f.db->default_table());
  CHECK(loaded.bytes_put == 5001);
  CHECK(loaded.bytes_flushed == 3 * kPageBytes);  // a leaf, and two pages of the value
}

TEST_CASE("table report: the policy in use and its reason show, and change with what is done to the table", "[F20]") {
  LevelsFixture f;
  const Table t = f.levels("t");
  f.fill(t, 0, 100);
  const std::string_view at_first = f.stats(t).compaction.reason;
  CHECK(!at_first.empty());
  CHECK(f.stats(t).compaction.flush_runs == 8);
  for (int round = 0; round < 100; ++round) f.read(t, 0, 250);
  f.fill(t, 0, 10);  // whatever is committed wakes whoever chooses
  f.run(settle_levels(*f.db)).value();
  const TableCompaction reading = f.stats(t).compaction;
  CHECK(reading.flush_runs == 2);
  CHECK(reading.tier_runs == 1);
  CHECK(reading.reason != at_first);
  CHECK(reading.reason.find("reads") != std::string_view::npos);
  CHECK(f.stats(f.db->default_table()).compaction.reason.empty());
}

// ---- inside -------------------------------------------------------------------------------------------------------

TEST_CASE("table report: the sstables that are listed hold the table, run by run", "[F06][L04]") {
  LevelsFixture f;
  const Table t = f.levels("t");
  f.db->pause_compaction();
  f.fill(t, 0, 1500);
  f.run(delete_one(*f.db, t, "key1000005")).value();
  f.fill(t, 1000, 40, 2000);  // long values
  const TableLevels inside = f.inside(t);
  const TableStats stats = f.stats(t);
  REQUIRE(inside.sstables.size() == stats.sstables);
  REQUIRE(stats.runs == 2);
  std::uint64_t entries = 0;
  std::uint64_t tombstones = 0;
  std::uint64_t pages = inside.manifest_pages;
  std::uint64_t content_bytes = 0;
  std::set<std::uint64_t> ids;
  for (const SstableInfo& one : inside.sstables) {
    CAPTURE(one.id);
    CHECK(ids.insert(one.id).second);
    entries += one.entries;
    tombstones += one.tombstones;
    pages += one.pages();
    content_bytes += one.content_bytes;
    CHECK(one.level == 0);
    CHECK(!one.trimmed);
    CHECK(one.height >= 1);
    CHECK(one.filter_bits_per_key >= 16);  // level 0: few keys, and asked by every lookup
    std::uint64_t extent_pages = 0;
    for (const PageExtent& extent : one.extents) extent_pages += extent.pages;
    CHECK(extent_pages == one.node_pages + one.filter_pages);

    const std::vector<SstableEntry> all = f.entries(t, one.id, {.limit = 100'000});
    REQUIRE(all.size() == one.entries);
    CHECK(all.front().key == one.min_key);
    CHECK(all.back().key == one.max_key);
    std::uint64_t bytes = 0;
    for (const SstableEntry& entry : all) bytes += entry.key.size() + entry.value_bytes;
    CHECK(bytes == one.content_bytes);
  }
  CHECK(entries == stats.entries);
  CHECK(tombstones == 1);
  CHECK(stats.tombstones == 1);
  CHECK(pages == stats.pages);
  CHECK(content_bytes == stats.content_bytes);
  CHECK(inside.sstables.front().run > inside.sstables.back().run);  // the newest first
  const SstableEntry deleted = f.entries(t, inside.sstables.front().id, {.limit = 1}).front();
  CHECK(deleted.key == "key1000005");
  CHECK(deleted.kind == SstableEntryKind::tombstone);
  const SstableEntry last = f.entries(t, inside.sstables.front().id, {.reverse = true, .limit = 1}).front();
  CHECK(last.kind == SstableEntryKind::long_value);
  CHECK(last.value_bytes == 2000);
}

TEST_CASE("table report: the entries of an sstable come in portions, in both directions") {
  LevelsFixture f;
  const Table t = f.levels("t");
  f.fill(t, 0, 1000);
  const std::uint64_t id = f.inside(t).sstables.front().id;
  for (const bool reverse : {false, true}) {
    CAPTURE(reverse);
    std::vector<std::string> keys;
    std::string after;
    for (;;) {
      const std::vector<SstableEntry> some = f.entries(t, id, {.after = after, .reverse = reverse, .limit = 77});
      if (some.empty()) break;
      REQUIRE(some.size() <= 77);
      for (const SstableEntry& entry : some) keys.push_back(entry.key);
      after = some.back().key;
    }
    REQUIRE(keys.size() == 1000);
    if (reverse) std::reverse(keys.begin(), keys.end());
    CHECK(std::is_sorted(keys.begin(), keys.end()));
    CHECK(keys.front() == "key1000000");
    CHECK(keys.back() == "key1000999");
  }
}

TEST_CASE("table report: what a merge under way has trimmed off an sstable is not shown, in either direction") {
  LevelsFixture f;
  const Table t = f.levels("t");
  f.db->pause_compaction();
  for (std::uint64_t round = 0; round < 10; ++round) f.fill(t, round * 130, 12000, 100);
  f.db->resume_compaction();
  const std::uint64_t slices = f.run(pause_in_merge(*f.core, *f.db, t)).value();
  REQUIRE(slices > 0);
  REQUIRE(f.stats(t).compaction.merging);
  std::size_t trimmed = 0;
  std::set<std::string> keys;
  for (const SstableInfo& one : f.inside(t).sstables) {
    const std::vector<SstableEntry> forward = f.entries(t, one.id, {.limit = 100'000});
    std::vector<SstableEntry> reverse = f.entries(t, one.id, {.reverse = true, .limit = 100'000});
    std::reverse(reverse.begin(), reverse.end());
    REQUIRE(forward.size() == reverse.size());
    for (std::size_t i = 0; i < forward.size(); ++i) CHECK(forward[i].key == reverse[i].key);
    for (const SstableEntry& entry : forward) keys.insert(entry.key);
    REQUIRE(!forward.empty());
    CHECK(forward.front().key >= one.min_key);
    CHECK(forward.back().key == one.max_key);
    CHECK((forward.size() == one.entries) == !one.trimmed);
    trimmed += one.trimmed ? 1 : 0;
    if (!one.trimmed) continue;
    const std::vector<SstableEntry> from_below = f.entries(t, one.id, {.after = "a", .limit = 1});
    CHECK(from_below.front().key == forward.front().key);
  }
  CHECK(trimmed > 0);
  CHECK(keys.size() == 12000 + 9 * 130);
}

// Every one of these programs ended before the keeper had begun a merge.
TEST_CASE("table report: programs that write a little and end leave no more runs than flushes would wait for",
          "[F11]") {
  LevelsFixture f;
  f.levels("t");
  std::size_t most = 0;
  for (std::uint64_t program = 0; program < 60; ++program) {
    const Table t = f.levels("t");
    f.fill(t, program * 7, 20);
    f.reopen();
    std::size_t runs = 0;
    for (const SstableInfo& one : f.inside(f.levels("t")).sstables) runs += one.level == 0 ? 1u : 0u;
    most = std::max(most, runs);
  }
  CHECK(most <= 8 * 5 / 2 + 1);
  CHECK(most > 8);
}

TEST_CASE("table report: trees, dropped tables and sstables that are not there are refused") {
  LevelsFixture f;
  const Table t = f.levels("t");
  const Table gone = f.levels("gone");
  CHECK(f.inside(t).sstables.empty());
  CHECK(f.stats(t).space_amplification() == 0);
  CHECK(f.run(look_at(*f.db, t, 1, {})).code() == Errc::not_found);
  const Result<TableLevels> of_tree = f.run(look_inside(*f.db, f.db->default_table()));
  REQUIRE(of_tree.code() == Errc::invalid_argument);
  CHECK(of_tree.error().message().find("is a tree") != std::string_view::npos);
  CHECK(!of_tree.error().hint().empty());
  CHECK(f.run(look_at(*f.db, f.db->default_table(), 1, {})).code() == Errc::invalid_argument);
  f.fill(t, 0, 10);
  const std::string too_long(kKeyBytesMax + 1, 'k');
  CHECK(f.run(look_at(*f.db, t, f.inside(t).sstables.front().id, {.after = too_long})).code() ==
        Errc::invalid_argument);
  f.run(test::drop_table(*f.db, "gone")).value();
  CHECK(f.run(look_inside(*f.db, gone)).code() == Errc::not_found);
  CHECK(f.run(look_at(*f.db, gone, 1, {})).code() == Errc::not_found);
}

TEST_CASE("table report: a level store counts no entries before somebody looks into it, then the right ones") {
  LevelsFixture f;
  const Table t = f.levels("t");
  f.fill(t, 0, 2000);
  f.run(test::close_partition(*f.db)).value();
  f.db.reset();
  Options options = PartitionFixture::kOptions;
  options.read_only = true;  // nothing in the background that looks first
  f.db.emplace(f.run(test::open_partition(*f.core, options)).value());
  const Table again = f.run(test::open_table(*f.db, "t")).value();
  CHECK(!f.stats(again).loaded);
  CHECK(f.stats(again).entries == 0);
  CHECK(f.stats(again).pages > 20);
  CHECK(f.db->stats().entries == 0);
  CHECK(f.inside(again).sstables.size() == 1);
  CHECK(f.stats(again).loaded);
  CHECK(f.stats(again).entries == 2000);
  CHECK(f.stats(again).compaction.flush_runs == 8);
  CHECK(f.stats(again).compaction.reason.find("read-only") != std::string_view::npos);
  CHECK(f.db->stats().entries == 2000);
  for (const TableInfo& info : f.db->tables()) CHECK(info.entries == (info.table == again ? 2000 : 0));
}

}  // namespace
}  // namespace cambium
