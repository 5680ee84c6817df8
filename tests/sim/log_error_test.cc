// SPDX-License-Identifier: MIT OR Apache-2.0
// I/O errors with a write-ahead log: each write, sync and resize of a workload fails once or for ever, then the power
// is cut. What had been acknowledged by then is there; everybody who waited got an answer. The keys live in a tree and
// in a level store, half of them in each.
#include <catch2/catch.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/effort.h"
#include "support/figures.h"
#include "support/kinds.h"
#include "support/seed.h"
#include "support/version_log.h"

namespace cambium::test {
namespace {

constexpr Options with_log(WalMode mode) {
  return {.path = "errors.cambium",
          .wal = mode,
          .memory_bytes = 1 * MiB,
          .write_buffer_bytes = 64 * KiB,
          .cache_bytes = 128 * KiB,
          .wal_bytes_max = 128 * KiB};
}

// Where the keys live.
struct Tables {
  explicit Tables(Partition& db, Table of_levels) : tree(db.default_table()), levels(std::move(of_levels)) {}
  const Table& of(Bytes key) const { return kind_of(Home::mixed, key) == TableKind::tree ? tree : levels; }
  Table tree;
  Table levels;
};

// One write, and what became of it.
struct Written {
  std::string key;
  std::string value;
  bool taken = true;  // false: refused, and nothing of it may ever show
};

// Everything that was written, in order, and how much of it was acknowledged as durable: the first so many.
struct History {
  std::vector<Written> writes;
  std::size_t durable = 0;
  std::size_t answers = 0;
  bool resumed = false;  // a write was refused, and a later one taken

  // The versions that a cut may leave behind: the contents after each of the writes that were taken.
  VersionLog versions() const {
    VersionLog log;
    for (std::size_t i = 0; i < writes.size(); ++i) {
      if (i == durable) log.acknowledge(log.submitted());
      if (!writes[i].taken) continue;
      log.put(table_name_of(kind_of(Home::mixed, writes[i].key)), writes[i].key, writes[i].value);
      log.submit();
    }
    if (durable == writes.size()) log.acknowledge(log.submitted());
    return log;
  }
};

// An error tells that a write is not durable, not whether it was taken: no room (in the log, in the buffers) refuses
// it; a flush that failed leaves it in its buffer, and a later one takes it along. A read knows, or waits with the
// write for what will not come.
Task<void> see_what_was_taken(Partition& db, const Tables& tables, Written& written) {
  Result<Value> found = co_await db.get(tables.of(written.key), written.key);
  if (found) written.taken = *found && found->view() == written.value;
}

// Three writers at a time; errors are answers. `ends_writing`: after the first there is nothing but errors, and what
// was refused last may be there after all, or not.
Task<void> write_rounds(Partition& db, const Tables& tables, WalMode mode, bool ends_writing, History& history) {
  bool refused = false;
  for (int round = 0; round < 30; ++round) {
    const std::size_t first = history.writes.size();
    std::vector<Op<void>> writes;
    for (int i = 0; i < 3; ++i) {
      const std::string value(static_cast<std::size_t>(600 + 900 * i), static_cast<char>('a' + round % 26));
      history.writes.push_back({rt::str("key ", (round * 5 + i) % 40), value});
      const std::string& key = history.writes.back().key;
      writes.push_back(db.put(tables.of(key), key, value, {.durable = i == 2}));
    }
    bool all = true;
    for (std::size_t i = 0; i < writes.size(); ++i) {
      Op<void> one = std::move(writes[i]);
      const Status done = co_await one;
      ++history.answers;
      all = all && done;
      if (done && (mode == WalMode::sync || i == 2)) history.durable = first + i + 1;
      history.resumed = history.resumed || (refused && done);
      if (!done && !ends_writing) {
        co_await see_what_was_taken(db, tables, history.writes[first + i]);
        refused = refused || !history.writes[first + i].taken;
      }
    }
    if (all && mode == WalMode::batched && round % 4 == 0) {
      const Status durable = co_await db.durable(db.last_sequence());
      if (durable) history.durable = history.writes.size();
    }
    if (round % 11 == 10) {
      const Status flushed = co_await db.flush();
      if (flushed) history.durable = history.writes.size();
    }
  }
}

Task<Status> run_with_fault(Core& core, SimDisk& disk, const SimFault& fault, WalMode mode, History& history) {
  Partition db = co_await check(Partition::open(core, with_log(mode)));
  const Table levels = co_await check(table_of(db, TableKind::levels));
  const Tables tables(db, levels);
  disk.plan(fault);
  co_await write_rounds(db, tables, mode, *fault.kind != rt::IoKind::resize, history);
  const Status closed = co_await db.close();  // tells the error again, but comes to an end
  if (closed) history.durable = history.writes.size();
  co_return Status();
}

Task<Status> content_now(Core& core, WalMode mode, ContentSum& content) {
  Partition db = co_await check(Partition::open(core, with_log(mode)));
  co_await check(db.check());
  content = co_await check(content_of(db));
  Status closed = co_await db.close();
  co_return closed;
}

struct Failed {
  std::uint64_t requests = 0;  // there were to fail
  std::uint64_t resumed = 0;   // runs that refused a write and took a later one
};

Failed fail_every(SimFault fault, WalMode mode) {
  Failed failed;
  const std::uint64_t seed = test_seed(21);
  INFO("replay: " << replay_command("test_sim", seed));
  for (fault.operation = 0;; ++fault.operation) {
    add_effort();
    CAPTURE(fault.operation, fault.sticky);
    SimDisk disk;
    History history;
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
    const Status done = core->run(run_with_fault(*core, disk, fault, mode, history));
    core->drain();
    REQUIRE(done);
    REQUIRE(history.answers == 90);
    REQUIRE(core->spawned() == 0);
    failed.resumed += history.resumed ? 1u : 0u;
    const VersionLog versions = history.versions();
    for (const PowerCutPolicy policy : {PowerCutPolicy::none, PowerCutPolicy::all, PowerCutPolicy::random_torn}) {
      SimDisk after = disk.crash_image(policy, fault.operation);
      const std::unique_ptr<Core> again = after.make_core({.seed = seed + 1});
      ContentSum content;
      const Status reopened = again->run(content_now(*again, mode, content));
      again->drain();
      CAPTURE(to_string(policy), history.resumed, history.durable);
      INFO(reopened.error().message());
      REQUIRE(reopened);
      REQUIRE(versions.find(content).has_value());
    }
    if (disk.faults_struck() == 0) break;
    ++failed.requests;
  }
  report_figure("failed requests", failed.requests);
  return failed;
}

TEST_CASE("errors: every write and sync beside a log fails; what was acknowledged survives the cut that follows",
          "[S09][L03]") {
  const WalMode mode = GENERATE(WalMode::sync, WalMode::batched, WalMode::none);
  CAPTURE(mode);
  Failed writes;
  Failed syncs;
  Failed resizes;
  std::uint64_t resumed = 0;
  for (const bool sticky : {false, true}) {
    writes = fail_every({.action = FaultAction::fail, .kind = rt::IoKind::write, .sticky = sticky}, mode);
    syncs = fail_every({.action = FaultAction::fail, .kind = rt::IoKind::sync, .sticky = sticky}, mode);
    resizes = fail_every({.action = FaultAction::fail, .kind = rt::IoKind::resize, .sticky = sticky}, mode);
    resumed += resizes.resumed;
    CHECK(writes.resumed + syncs.resumed == 0);
  }
  std::printf(
      "errors with a log: %llu writes, %llu syncs and %llu resizes failed, each once and for ever; after %llu resizes "
      "writes were refused and later ones taken\n",
      static_cast<unsigned long long>(writes.requests), static_cast<unsigned long long>(syncs.requests),
      static_cast<unsigned long long>(resizes.requests), static_cast<unsigned long long>(resumed));
  if (mode == WalMode::batched) CHECK(resumed > 0);  // the histories with a write in them that may never show
  CHECK(writes.requests > 10);
  CHECK(syncs.requests > 4);
}

// ---- while a log is begun, replayed or ended ------------------------------------------------------------------------

// What open() finds: a file in which everything is durable.
Task<Status> leave_a_file(Core& core, WalMode mode, bool close, ContentSum& content) {
  Partition db = co_await check(Partition::open(core, with_log(mode)));
  const Table levels = co_await check(table_of(db, TableKind::levels));
  const Tables tables(db, levels);
  for (int i = 0; i < 60; ++i) {
    const std::string key = rt::str("key ", i);
    co_await check(db.put(tables.of(key), key, std::string(700, 'v'), {.durable = i == 59}));
  }
  content = co_await check(content_of(db));
  Status done;
  if (close) done = co_await db.close();
  co_return done;  // else it is as a crash leaves it: the log has it all
}

struct Turn {
  WalMode before;
  bool closed;
  WalMode after;
};

// One open() whose `fault.operation`-th request fails; the file must hold everything afterwards. False when nothing
// failed any more.
bool survives_opening(const SimDisk& origin, const SimFault& fault, WalMode mode, const ContentSum& expected) {
  CAPTURE(static_cast<int>(*fault.kind), fault.operation, fault.sticky);
  SimDisk disk = origin.clone();
  disk.plan(fault);
  ContentSum content;
  {
    const std::unique_ptr<Core> core = disk.make_core({.seed = 4});
    const Status opened = core->run(content_now(*core, mode, content));
    core->drain();
    INFO(opened.error().message());
    if (opened) REQUIRE(content == expected);
    // A page that cannot be read is damage to check().
    const bool told =
        opened.code() == Errc::io || (*fault.kind == rt::IoKind::read && opened.code() == Errc::corruption);
    if (!opened) REQUIRE(told);
    REQUIRE(core->spawned() == 0);
  }
  const bool struck = disk.faults_struck() != 0;
  for (const PowerCutPolicy policy : {PowerCutPolicy::none, PowerCutPolicy::all, PowerCutPolicy::random_torn}) {
    SimDisk after = disk.crash_image(policy, fault.operation);
    const std::unique_ptr<Core> core = after.make_core({.seed = 5});
    CAPTURE(to_string(policy));
    const Status reopened = core->run(content_now(*core, mode, content));
    core->drain();
    INFO(reopened.error().message());
    REQUIRE(reopened);
    REQUIRE(content == expected);
  }
  return struck;
}

TEST_CASE("errors: every request of an open that begins, replays or ends a log fails; nothing is lost by it",
          "[S09][L03]") {
  const Turn turn = GENERATE(Turn{WalMode::none, true, WalMode::sync}, Turn{WalMode::sync, false, WalMode::sync},
                             Turn{WalMode::sync, false, WalMode::none}, Turn{WalMode::sync, true, WalMode::batched});
  CAPTURE(turn.before, turn.closed, turn.after);
  SimDisk origin;
  ContentSum expected;
  {
    const std::unique_ptr<Core> core = origin.make_core({.seed = 3});
    REQUIRE(core->run(leave_a_file(*core, turn.before, turn.closed, expected)));
    core->drain();
  }
  REQUIRE(expected.entries == 60);
  std::uint64_t failed = 0;
  for (const bool sticky : {false, true}) {
    for (const rt::IoKind kind : {rt::IoKind::write, rt::IoKind::sync, rt::IoKind::resize, rt::IoKind::read}) {
      SimFault fault{.action = FaultAction::fail, .kind = kind, .sticky = sticky};
      while (survives_opening(origin, fault, turn.after, expected)) {
        ++fault.operation;
        ++failed;
      }
    }
  }
  report_figure("failed requests", failed);
  CHECK(failed > 20);
}

// The log of a partition with large buffers, opened with small ones.
Task<Status> write_a_large_batch(Core& core, Options options) {
  Partition db = co_await check(Partition::open(core, options));
  WriteBatch batch;
  const Table levels = co_await check(table_of(db, TableKind::levels));
  const Tables tables(db, levels);
  for (int i = 0; i < 100; ++i) {
    const std::string key = rt::str("key ", i);
    batch.put(tables.of(key), key, std::string(1000, 'v'));
  }
  Status written = co_await db.write(batch);
  co_return written;
}
Task<Status> open_only(Core& core, Options options) {
  Partition db = co_await check(Partition::open(core, options));
  const ContentSum content = co_await check(content_of(db));
  if (content.entries != 100) co_return Error(Errc::corruption, "the batch is not there");
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("log: a batch that no longer fits a write buffer is refused with the remedy, and is there after it",
          "[S09]") {
  Options large = with_log(WalMode::sync);
  large.memory_bytes = 4 * MiB;
  large.write_buffer_bytes = 512 * KiB;
  large.wal_bytes_max = 1 * MiB;
  Options small = large;
  small.write_buffer_bytes = 64 * KiB;
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 6});
  REQUIRE(core->run(write_a_large_batch(*core, large)));
  core->drain();
  const Status refused = core->run(open_only(*core, small));
  core->drain();
  REQUIRE(refused.code() == Errc::resource);
  CHECK(refused.error().hint().find("raise write_buffer_bytes") != std::string_view::npos);
  const Status opened = core->run(open_only(*core, large));
  core->drain();
  INFO(opened.error().message());
  CHECK(opened);
}

}  // namespace
}  // namespace cambium::test
