// SPDX-License-Identifier: MIT OR Apache-2.0
// Power cuts while tables are made, written together, renamed, dropped and opened again, without a log and with one in
// each mode: a table is there or it is not, a batch is in all of its tables or in none, whatever was acknowledged
// stays. Trees and level stores stand side by side.
//
// CAMBIUM_CRASH_STATES sets how many crash images are checked over all workloads; CAMBIUM_SEED another schedule.
#include <catch2/catch.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "support/crash_explorer.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

std::string value_of(std::uint64_t i, std::uint64_t round) {
  return rt::str(i, " in round ", round, std::string(40 + i * 37 % 300, 'v'));
}

constexpr TableKind kind_of(std::uint64_t i) { return i % 2 == 0 ? TableKind::levels : TableKind::tree; }

// A batch over all of them, with different keys in each.
Task<Status> write_together(TracedPartition& db, const std::vector<Table>& tables, std::uint64_t round) {
  WriteBatch batch;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    for (std::uint64_t i = 0; i < 3; ++i) batch.put(tables[t], crash_key(round * 5 + i + t), value_of(i + t, round));
    batch.del(tables[t], crash_key(round * 3 + t));
  }
  batch.put(rt::str("batch ", round), "of the default table");
  Status done = co_await db.write(batch);
  co_return done;
}

Task<Status> make_and_write(Core& core, TracedPartition& db) {
  std::vector<Table> tables;
  for (std::uint64_t round = 0; round < 12; ++round) {
    if (round % 3 == 0) {
      const Table made = co_await check(db.table(rt::str("table ", round), {.kind = kind_of(round / 3)}));
      tables.push_back(made);
    }
    co_await check(write_together(db, tables, round));
    for (std::uint64_t i = 0; i < 5; ++i) {
      const Table& table = tables[i % tables.size()];
      co_await check(db.put(table, crash_key(round + i), value_of(i, round)));
    }
    if (round % 4 == 3) {
      co_await check(db.flush());
    }
    if (round % 5 == 4) co_await core.sleep_ns(12'000'000);  // a log in batches is written
  }
  co_return Status();
}

Task<Status> two_tables(Core&, TracedPartition& db) {
  const Table live = co_await check(db.table("live", {.kind = TableKind::levels}));
  const Table other = co_await check(db.table("other"));
  for (std::uint64_t i = 0; i < 60; ++i) {
    co_await check(db.put(i % 2 == 0 ? live : other, crash_key(i), value_of(i, 0)));
  }
  co_return Status();
}

// A new version of a table is filled under a name of its own, then takes the place of the old one.
Task<Status> rename_into_place(Core&, TracedPartition& db) {
  for (std::uint64_t round = 1; round <= 4; ++round) {
    const Table fresh = co_await check(db.table("fresh", {.kind = kind_of(round)}));
    for (std::uint64_t i = 0; i < 15; ++i) {
      co_await check(db.put(fresh, crash_key(i), value_of(i, round)));
    }
    co_await check(db.rename_table("live", rt::str("old ", round)));
    co_await check(db.rename_table("fresh", "live"));
    co_await check(db.put(fresh, "after", rt::str("round ", round)));
    if (round % 2 == 0) {
      co_await check(db.flush());
    }
  }
  co_return Status();
}

Task<Status> a_long_table(Core&, TracedPartition& db) {
  const Table big = co_await check(db.table("long"));
  const Table other = co_await check(db.table("other"));
  for (std::uint64_t i = 0; i < 500; ++i) {
    co_await check(db.put(big, crash_key(i), std::string(i % 100 == 0 ? 6000 : 900, 'l')));
    if (i % 10 == 0) {
      co_await check(db.put(other, crash_key(i), value_of(i, 0)));
    }
  }
  co_return Status();
}

// Freed in several rounds, beside writes; a name that is dropped is given again, and a snapshot keeps a table for a
// while.
Task<Status> drop_and_go_on(Core& core, TracedPartition& db) {
  const Table other = co_await check(db.table("other"));
  for (std::uint64_t i = 0; i < 20; ++i) {
    co_await check(db.put(other, crash_key(i), value_of(i, 1)));
  }
  co_await check(db.drop_table("long"));
  const Table again = co_await check(db.table("long", {.kind = TableKind::levels}));
  for (std::uint64_t i = 0; i < 10; ++i) {
    co_await check(db.put(again, crash_key(i), value_of(i, 2)));
  }
  co_await core.sleep_ns(50'000'000);
  co_await check(db.flush());
  {
    const Snapshot before = db.db().snapshot();
    co_await check(db.put(again, "just before", "the drop"));
    co_await check(db.drop_table("long"));
    co_await check(db.put(other, "while", "the snapshot lives"));
    co_await check(db.flush());
  }
  const Table empty = co_await check(db.table("empty"));
  co_await check(db.drop_table("empty"));
  co_await check(db.put(other, "last", "one"));
  co_await check(db.flush());
  co_return Status();
}

Task<Status> opened_again(Core& core, TracedPartition& db) {
  const WalMode modes[] = {WalMode::none, WalMode::sync, WalMode::batched};
  for (std::uint64_t round = 0; round < std::size(modes); ++round) {
    const Table made = co_await check(db.table(rt::str("of round ", round), {.kind = kind_of(round)}));
    const std::vector<Table> tables = {made};
    co_await check(write_together(db, tables, round));
    co_await check(db.put(made, "last", rt::str(round)));
    co_await check(db.close());
    Options options = crash_options(modes[round]);
    options.path = kCrashFile;
    co_await check(db.open(core, options));
    co_await check(db.put(made, "after opening", rt::str(round)));
  }
  co_return Status();
}

// ---- the tests ----------------------------------------------------------------------------------------------------

constexpr std::uint64_t kWorkloads = 10;

void explore(const CrashWorkload& workload) {
  const std::uint64_t seed = test_seed(2025);
  const std::uint64_t states = number_from_environment("CAMBIUM_CRASH_STATES", 100'000) / kWorkloads;
  const CrashReport report = explore_crashes(workload, seed, states);
  std::printf("power cuts: %s: %llu states at %llu of %llu steps (%llu inside recovery), %llu versions recovered\n",
              workload.name, static_cast<unsigned long long>(report.states),
              static_cast<unsigned long long>(report.cuts), static_cast<unsigned long long>(report.steps),
              static_cast<unsigned long long>(report.states_in_recovery),
              static_cast<unsigned long long>(report.versions_seen));
  INFO("replay: " << replay_command("test_sim", seed));
  for (const std::string& violation : report.violations) FAIL_CHECK(violation);
  CHECK(report.cuts >= 20);
  CHECK(report.versions_seen > 1);
}

TEST_CASE("power cut: at every step of making tables and writing them together, without a log", "[S02]") {
  explore({"tables, no log", crash_options(WalMode::none), nullptr, &make_and_write});
}
TEST_CASE("power cut: at every step of making tables and writing them together, with a log in batches", "[S02][S09]") {
  explore({"tables, log in batches", crash_options(WalMode::batched), nullptr, &make_and_write});
}
TEST_CASE("power cut: at every step of making tables and writing them together, with a log that waits", "[S02][S09]") {
  explore({"tables, log", crash_options(WalMode::sync), nullptr, &make_and_write, nullptr, true});
}
TEST_CASE("power cut: at every step of renaming a table into another's place, without a log", "[S02]") {
  explore({"renaming, no log", crash_options(WalMode::none), &two_tables, &rename_into_place});
}
TEST_CASE("power cut: at every step of renaming a table into another's place, with a log in batches", "[S02][S09]") {
  explore({"renaming, log in batches", crash_options(WalMode::batched), &two_tables, &rename_into_place});
}
TEST_CASE("power cut: at every step of renaming a table into another's place, with a log that waits", "[S02][S09]") {
  explore({"renaming, log", crash_options(WalMode::sync), &two_tables, &rename_into_place, nullptr, true});
}
TEST_CASE("power cut: at every step of dropping tables and freeing them, without a log", "[S02][S11]") {
  explore({"dropping, no log", crash_options(WalMode::none), &a_long_table, &drop_and_go_on});
}
TEST_CASE("power cut: at every step of dropping tables and freeing them, with a log in batches", "[S02][S09]") {
  explore({"dropping, log in batches", crash_options(WalMode::batched), &a_long_table, &drop_and_go_on});
}
TEST_CASE("power cut: at every step of dropping tables and freeing them, with a log that waits", "[S02][S09]") {
  explore({"dropping, log", crash_options(WalMode::sync), &a_long_table, &drop_and_go_on, nullptr, true});
}
TEST_CASE("power cut: at every step of making tables under one mode of the log after the other", "[S02][S09][S17]") {
  explore({"tables, opened again", crash_options(WalMode::sync), nullptr, &opened_again});
}

}  // namespace
}  // namespace cambium::test
