// SPDX-License-Identifier: MIT OR Apache-2.0
// Errors of the device, planned at every request in turn: what was acknowledged stays, reads go on, a failed sync is
// final, a full device is not.
#include <catch2/catch.hpp>

#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/effort.h"
#include "support/figures.h"
#include "support/kinds.h"
#include "support/quiet_log.h"
#include "support/seed.h"
#include "support/version_log.h"

namespace cambium::test {
namespace {

constexpr Bytes kFile = "errors.cambium";
constexpr Options kSmall{
    .path = kFile, .memory_bytes = 1 * MiB, .write_buffer_bytes = 64 * KiB, .cache_bytes = 128 * KiB};

std::string key_of(int i) { return rt::str("key ", 1000 + i); }
std::string value_of(int i, int round) {
  return rt::str("value ", i, " of round ", round, std::string(i % 15 == 0 ? 3000 : 200, 'v'));
}

struct Outcome {
  std::map<std::string, std::string> expected;  // by the writes that were accepted
  Errc first_error = Errc::ok;
  Errc write_after_error = Errc::ok;
  int reads_right = 0;
  int reads_failed = 0;
  int reads_wrong = 0;
};

Task<Result<Table>> traced_table(TracedPartition& db, TableKind kind) {
  if (kind == TableKind::tree) co_return db.db().default_table();
  Result<Table> table = co_await db.table(kLevelsTable, {.kind = kind});
  co_return table;
}

void note(Outcome& outcome, const Status& status) {
  if (!status && outcome.first_error == Errc::ok) outcome.first_error = status.code();
}

// Of a level store enough for several merges, one of which is waited for.
Task<void> write_rounds(TracedPartition& db, TableKind kind, Outcome& outcome) {
  const Result<Table> table = co_await traced_table(db, kind);
  if (!table) {
    note(outcome, table.error());
    co_return;
  }
  for (int round = 1; round <= (kind == TableKind::tree ? 5 : 7); ++round) {
    for (int i = 0; i < 30; ++i) {
      const std::string key = key_of((i * 7 + round * 11) % 120);
      const std::string value = value_of(i, round);
      const Status put = co_await db.put(table.value(), key, value);
      note(outcome, put);
      if (put) outcome.expected[key] = value;
    }
    const Status flushed = co_await db.flush();
    note(outcome, flushed);
    if (kind == TableKind::tree || round != 6) continue;
    const Status settled = co_await db.settle();
    note(outcome, settled);
  }
}

Task<void> read_everything(Partition& db, const Table& table, Outcome& outcome) {
  for (const auto& [key, value] : outcome.expected) {
    const Result<Value> found = co_await db.get(table, key);
    if (!found) {
      const bool told = found.code() == Errc::io || found.code() == Errc::cancelled || found.code() == Errc::resource;
      ++(told ? outcome.reads_failed : outcome.reads_wrong);
    } else {
      ++(found.value() && found.value().view() == value ? outcome.reads_right : outcome.reads_wrong);
    }
  }
}

Task<Status> prepare(Core& core, TableKind kind, VersionLog& log, Outcome& outcome) {
  TracedPartition db(log);
  co_await check(db.open(core, kSmall));
  const Table table = co_await check(traced_table(db, kind));
  for (int i = 0; i < 120; ++i) {
    const std::string value = value_of(i, 0);
    co_await check(db.put(table, key_of(i), value));
    outcome.expected[key_of(i)] = value;
  }
  Status closed = co_await db.close();
  co_return closed;
}

Task<Status> run_with_fault(Core& core, SimDisk& disk, const SimFault& fault, TableKind kind, VersionLog& log,
                            Outcome& outcome) {
  TracedPartition db(log);
  co_await check(db.open(core, kSmall));
  const Table table = co_await check(traced_table(db, kind));
  disk.plan(fault);
  co_await write_rounds(db, kind, outcome);
  if (outcome.first_error != Errc::ok) {
    const Status refused = co_await db.put(table, "after the error", "?");
    outcome.write_after_error = refused.code();
  }
  co_await read_everything(db.db(), table, outcome);
  const Status closed = co_await db.close();  // tells the error again, but comes to an end
  note(outcome, closed);
  co_return Status();
}

Task<Status> content_now(Core& core, ContentSum& content) {
  Partition db = co_await check(Partition::open(core, kSmall));
  co_await check(db.check());
  content = co_await check(content_of(db));
  Status closed = co_await db.close();
  co_return closed;
}

void reopened_holds_a_version(SimDisk disk, const VersionLog& log) {
  const std::unique_ptr<Core> core = disk.make_core({.seed = 3});
  ContentSum content;
  const Status reopened = core->run(content_now(*core, content));
  core->drain();
  INFO(reopened.error().message());
  REQUIRE(reopened);
  REQUIRE(log.find(content).has_value());
}

// Plans the fault for the k-th request of its kind, for every k that the workload reaches.
template <class Verify>
std::uint64_t for_every_request(TableKind kind, SimFault fault, Verify verify) {
  const std::uint64_t seed = test_seed(9);
  const QuietLog quiet;
  INFO("replay: " << replay_command("test_sim", seed));
  for (std::uint64_t k = 0;; ++k) {
    CAPTURE(k, fault.sticky, fault.argument);
    add_effort();
    fault.operation = k;
    SimDisk disk;
    VersionLog log;
    Outcome outcome;
    {
      const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
      REQUIRE(core->run(prepare(*core, kind, log, outcome)));
      const Status done = core->run(run_with_fault(*core, disk, fault, kind, log, outcome));
      core->drain();
      INFO(done.error().message());
      REQUIRE(done);
      REQUIRE(core->spawned() == 0);
    }
    if (disk.faults_struck() == 0) {
      report_figure("failed requests", k);
      return k;
    }
    REQUIRE(outcome.reads_wrong == 0);
    verify(outcome);
    disk.clear_faults();
    reopened_holds_a_version(disk.clone(), log);
    reopened_holds_a_version(disk.crash_image(PowerCutPolicy::none, k), log);
    reopened_holds_a_version(disk.crash_image(PowerCutPolicy::random_torn, k), log);
  }
}

TEST_CASE("errors: a failed sync, whichever, is told, ends all writing, loses nothing acknowledged, and reads go on",
          "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  const bool sticky = GENERATE(false, true);
  const std::uint64_t requests =
      for_every_request(kind, {.kind = rt::IoKind::sync, .sticky = sticky}, [](const Outcome& outcome) {
        REQUIRE(outcome.first_error == Errc::io);
        REQUIRE(outcome.reads_failed == 0);
        REQUIRE((outcome.write_after_error == Errc::io || outcome.write_after_error == Errc::ok));
      });
  CHECK(requests >= 10);
}

TEST_CASE("errors: a failed write, whichever, is told, ends all writing, loses nothing acknowledged, and reads go on",
          "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  const bool sticky = GENERATE(false, true);
  const std::uint64_t requests =
      for_every_request(kind, {.kind = rt::IoKind::write, .sticky = sticky}, [](const Outcome& outcome) {
        REQUIRE(outcome.first_error == Errc::io);
        REQUIRE(outcome.reads_failed == 0);
      });
  CHECK(requests >= 15);
}

TEST_CASE("errors: a failed read, whichever, is told and shows nothing wrong", "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  const bool sticky = GENERATE(false, true);
  const std::uint64_t requests =
      for_every_request(kind, {.kind = rt::IoKind::read, .sticky = sticky}, [&](const Outcome& outcome) {
        // A read ahead that fails once is simply read again by whoever needs the page.
        REQUIRE((!sticky || outcome.first_error == Errc::io || outcome.reads_failed > 0));
      });
  CHECK(requests >= 3);
}

// After one sector or one page: what is left is asked for again, and nobody hears of it.
TEST_CASE("errors: a transfer that stops short, whichever, is continued, and nothing is told or lost", "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  const bool sticky = GENERATE(false, true);
  const std::uint64_t bytes = GENERATE(std::uint64_t{kSimSectorBytes}, std::uint64_t{kPageBytes});
  for (const rt::IoKind io : {rt::IoKind::write, rt::IoKind::read}) {
    SimFault fault{.action = FaultAction::shorten, .argument = bytes, .kind = io, .sticky = sticky};
    const std::uint64_t requests = for_every_request(kind, fault, [](const Outcome& outcome) {
      REQUIRE(outcome.first_error == Errc::ok);
      REQUIRE(outcome.reads_failed == 0);
    });
    CHECK(requests >= 3);
  }
}

// What a kernel asks to be repeated (EINTR, EAGAIN), and what is only late: nobody hears of it.
TEST_CASE("errors: a request that is interrupted or late, whichever, is repeated or waited for, and nothing is told",
          "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  const SimFault fault = GENERATE(SimFault{.error = EINTR}, SimFault{.error = EAGAIN},
                                  SimFault{.action = FaultAction::delay, .argument = 50'000});
  CAPTURE(fault.error, static_cast<int>(fault.action));
  for (const rt::IoKind io : {rt::IoKind::write, rt::IoKind::read, rt::IoKind::sync}) {
    SimFault one = fault;
    one.kind = io;
    const std::uint64_t requests = for_every_request(kind, one, [](const Outcome& outcome) {
      REQUIRE(outcome.first_error == Errc::ok);
      REQUIRE(outcome.reads_failed == 0);
    });
    CHECK(requests >= 3);
  }
}

// A cancelled request (the ring is torn down, the process ends), one the kernel has no memory for, one that moves
// nothing: each ends with an answer, and is no worse than any other error.
TEST_CASE("errors: a request that is cancelled, refused memory or moves nothing, whichever, is told; nothing is lost",
          "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  const bool sticky = GENERATE(false, true);
  const SimFault fault = GENERATE(SimFault{.error = ECANCELED}, SimFault{.error = ENOMEM},
                                  SimFault{.action = FaultAction::shorten, .argument = 0});
  CAPTURE(fault.error, static_cast<int>(fault.action), sticky);
  for (const rt::IoKind io : {rt::IoKind::write, rt::IoKind::read, rt::IoKind::sync}) {
    if (io == rt::IoKind::sync && fault.action == FaultAction::shorten) continue;
    SimFault one = fault;
    one.kind = io;
    one.sticky = sticky;
    const std::uint64_t requests = for_every_request(kind, one, [&](const Outcome& outcome) {
      const bool told = outcome.first_error != Errc::ok || outcome.reads_failed > 0;
      // A read ahead that fails is read again, and a merge that found no memory begins anew.
      const bool again = io == rt::IoKind::read || (kind == TableKind::levels && one.error == ENOMEM);
      REQUIRE((told || (again && !sticky)));
      REQUIRE((io == rt::IoKind::read || outcome.reads_failed == 0));
    });
    CHECK(requests >= 3);
  }
}

std::uint64_t trace_of_a_failing_run(TableKind kind, std::uint64_t seed, std::uint64_t operation) {
  SimDisk disk;
  VersionLog log;
  Outcome outcome;
  const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
  REQUIRE(core->run(prepare(*core, kind, log, outcome)));
  const SimFault fault{.kind = rt::IoKind::write, .operation = operation, .sticky = true};
  REQUIRE(core->run(run_with_fault(*core, disk, fault, kind, log, outcome)));
  while (!core->idle()) core->poll();
  REQUIRE(disk.faults_struck() != 0);
  return disk.trace_hash();
}

TEST_CASE("errors: two runs with one seed and one fault are the same I/O for I/O", "[S02][S20]") {
  CAMBIUM_BOTH_KINDS(kind);
  const std::uint64_t seed = test_seed(9);
  for (const std::uint64_t operation : {0u, 3u, 7u}) {
    const std::uint64_t trace = trace_of_a_failing_run(kind, seed, operation);
    CHECK(trace_of_a_failing_run(kind, seed, operation) == trace);
    CHECK(trace_of_a_failing_run(kind, seed + 1, operation) != trace);
  }
}

// Once a sync has failed nothing may be acknowledged, even if the next sync would succeed.
Task<Status> write_after_failed_sync(Core& core, SimDisk& disk, TableKind kind, std::string& story) {
  Partition db = co_await check(Partition::open(core, kSmall));
  const Table table = co_await check(table_of(db, kind));
  co_await check(db.put(table, "before", "the error"));
  disk.plan({.error = EIO, .kind = rt::IoKind::sync});
  const Status failed = co_await db.flush();
  story += to_string(failed.code());
  const Status put = co_await db.put(table, "after", "the error");
  story += rt::str(" ", to_string(put.code()));
  const Status flushed = co_await db.flush();
  story += rt::str(" ", to_string(flushed.code()));
  Value value = co_await check(db.get(table, "before"));
  story += rt::str(" ", value ? value.view() : "absent");
  value = Value();
  const Status closed = co_await db.close();
  story += rt::str(" ", to_string(closed.code()));
  co_return Status();
}

TEST_CASE("errors: after a failed sync every write and flush fails with it, and what is in memory can be read",
          "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core();
  std::string story;
  REQUIRE(core->run(write_after_failed_sync(*core, disk, kind, story)));
  CHECK(story == "I/O error I/O error I/O error the error I/O error");
}

// ---- a full device ------------------------------------------------------------------------------------------------

// Overwrites everything that was there, so that a commit frees as much as it allocates; then only adds.
Task<Status> fill_the_device(Core& core, SimDisk& disk, TableKind kind, Outcome& outcome) {
  Partition db = co_await check(Partition::open(core, kSmall));
  const Table table = co_await check(table_of(db, kind));
  for (int i = 0; i < 2000; ++i) {
    const std::string key = rt::str("fill ", 100'000 + i);
    co_await check(db.put(table, key, value_of(i, 8)));
    outcome.expected[key] = value_of(i, 8);
  }
  co_await check(db.flush());
  int written = 0;
  Status flushed;
  disk.set_capacity_bytes(disk.allocated_bytes() + 600 * KiB);
  while (flushed && written < 5000) {
    for (int i = 0; i < 40; ++i, ++written) {
      // All over the tree, then behind it: 701 and 2000 have no common divisor.
      const int number = written < 2000 ? written * 701 % 2000 : written;
      const std::string key = rt::str("fill ", 100'000 + number);
      const Status put = co_await db.put(table, key, value_of(written, 9));
      if (!put) break;
      outcome.expected[key] = value_of(written, 9);
    }
    flushed = co_await db.flush({.trim = false});
  }
  outcome.first_error = flushed.code();
  co_await check(db.check());                    // the flush that failed has given back what it took, and taken nothing
  co_await read_everything(db, table, outcome);  // what could not be flushed is still there
  disk.set_capacity_bytes(~std::uint64_t{0});
  co_await core.sleep_ns(1'000'000'000);  // it resumes by itself
  co_await check(db.put(table, "there is", "space again"));
  outcome.expected["there is"] = "space again";
  co_await check(db.flush());
  Status closed = co_await db.close();
  co_return closed;
}

Task<Status> read_again(Core& core, TableKind kind, Outcome& outcome) {
  Partition db = co_await check(Partition::open(core, kSmall));
  const Table table = co_await check(table_of(db, kind));
  co_await check(db.check());
  co_await read_everything(db, table, outcome);
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("errors: a full device refuses the flush, goes on reading, and resumes when there is space", "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core();
  Outcome outcome;
  const Status done = core->run(fill_the_device(*core, disk, kind, outcome));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(outcome.first_error == Errc::no_space);
  CHECK(outcome.reads_wrong + outcome.reads_failed == 0);
  const Status again = core->run(read_again(*core, kind, outcome));
  INFO(again.error().message());
  REQUIRE(again);
  CHECK(outcome.reads_wrong + outcome.reads_failed == 0);
  CHECK(outcome.reads_right == 2 * static_cast<int>(outcome.expected.size()) - 1);
}

}  // namespace
}  // namespace cambium::test
