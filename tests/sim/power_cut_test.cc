// SPDX-License-Identifier: MIT OR Apache-2.0
// The commit protocol's proof: the power is cut at every I/O step of scripted workloads, and every file that a cut may
// leave behind opens as one version of the workload, at or after the last acknowledged flush. On either kind of table.
//
// CAMBIUM_CRASH_STATES sets how many crash images are checked over all workloads; CAMBIUM_SEED another schedule.
#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "support/crash_explorer.h"

namespace cambium::test {
namespace {

constexpr Options kSmall = crash_options();

Task<Status> put_range(TracedPartition& db, std::uint64_t first, std::uint64_t end, std::uint64_t round,
                       std::size_t bytes) {
  for (std::uint64_t i = first; i < end; ++i) {
    co_await check(db.put(crash_key(i), crash_value(i, round, bytes)));
  }
  co_return Status();
}

// ---- the workloads ------------------------------------------------------------------------------------------------

Task<Status> first_flush(Core&, TracedPartition& db) {
  co_await check(put_range(db, 0, 40, 0, 100));
  WriteBatch batch;
  const Table& table = db.home("any key");
  batch.put(table, "a batch", "is one").put(table, "another key", "of it").del(table, crash_key(3));
  batch.put(table, crash_key(4), "");
  co_await check(db.write(batch));
  co_await check(db.flush());
  co_await check(db.put("after the flush", "lost or kept"));
  co_return Status();
}

Task<Status> two_hundred_keys(Core&, TracedPartition& db) { co_return co_await put_range(db, 0, 200, 0, 120); }

Task<Status> overwrites(Core&, TracedPartition& db) {
  rt::Random random(1);
  for (std::uint64_t round = 1; round <= 24; ++round) {
    for (int i = 0; i < 15; ++i) {
      const std::uint64_t key = random.below(200);
      co_await check(db.put(crash_key(key), crash_value(key, round, 40 + random.below(200))));
    }
    WriteBatch batch;
    for (std::uint64_t i = 0; i < 5; ++i)
      batch.put(db.home(crash_key(i * 40)), crash_key(i * 40), crash_value(i, round, 50));
    co_await check(db.write(batch));
    co_await check(db.flush());
  }
  co_return Status();
}

Task<Status> deletes(Core&, TracedPartition& db) {
  for (std::uint64_t first = 0; first < 200; first += 25) {
    for (std::uint64_t i = first; i < first + 25; ++i) {
      co_await check(db.del(crash_key(i)));
    }
    co_await check(db.flush());
  }
  co_await check(db.del("never there"));
  co_await check(db.flush());
  co_await check(put_range(db, 50, 60, 1, 300));  // an empty table grows again
  co_await check(db.flush());
  co_return Status();
}

Task<Status> long_values(Core&, TracedPartition& db) {
  constexpr std::size_t kSizes[] = {1280, 1281, 4096, 4097, 9000, 20'000, 65'536, 2000};
  for (std::uint64_t round = 0; round < 5; ++round) {
    for (std::uint64_t i = 0; i < std::size(kSizes); ++i) {
      co_await check(db.put(crash_key(i), crash_value(i, round, kSizes[(i + round) % std::size(kSizes)])));
    }
    co_await check(db.flush());
    co_await check(db.del(crash_key(round)));
    co_await check(db.put(crash_key(round + 1), "short again"));
    co_await check(db.flush());
  }
  co_return Status();
}

// Snapshots taken in the middle of a buffer: its flush commits in two steps, and each is a version of its own.
Task<Status> snapshots(Core&, TracedPartition& db) {
  std::vector<Snapshot> held;
  for (std::uint64_t round = 1; round <= 8; ++round) {
    co_await check(put_range(db, round * 10, round * 10 + 20, round, 90));
    held.push_back(db.db().snapshot());
    for (std::uint64_t i = 0; i < 12; ++i) {
      co_await check(db.del(crash_key(round * 17 + i)));
    }
    held.push_back(db.db().snapshot());
    co_await check(put_range(db, 0, 10, round, 60));
    co_await check(db.flush());
    if (held.size() > 5) held.erase(held.begin(), held.begin() + 3);
  }
  held.clear();
  co_await check(db.put("last", "one"));
  co_await check(db.flush());
  co_return Status();
}

Task<Status> four_hundred_keys(Core&, TracedPartition& db) { co_return co_await put_range(db, 0, 400, 0, 1000); }

// Most of the file is freed, the rest moved to its front, its end cut off; twice, with long values too.
Task<Status> compaction(Core&, TracedPartition& db) {
  for (std::uint64_t i = 0; i < 400; ++i) {
    if (i % 10 == 0) continue;
    co_await check(db.del(crash_key(i)));
  }
  co_await check(db.flush({.trim = false}));
  co_await check(db.put(crash_key(1), crash_value(1, 1, 9000)));
  co_await check(db.flush({.trim = false}));
  co_await check(db.db().compact());
  co_await check(put_range(db, 100, 200, 2, 700));
  co_await check(db.flush());
  for (std::uint64_t i = 100; i < 195; ++i) {
    co_await check(db.del(crash_key(i)));
  }
  co_await check(db.flush());
  co_await check(db.db().compact());
  co_return Status();
}

Task<Status> a_tight_file(Core& core, TracedPartition& db) {
  co_await check(four_hundred_keys(core, db));
  co_await check(db.flush());
  co_await check(db.db().compact());
  co_return Status();
}

// On a full device: deletes from a hundred leaves, far more than there is room to write anew at once. They go in
// portions (of 49, of 24), and no batch of seven is divided.
Task<Status> deletes_without_room(Core&, TracedPartition& db) {
  for (std::uint64_t i = 0; i < 14; ++i) {
    WriteBatch batch;
    for (std::uint64_t n = 0; n < 7; ++n) batch.del(crash_key((i * 7 + n) * 4));
    co_await check(db.write(batch));
  }
  const std::uint64_t commits = db.db().stats().commits;
  co_await check(db.flush({.trim = false}));
  if (db.db().stats().commits < commits + 4) co_return Error(Errc::invalid_argument, "there was room for all at once");
  co_return Status();
}

// On a full device as well: what is deleted is soon room for what is put.
Task<Status> replaced_without_room(Core&, TracedPartition& db) {
  for (std::uint64_t round = 0; round < 4; ++round) {
    for (std::uint64_t i = round * 100; i < round * 100 + 90; ++i) {
      co_await check(db.del(crash_key(i)));
      if (i % 30 == 29) {
        co_await check(db.flush({.trim = false}));
      }
    }
    co_await check(put_range(db, 1000 + round * 40, 1000 + round * 40 + 40, round, 900));
    co_await check(db.flush({.trim = false}));
  }
  co_return Status();
}

// The file gets longer step by step, also by writes that no flush was asked for.
Task<Status> growth(Core&, TracedPartition& db) {
  for (std::uint64_t round = 0; round < 5; ++round) {
    co_await check(put_range(db, round * 120, round * 120 + 120, 0, 900));
    if (round % 2 == 0) {
      co_await check(db.flush());
    }
  }
  co_return Status();
}

// ---- the tests ----------------------------------------------------------------------------------------------------

void on_either_kind(CrashWorkload workload) {
  workload.home = GENERATE(Home::tree, Home::levels);
  expect_survival(workload);
}

TEST_CASE("power cut: at every step of creating a partition and its first flush", "[cut-commit][S02]") {
  on_either_kind({"creation and first flush", kSmall, nullptr, &first_flush});
}
TEST_CASE("power cut: at every step of many flushes of overwrites", "[cut-commit][S02]") {
  on_either_kind({"overwrites", kSmall, &two_hundred_keys, &overwrites});
}
TEST_CASE("power cut: at every step of deleting down to an empty table", "[cut-commit][S02]") {
  on_either_kind({"deletes", kSmall, &two_hundred_keys, &deletes});
}
TEST_CASE("power cut: at every step of writing long values", "[cut-commit][S02][S13]") {
  on_either_kind({"long values", kSmall, nullptr, &long_values});
}
TEST_CASE("power cut: at every step of flushes that snapshots divide", "[cut-commit][S02][S10]") {
  on_either_kind({"snapshots", kSmall, &two_hundred_keys, &snapshots});
}
TEST_CASE("power cut: at every step of compacting and cutting the file", "[cut-space][S02]") {
  on_either_kind({"compaction", kSmall, &four_hundred_keys, &compaction});
}
TEST_CASE("power cut: at every step of deletes on a full device", "[cut-space][S02][S11]") {
  expect_survival({"deletes without room", kSmall, &a_tight_file, &deletes_without_room,
                   [](SimDisk& disk) { disk.set_capacity_bytes(disk.allocated_bytes()); }});
}
TEST_CASE("power cut: at every step of deletes on a full device that make room for puts", "[cut-space][S02][S11]") {
  on_either_kind({"room by deletes", kSmall, &a_tight_file, &replaced_without_room,
                  [](SimDisk& disk) { disk.set_capacity_bytes(disk.allocated_bytes()); }});
}
TEST_CASE("power cut: at every step of a growing file", "[cut-space][S02]") {
  on_either_kind({"growth", kSmall, nullptr, &growth});
}

// What shows that the tests above can fail.
TEST_CASE("power cut: the explorer finds out a disk that lies about syncs, and one that loses a superblock", "[S02]") {
  const CrashWorkload lying{"a lying disk", kSmall, &two_hundred_keys, &overwrites, [](SimDisk& disk) {
                              disk.plan({.action = FaultAction::drop, .kind = rt::IoKind::sync, .sticky = true});
                            }};
  CHECK(!explore_crashes(lying, 7, 2000).violations.empty());
  const CrashWorkload losing{
      "a lost superblock", kSmall, &two_hundred_keys, &overwrites, [](SimDisk& disk) {
        disk.plan(
            {.action = FaultAction::drop, .kind = rt::IoKind::write, .operation = 3, .region_bytes = 4 * kPageBytes});
      }};
  CHECK(!explore_crashes(losing, 7, 2000).violations.empty());
}

}  // namespace
}  // namespace cambium::test
