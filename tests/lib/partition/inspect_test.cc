// SPDX-License-Identifier: MIT OR Apache-2.0
#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

#include "lib/partition/partition_fixture.h"
#include "support/page_forger.h"
#include "support/sleep.h"

namespace cambium {
namespace {

using test::PageForger;
using test::PartitionFixture;

constexpr const char* kFile = "data.cambium";

Task<Status> check_into(Partition& db, CheckReport& report) {
  Status whole = co_await db.check(report);
  co_return whole;
}

std::string key_of(int i) { return "key " + std::to_string(100'000 + i); }

void fill(PartitionFixture& f, int keys) {
  for (int i = 0; i < keys; ++i) f.put(key_of(i), std::string(i % 100 == 50 ? 9000 : 120, 'v'));
  f.flush(false);  // trimming would leave copies of pages behind
}

// Leaves of the table, none of them the first or the last below its branch. Those of a level store are whatever leaves
// of such keys there are, as long as nothing was merged; of a tree there are older versions.
std::vector<std::uint64_t> inner_leaves(PartitionFixture& f) {
  std::vector<std::uint64_t> leaves;
  PageForger forger(f.disk, kFile);
  if (f.kind == TableKind::tree) {
    for (std::size_t leaf = 1; leaf < 8; ++leaf) leaves.push_back(forger.target(forger.path_to({leaf})).page);
    return leaves;
  }
  const auto has_keys = [&](std::uint64_t page) {
    if (page >= forger.file_pages()) return false;
    const std::string bytes = forger.read(page);
    if (format::header_of(bytes.data()).type != format::PageType::leaf) return false;
    char key[kKeyBytesMax + node::NodeView::kKeySlack];
    return Bytes(key, node::NodeView(bytes.data()).leaf_key(0, key)).view().substr(0, 4) == "key ";
  };
  for (std::uint64_t page = 9; page < forger.file_pages() && leaves.size() < 8; ++page) {
    if (has_keys(page - 1) && has_keys(page) && has_keys(page + 1)) leaves.push_back(page);
  }
  return leaves;
}

TEST_CASE("check: damage does not stop it; every damaged place is listed with page, table, keys and reason") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  f.db->pause_compaction();
  fill(f, 3000);
  const std::vector<std::uint64_t> leaves_there = inner_leaves(f);
  const std::set<std::uint64_t> broken = {leaves_there[0], leaves_there[3], leaves_there[6]};
  // A page of a long value below no broken leaf: the reference stays whole.
  const std::string text = f.disk.peek(kFile, 0, f.disk.file_size(kFile));
  for (std::uint64_t page = text.size() / kPageBytes - 1; page >= 8; --page) {
    if (text.compare(page * kPageBytes, kPageBytes, std::string(kPageBytes, 'v')) != 0) continue;
    f.disk.flip_bit(kFile, page * kPageBytes + 77, 3);
    break;
  }
  for (const std::uint64_t page : broken) f.disk.flip_bit(kFile, page * kPageBytes + 2000, 1);

  CheckReport report;
  const Status whole = f.run(check_into(*f.db, report));
  REQUIRE(whole.code() == Errc::corruption);
  CHECK(std::string(whole.error().message()).find("3 more damaged places") != std::string::npos);
  CHECK_FALSE(report.whole());
  CHECK(report.damaged_places == 4);
  CHECK(report.entries == 3000);
  CHECK(report.tables == (kind == TableKind::tree ? 1 : 2));
  REQUIRE(report.damages.size() == 4);
  unsigned leaves = 0;
  for (const Damage& damage : report.damages) {
    CHECK(damage.table == test::table_name_of(kind));
    CHECK(damage.reason.find(kFile) != std::string::npos);
    CHECK(damage.reason.find("checksum") != std::string::npos);
    CHECK(damage.from < damage.to);
    if (broken.contains(damage.page)) {
      ++leaves;
      CHECK(damage.from.substr(0, 4) == "key ");
    } else {
      CHECK(f.model.at(damage.from).size() == 9000);  // the range of one key
      CHECK(damage.to == damage.from + '\0');
    }
  }
  CHECK(leaves == 3);
}

TEST_CASE("check: it looks at the device, not at what the cache still holds") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  fill(f, 300);
  CHECK(f.run(test::check_partition(*f.db)));
  const std::uint64_t leaf = inner_leaves(f).front();
  f.require_contents(f.model);  // everything is cached
  f.disk.flip_bit(kFile, leaf * kPageBytes + 3000, 0);
  f.require_contents(f.model);
  CHECK(f.run(test::check_partition(*f.db)).code() == Errc::corruption);
}

TEST_CASE("check: a damaged bitmap or group table of the space map is found while the partition is open") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  fill(f, 300);
  PageForger forger(f.disk, kFile);
  const bool table = GENERATE(true, false);
  const std::uint64_t table_at = 6 + forger.record().tables[0].slot;
  const std::string page = forger.read(table_at);
  const std::uint64_t bitmap_at = 4 + reinterpret_cast<const format::GroupTablePage*>(page.data())->groups[0].slot;
  f.disk.flip_bit(kFile, (table ? table_at : bitmap_at) * kPageBytes + 1000, 4);
  CheckReport report;
  CHECK(f.run(check_into(*f.db, report)).code() == Errc::corruption);
  REQUIRE(report.damages.size() == 1);
  CHECK(report.damages[0].reason.find("space map page " + std::to_string(table ? table_at : bitmap_at)) == 0);
}

Task<void> keep_writing(Partition& db, const Table& table, const bool& stop, std::uint64_t& writes, Status& outcome) {
  for (int round = 0; !stop && outcome; ++round) {
    for (int i = 0; i < 400 && outcome; ++i) {
      outcome = co_await db.put(table, key_of((round * 400 + i * 7) % 4000),
                                std::string(150, static_cast<char>('a' + round % 26)));
      ++writes;
    }
    if (outcome) outcome = co_await db.flush();
  }
}
Task<void> check_and_stop(Partition& db, bool& stop, CheckReport& report, Status& whole) {
  whole = co_await db.check(report);
  stop = true;
}

TEST_CASE("check: flushes go on beside it, and what they free and reuse is no false alarm") {
  CAMBIUM_BOTH_KINDS(kind);
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  CAPTURE(seed);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
  {
    std::optional<Partition> db;
    db.emplace(core->run(test::open_partition(*core, PartitionFixture::kOptions)).value());
    const Table table = core->run(test::open_of_kind(*db, kind)).value();
    const std::uint64_t background = core->spawned();  // that stays until close()
    bool stop = true;
    std::uint64_t writes = 0;
    Status writing;
    stop = false;
    for (int round = 0; round < 3; ++round) {
      bool done = false;
      CheckReport report;
      Status whole;
      const std::uint64_t commits = db->stats().commits;
      stop = false;
      for (int i = 0; i < 4000 && round == 0; ++i) {
        core->run(test::apply_put(*db, table, key_of(i), std::string(150, 'x'))).value();
      }
      core->run(test::flush_partition(*db, {.trim = false})).value();
      core->spawn(keep_writing(*db, table, stop, writes, writing));
      core->run(check_and_stop(*db, stop, report, whole));
      done = stop;
      CHECK(done);
      INFO(std::string(whole ? "" : whole.error().message()));
      REQUIRE(whole);
      CHECK(
          (kind == TableKind::tree ? report.entries == 4000 : report.entries >= 4000));  // of a key in several sstables
      CHECK(db->stats().commits > commits + 2);
      core->run(test::sleep_a_while(*core));
      REQUIRE(writing);
    }
    while (core->spawned() > background) core->run(test::sleep_a_while(*core));
    core->run(test::close_partition(*db)).value();
  }
  core->drain();
}

}  // namespace
}  // namespace cambium
