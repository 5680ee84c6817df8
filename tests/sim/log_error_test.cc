// SPDX-License-Identifier: MIT OR Apache-2.0
// I/O errors with a write-ahead log: each write, sync and resize of a workload fails once or for ever, then the power
// is cut. What had been acknowledged by then is there; everybody who waited got an answer.
#include <catch2/catch.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/effort.h"
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

// What became of the writes.
struct Answers {
  std::uint64_t count = 0;
  bool refused = false;
  bool resumed = false;  // one was refused and a later one taken: what is there is no version of the log then
};

// Three writers at a time; errors are answers.
Task<void> write_rounds(TracedPartition& db, WalMode mode, Answers& answers) {
  for (int round = 0; round < 30; ++round) {
    std::vector<Op<void>> writes;
    for (int i = 0; i < 3; ++i) {
      const std::string value(static_cast<std::size_t>(600 + 900 * i), static_cast<char>('a' + round % 26));
      writes.push_back(db.put(rt::str("key ", (round * 5 + i) % 40), value, {.durable = i == 2}));
    }
    bool all = true;
    for (Op<void>& write : writes) {
      Op<void> one = std::move(write);
      const Status done = co_await one;
      ++answers.count;
      answers.refused = answers.refused || !done;
      answers.resumed = answers.resumed || (answers.refused && done);
      all = all && done;
    }
    if (all && mode == WalMode::batched && round % 4 == 0) {
      const Status durable = co_await db.durable();
      static_cast<void>(durable);
    }
    if (round % 11 == 10) {
      const Status flushed = co_await db.flush();
      static_cast<void>(flushed);
    }
  }
}

Task<Status> run_with_fault(Core& core, SimDisk& disk, const SimFault& fault, WalMode mode, VersionLog& log,
                            Answers& answers) {
  TracedPartition db(log);
  co_await check(db.open(core, with_log(mode)));
  disk.plan(fault);
  co_await write_rounds(db, mode, answers);
  const Status closed = co_await db.close();  // tells the error again, but comes to an end
  static_cast<void>(closed);
  co_return Status();
}

Task<Status> content_now(Core& core, WalMode mode, ContentSum& content) {
  Partition db = co_await check(Partition::open(core, with_log(mode)));
  co_await check(db.check());
  content = co_await check(content_of(db));
  Status closed = co_await db.close();
  co_return closed;
}

// Answers how many requests there were to fail.
std::uint64_t fail_every(SimFault fault, WalMode mode) {
  const std::uint64_t seed = test_seed(21);
  INFO("replay: " << replay_command("test_sim", seed));
  for (fault.operation = 0;; ++fault.operation) {
    add_effort();
    CAPTURE(fault.operation, fault.sticky);
    SimDisk disk;
    VersionLog log;
    Answers answers;
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
    const Status done = core->run(run_with_fault(*core, disk, fault, mode, log, answers));
    core->drain();
    REQUIRE(done);
    REQUIRE(answers.count == 90);
    REQUIRE(core->spawned() == 0);
    const bool struck = disk.faults_struck() != 0;
    for (const PowerCutPolicy policy : {PowerCutPolicy::none, PowerCutPolicy::all, PowerCutPolicy::random_torn}) {
      SimDisk after = disk.crash_image(policy, fault.operation);
      const std::unique_ptr<Core> again = after.make_core({.seed = seed + 1});
      ContentSum content;
      const Status reopened = again->run(content_now(*again, mode, content));
      again->drain();
      INFO(reopened.error().message());
      REQUIRE(reopened);
      // A file that cannot grow for a moment refuses writes and takes later ones: only the file itself is checked then.
      const bool no_version = answers.resumed && *fault.kind == rt::IoKind::resize;
      if (!no_version) REQUIRE(log.find(content).has_value());
    }
    if (!struck) return fault.operation;
  }
}

TEST_CASE("errors: every write and sync beside a log fails; what was acknowledged survives the cut that follows",
          "[S09][L03]") {
  const WalMode mode = GENERATE(WalMode::sync, WalMode::batched, WalMode::none);
  CAPTURE(mode);
  std::uint64_t writes = 0;
  std::uint64_t syncs = 0;
  for (const bool sticky : {false, true}) {
    writes = fail_every({.action = FaultAction::fail, .kind = rt::IoKind::write, .sticky = sticky}, mode);
    syncs = fail_every({.action = FaultAction::fail, .kind = rt::IoKind::sync, .sticky = sticky}, mode);
    fail_every({.action = FaultAction::fail, .kind = rt::IoKind::resize, .sticky = sticky}, mode);
  }
  std::printf("errors with a log: %llu writes and %llu syncs failed, each once and for ever\n",
              static_cast<unsigned long long>(writes), static_cast<unsigned long long>(syncs));
  CHECK(writes > 10);
  CHECK(syncs > 4);
}

}  // namespace
}  // namespace cambium::test
