// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads while the flusher is behind: one key is in the active buffer, in two frozen ones and in the table, and the
// newest of them answers.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>

#include "support/effort.h"
#include "support/kinds.h"

namespace cambium::test {
namespace {

constexpr Options kSmall{.path = "frozen.cambium", .memory_bytes = 1 * MiB, .cache_bytes = 128 * KiB};

Task<Status> ask(Partition& db, const Table& table, const Snapshot* snapshot, std::string& story) {
  for (const char* const key : {"a", "b", "c", "d", "e", "f"}) {
    const Value value = co_await check(db.get(table, key, {.snapshot = snapshot}));
    story += value ? value.view() : "-";
    story += ' ';
  }
  story += "| ";
  Scan scan = db.scan(table, {}, {.snapshot = snapshot});
  for (;;) {
    const Entry* const entry = co_await check(scan.next());
    if (entry == nullptr) break;
    story += entry->value.view();
    story += ' ';
  }
  co_return Status();
}

// a to f go to the table; then all but the first of them to a buffer, all but the first two to the next, and so on.
// "e" and "f" are deleted on the way, "f" comes back.
Task<Status> read_behind_the_flusher(Core& core, SimDisk& disk, TableKind kind, std::string& story) {
  Partition db = co_await check(Partition::open(core, kSmall));
  const Table table = co_await check(table_of(db, kind));
  for (const char* const key : {"a", "b", "c", "d", "e", "f"}) {
    co_await check(db.put(table, key, "table"));
  }
  co_await check(db.flush());
  disk.plan({.action = FaultAction::delay, .argument = 1'000'000, .kind = rt::IoKind::write, .sticky = true});
  for (const char* const key : {"b", "c", "d", "e"}) {
    co_await check(db.put(table, key, "old"));
  }
  co_await check(db.del(table, "f"));
  Op<void> first = db.flush();  // asked for, and not waited for
  for (const char* const key : {"c", "d", "f"}) {
    co_await check(db.put(table, key, "young"));
  }
  co_await check(db.del(table, "e"));
  Op<void> second = db.flush();
  {
    const Snapshot before = db.snapshot();
    co_await check(db.put(table, "d", "active"));
    co_await check(ask(db, table, nullptr, story));
    story += "/ ";
    co_await check(ask(db, table, &before, story));
    if (db.stats().flushes != 1)
      co_return Error(Errc::invalid_argument, "the flusher is not behind: nothing is tested");
    disk.clear_faults();
    co_await check(std::move(first));
    co_await check(std::move(second));
    story += "/ ";
    co_await check(ask(db, table, nullptr, story));
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("reads: of a key in the active buffer, in two frozen ones and in the table the newest answers",
          "[F02][F03][S19]") {
  add_effort();
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 4});
  std::string story;
  const Status done = core->run(read_behind_the_flusher(*core, disk, kind, story));
  INFO(done.error().message());
  REQUIRE(done);
  const std::string newest = "table old young active - young | table old young active young ";
  CHECK(story == newest + "/ table old young young - young | table old young young young / " + newest);
}

}  // namespace
}  // namespace cambium::test
