// SPDX-License-Identifier: MIT OR Apache-2.0
// Ten thousand tables in one partition: what making, opening, writing and dropping them costs.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr std::size_t kTables = 10'000;
constexpr Options kOptions{.path = "many.cambium", .memory_bytes = 16 * MiB};

struct Costs {
  std::uint64_t commits_made = 0;
  std::uint64_t buffer_bytes = 0;  // with all tables there, and nothing written
  std::uint64_t pages_read_at_open = 0;
  std::uint64_t catalog_pages = 0;
  std::uint64_t commits_dropped = 0;
  std::uint64_t used_before = 0;
  std::uint64_t used_after = 0;
};

Task<Status> collect(std::vector<Op<void>>& ops) {
  for (Op<void>& op : ops) {
    Op<void>& one = op;
    co_await check(std::move(one));
  }
  ops.clear();
  co_return Status();
}

Task<Status> make(Core& core, Costs& costs) {
  Partition db = co_await check(Partition::open(core, kOptions));
  costs.used_before = db.stats().used_pages;
  const std::uint64_t commits = db.stats().commits;
  std::vector<Op<Table>> ops;
  for (std::size_t i = 0; i < kTables; ++i) ops.push_back(db.table(rt::str("table ", i)));
  std::vector<Table> tables;
  for (Op<Table>& op : ops) {
    Op<Table>& one = op;
    const Table table = co_await check(std::move(one));
    tables.push_back(table);
  }
  costs.commits_made = db.stats().commits - commits;
  costs.buffer_bytes = db.stats().buffer_bytes;
  costs.catalog_pages = db.stats().used_pages - costs.used_before;
  for (std::size_t i = 0; i < kTables; ++i) {
    co_await check(db.put(tables[i], "key", rt::str("of table ", i)));
  }
  Status closed = co_await db.close();
  co_return closed;
}

Task<Status> use(Core& core, Costs& costs) {
  const std::uint64_t read = core.stats().bytes_read;
  Partition db = co_await check(Partition::open(core, kOptions));
  costs.pages_read_at_open = (core.stats().bytes_read - read) / kPageBytes;
  for (std::size_t i = 0; i < kTables; i += 7) {
    const Table table = co_await check(db.table(rt::str("table ", i), {}, TableMode::open));
    const Value value = co_await check(db.get(table, "key"));
    if (value.view() != rt::str("of table ", i)) co_return Error(Errc::corruption, rt::str("table ", i));
  }
  if (db.stats().entries != kTables) co_return Error(Errc::corruption, "entries are missing");
  co_await check(db.check());
  const std::uint64_t commits = db.stats().commits;
  std::vector<Op<void>> ops;
  for (std::size_t i = 0; i < kTables; ++i) ops.push_back(db.drop_table(rt::str("table ", i)));
  co_await check(collect(ops));
  co_await core.sleep_ns(60'000'000'000);
  costs.commits_dropped = db.stats().commits - commits;
  costs.used_after = db.stats().used_pages;
  if (db.tables().size() != 1) co_return Error(Errc::corruption, "tables are left");
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

void run(Core& core, Task<Status> workload) {
  const Status done = core.run(std::move(workload));
  core.drain();
  INFO(done.error().message());
  REQUIRE(done);
}

TEST_CASE("many tables: ten thousand share commits when made or dropped together, and opening reads their rows alone") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(30), .eager = true});
  Costs costs;
  run(*core, make(*core, costs));
  run(*core, use(*core, costs));
  CAPTURE(costs.catalog_pages, costs.commits_dropped);
  CHECK(costs.commits_made <= 12);  // of a thousand each
  CHECK(costs.buffer_bytes == 0);
  CHECK(costs.catalog_pages < 300);
  CHECK(costs.pages_read_at_open < costs.catalog_pages + 40);
  CHECK(costs.commits_dropped < 250);
  CHECK(costs.used_after <= costs.used_before + 8);
}

}  // namespace
}  // namespace cambium::test
