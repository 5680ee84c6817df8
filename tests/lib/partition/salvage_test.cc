// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/salvage.h>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include "lib/partition/partition_fixture.h"
#include "support/kinds.h"
#include "support/page_forger.h"

namespace cambium {
namespace {

using test::Model;
using test::PageForger;

constexpr const char* kFile = "damaged.cambium";
constexpr const char* kOut = "rescued.cambium";
constexpr std::uint64_t kMemory = 2 * MiB;

std::string key_of(int i) { return "key " + std::to_string(100'000 + i); }
std::string value_of(int i) { return std::to_string(i) + std::string(i % 100 == 50 ? 9000 : 120, 'v'); }

Task<Result<SalvageReport>> run_salvage(Core& core, std::uint64_t memory_bytes) {
  Result<SalvageReport> report = co_await salvage(core, kFile, kOut, memory_bytes);
  co_return report;
}

Task<Status> fill(Core& core, TableKind kind, int keys) {
  Options options;
  options.path = kFile;
  options.memory_bytes = kMemory;
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(test::table_of(db, kind));
  for (int i = 0; i < keys; ++i) {
    co_await check(db.put(table, key_of(i), value_of(i)));
  }
  Status closed = co_await db.close();
  co_return closed;
}

Task<Status> read_out(Core& core, TableKind kind, Model& out) {
  Options options;
  options.path = kOut;
  options.memory_bytes = kMemory;
  options.mode = OpenMode::open;
  options.read_only = true;
  Partition db = co_await check(Partition::open(core, options));
  test::Pairs pairs;
  {
    const Table table = co_await check(test::table_of(db, kind, TableMode::open));
    if (table.kind() != kind) co_return Error(Errc::corruption, "the table is of another kind now");
    Scan scan = db.scan(table);
    co_await check(test::collect_scan(scan, pairs));
  }
  co_await check(db.check());
  out = Model(pairs.begin(), pairs.end());
  Status closed = co_await db.close();
  co_return closed;
}

class Damaged {
 public:
  explicit Damaged(int keys = 3000, TableKind its_kind = TableKind::tree)
      : core(disk.make_core({.seed = 1, .eager = true})), kind(its_kind) {
    core->run(fill(*core, kind, keys)).value();
    for (int i = 0; i < keys; ++i) whole[key_of(i)] = value_of(i);
  }
  PageForger forger() { return PageForger(disk, kFile); }
  void flip(std::uint64_t page) { disk.flip_bit(kFile, page * kPageBytes + 1500, 5); }
  // Salvages; the damaged file stays as it is, and everything copied is right.
  SalvageReport salvage_all() {
    const std::string before = disk.peek(kFile, 0, disk.file_size(kFile));
    SalvageReport report = core->run(run_salvage(*core, kMemory)).value();
    CHECK(disk.peek(kFile, 0, disk.file_size(kFile)) == before);
    out.clear();
    core->run(read_out(*core, kind, out)).value();
    CHECK(out.size() == report.entries);
    for (const auto& [key, value] : out) {
      const auto it = whole.find(key);
      REQUIRE(it != whole.end());
      REQUIRE(it->second == value);
    }
    // What is missing is said to be.
    for (const auto& [key, value] : whole) {
      if (out.contains(key)) continue;
      bool said = report.commit_lost;
      for (const LostRange& range : report.lost) {
        said = said || (range.from <= key && (range.to.empty() || key < range.to));
      }
      REQUIRE(said);
    }
    return report;
  }

  SimDisk disk;
  std::unique_ptr<Core> core;
  TableKind kind;
  Model whole;
  Model out;
};

TEST_CASE("salvage: a whole file is copied whole") {
  CAMBIUM_BOTH_KINDS(kind);
  Damaged f(3000, kind);
  const SalvageReport report = f.salvage_all();
  CHECK(report.complete());
  CHECK(report.lost.empty());
  CHECK(report.pages_searched == 0);
  CHECK(f.out == f.whole);
}

TEST_CASE("salvage: an empty partition gives an empty one") {
  Damaged f(0);
  const SalvageReport report = f.salvage_all();
  CHECK(report.complete());
  CHECK(report.entries == 0);
}

TEST_CASE("salvage: it never writes over an existing file, and refuses what is no partition") {
  Damaged f(100);
  f.disk.create(kOut);
  f.disk.truncate(kOut, 8192);
  f.disk.poke(kOut, 5000, "somebody's");
  CHECK(f.core->run(run_salvage(*f.core, kMemory)).code() == Errc::exists);
  CHECK(f.disk.file_size(kOut) == 8192);

  Damaged foreign(10);
  foreign.disk.zero(kFile, 0, foreign.disk.file_size(kFile));
  CHECK(foreign.core->run(run_salvage(*foreign.core, kMemory)).code() == Errc::unsupported);
  CHECK_FALSE(foreign.disk.exists(kOut));
}

TEST_CASE("salvage: of a damaged leaf, exactly its keys are lost and named") {
  Damaged f;
  PageForger forger = f.forger();
  const format::ChildPointer leaf = forger.target(forger.path_to({4}));
  f.flip(leaf.page);
  const SalvageReport report = f.salvage_all();
  CHECK_FALSE(report.complete());
  REQUIRE(report.lost.size() == 1);
  CHECK(report.lost[0].table == "default");
  CHECK(report.lost[0].entries == leaf.entries);
  CHECK(report.lost[0].reason.find("page " + std::to_string(leaf.page) + " of damaged.cambium") == 0);
  CHECK(f.out.size() == f.whole.size() - leaf.entries + report.lost[0].found_again);
  CHECK(report.pages_searched != 0);
}

TEST_CASE("salvage: of a damaged long value, that one entry is lost") {
  CAMBIUM_BOTH_KINDS(kind);
  Damaged f(3000, kind);
  const std::string text = f.disk.peek(kFile, 0, f.disk.file_size(kFile));
  std::uint64_t page = 8;
  while (text.compare(page * kPageBytes, kPageBytes, std::string(kPageBytes, 'v')) != 0) ++page;
  f.flip(page);
  const SalvageReport report = f.salvage_all();
  REQUIRE(report.lost.size() == 1);
  CHECK(report.lost[0].entries == 1);
  CHECK(f.out.size() == f.whole.size() - 1);
  CHECK_FALSE(f.out.contains(report.lost[0].from));
}

// Any page of a level store: what is lost is named, filters hold nothing that could be.
TEST_CASE("salvage: of a level store with any one page damaged, the rest is copied, and what is not is named") {
  Damaged f(1500, TableKind::levels);
  const std::uint64_t pages = f.disk.file_size(kFile) / kPageBytes;
  const SimDisk whole = f.disk.clone();
  int complete = 0;
  int partial = 0;
  const std::uint64_t catalog = f.forger().record().catalog.page;  // without it nobody knows of the table
  for (std::uint64_t page = 8; page < pages; ++page) {
    if (page == catalog) continue;
    CAPTURE(page);
    Damaged one(0, TableKind::levels);
    one.core.reset();
    one.disk = whole.clone();
    one.core = one.disk.make_core({.seed = 1, .eager = true});
    one.whole = f.whole;
    one.flip(page);
    const SalvageReport report = one.salvage_all();
    ++(report.complete() ? complete : partial);
    if (report.complete()) REQUIRE(one.out == one.whole);
  }
  CHECK(complete > 5);
  CHECK(partial > 30);
}

TEST_CASE("salvage: leaves below a damaged branch, the root included, are found again as orphans") {
  Damaged f(20'000);
  PageForger forger = f.forger();
  const bool root = GENERATE(true, false);
  const PageForger::Path path = root ? forger.path_to() : forger.path_to({1});
  f.flip(forger.target(path).page);
  const SalvageReport report = f.salvage_all();
  REQUIRE(report.lost.size() == 1);
  CHECK(report.lost[0].made_up_for());
  CHECK(report.orphan_entries == report.lost[0].entries);
  CHECK(report.complete());
  CHECK(f.out == f.whole);
}

Task<Status> rewrite(Core& core, Model& model) {
  Options options;
  options.path = kFile;
  options.memory_bytes = kMemory;
  Partition db = co_await check(Partition::open(core, options));
  for (int i = 1000; i < 1400; ++i) {
    const std::string value = "new " + value_of(i);
    if (i % 10 == 0) {
      co_await check(db.del(key_of(i)));
      model.erase(key_of(i));
    } else {
      co_await check(db.put(key_of(i), value));
      model[key_of(i)] = value;
    }
  }
  Status closed = co_await db.close();
  co_return closed;
}

// Old versions of leaves lie about in free pages: they neither replace newer ones nor bring deleted keys back.
TEST_CASE("salvage: of several orphans the newest speaks for its whole range of keys") {
  Damaged f(20'000);
  f.core->run(rewrite(*f.core, f.whole)).value();
  PageForger forger = f.forger();
  f.flip(forger.target(forger.path_to()).page);
  const SalvageReport report = f.salvage_all();
  CHECK(report.complete());
  CHECK(f.out == f.whole);
}

TEST_CASE("salvage: with the newest superblock gone it starts from the one before, and says so") {
  Damaged f;
  PageForger forger = f.forger();
  const std::uint64_t newest = forger.record().page.page_id / 2 * 2;
  f.flip(newest);
  f.flip(newest + 1);
  const SalvageReport report = f.salvage_all();
  CHECK(report.commit_lost);
  CHECK(report.lost.empty());  // the version before is whole
  CHECK_FALSE(report.complete());
  CHECK(f.out.size() > 100);
}

TEST_CASE("salvage: one bad copy of each superblock loses nothing") {
  CAMBIUM_BOTH_KINDS(kind);
  Damaged f(3000, kind);
  f.flip(0);
  f.flip(3);
  CHECK(f.salvage_all().complete());
  CHECK(f.out == f.whole);
}

TEST_CASE("salvage: with both superblocks, or the catalog, gone, the leaves are found by themselves") {
  Damaged f;
  const bool catalog = GENERATE(true, false);
  CAPTURE(catalog);
  if (catalog) {
    PageForger forger = f.forger();
    f.flip(forger.record().catalog.page);
    // The superblock before may name another catalog: both are made to name this one.
    forger.rewrite_superblock([](format::Superblock&) {});
  } else {
    for (std::uint64_t page = 0; page < 4; ++page) f.flip(page);
  }
  const SalvageReport report = f.salvage_all();
  CHECK_FALSE(report.complete());
  REQUIRE(report.lost.size() == 1);
  CHECK(report.lost[0].found_again == f.whole.size());
  CHECK(f.out == f.whole);
}

TEST_CASE("salvage: a file that was cut short gives what is left of it") {
  Damaged f;
  f.disk.truncate(kFile, f.disk.file_size(kFile) / 2 / kPageBytes * kPageBytes);
  const SalvageReport report = f.salvage_all();
  CHECK_FALSE(report.complete());
  CHECK(report.entries > 100);
}

}  // namespace
}  // namespace cambium
