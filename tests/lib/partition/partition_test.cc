// SPDX-License-Identifier: MIT OR Apache-2.0
// What happens to a partition that is dropped without close().
#include <cambium/partition.h>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include "lib/partition/partition_fixture.h"
#include "runtime/base/death.h"
#include "support/kinds.h"

namespace cambium {
namespace {

using test::PartitionFixture;

std::string key_of(unsigned i) { return "key" + std::to_string(100'000 + i); }

Task<Status> fill(Partition& db, TableKind kind, unsigned count) {
  const Table table = co_await check(test::table_of(db, kind));
  const std::string value(100, 'v');
  for (unsigned i = 0; i < count; ++i) {
    co_await check(db.put(table, key_of(i), value));
  }
  co_return Status();
}

Task<Status> fill_and_close(Core& core, TableKind kind) {
  Partition db = co_await check(Partition::open(core, PartitionFixture::kOptions));
  co_await check(fill(db, kind, 5000));
  Status closed = co_await db.close();
  co_return closed;
}

// Nobody waits for the flush, the check and the get: they end by themselves.
Task<Status> drop_at_work(Core& core, TableKind kind, bool read_only) {
  Options options = PartitionFixture::kOptions;
  options.read_only = read_only;
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(test::table_of(db, kind));
  static_cast<void>(db.get(table, key_of(4000)));
  static_cast<void>(db.check());
  if (read_only) co_return Status();
  co_await check(fill(db, kind, 3000));
  static_cast<void>(db.flush());
  co_return Status();
}

TEST_CASE("partition: dropped at work it winds down while the core is drained, and can be opened again") {
  CAMBIUM_BOTH_KINDS(kind);
  const bool read_only = GENERATE(false, true);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(read_only, seed);
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
    REQUIRE(core->run(fill_and_close(*core, kind)));
    REQUIRE(core->run(drop_at_work(*core, kind, read_only)));
    core->drain();
    CHECK(core->idle());
    CHECK(core->spawned() == 0);
    CHECK(core->run(fill_and_close(*core, kind)));  // the lock is free, too
  }
}

TEST_CASE("partition: a core that goes before a dropped partition has wound down says what to do") {
  const rt::testing::Death death = rt::testing::run_in_child([] {
    constexpr TableKind kind = TableKind::tree;
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = 1});
    static_cast<void>(core->run(fill_and_close(*core, kind)));
    static_cast<void>(core->run(drop_at_work(*core, kind, false)));
  });
  CHECK(death.at_all);
  CHECK(death.output.find("a core is destroyed while") != std::string::npos);
  CHECK(death.output.find("close()") != std::string::npos);
  CHECK(death.output.find("drain()") != std::string::npos);
}

}  // namespace
}  // namespace cambium
