// SPDX-License-Identifier: MIT OR Apache-2.0
// What the file takes: overwriting reuses what is freed, snapshots hold what they see and no more, leaves are full.
#include <catch2/catch.hpp>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "support/kinds.h"

namespace cambium::test {
namespace {

constexpr std::uint64_t kKeys = 100'000;
constexpr std::uint64_t kLiveBytes = kKeys * (16 + 100);
constexpr Options kOptions{.path = "space.cambium", .memory_bytes = 32 * MiB};

// Of a level store some runs wait for a merge, each as long as a write buffer: shorter ones, so that the rest shows.
Options options_of(TableKind kind) {
  Options options = kOptions;
  if (kind == TableKind::levels) options.write_buffer_bytes = 1 * MiB;
  return options;
}

std::string key_of(std::uint64_t i) { return rt::str(1'000'000'000'000'000 + i * 7919); }

// Every key once, in random order: `(i * kStride) % kKeys` meets each of them.
Task<Status> overwrite_all(Partition& db, const Table& table, std::uint64_t round) {
  constexpr std::uint64_t kStride = 61'843;  // prime, no divisor of kKeys
  std::string value(100, static_cast<char>('a' + round));
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    co_await check(db.put(table, key_of(i * kStride % kKeys), value));
  }
  Status flushed = co_await db.flush();
  co_return flushed;
}

double times_live(const Partition& db) {
  return static_cast<double>(db.stats().file_pages * kPageBytes) / static_cast<double>(kLiveBytes);
}

// A workload from its open to its close, and what it found out.
template <class... Found>
void run_on(SimDisk& disk, Task<Status> (*workload)(Core&, Found&...), Found&... found) {
  const std::unique_ptr<Core> core = disk.make_core({.eager = true});
  const Status done = core->run(workload(*core, found...));
  INFO(done.error().message());
  REQUIRE(done);
}

struct Sizes {
  TableKind kind = TableKind::tree;
  double most = 0;  // of the file, in times the live data (with snapshots: the file without them)
  double kept = 0;  // pages in use or held for snapshots, in times the pages of one version
  double with_snapshots = 0;
  double compacted = 0;
  double settled = 0;  // the most that is left when no merge is due
  std::uint64_t held_pages = 0;
};

Task<Status> overwrite_twenty_times(Core& core, Sizes& sizes) {
  Partition db = co_await check(Partition::open(core, options_of(sizes.kind)));
  const Table table = co_await check(table_of(db, sizes.kind));
  for (std::uint64_t round = 0; round < 20; ++round) {
    co_await check(overwrite_all(db, table, round));
    sizes.most = std::max(sizes.most, times_live(db));
    if (sizes.kind == TableKind::tree) continue;
    co_await check(db.settle());
    sizes.settled = std::max(sizes.settled, times_live(db));
  }
  co_await check(db.check());
  if (sizes.kind == TableKind::levels) {
    co_await check(db.compact());
    sizes.compacted = times_live(db);
    co_await check(db.check());
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("space: twenty rounds of overwriting 100,000 keys leave the file within 1.6 times the live data", "[S11]") {
  SimDisk disk;
  Sizes sizes;
  run_on(disk, &overwrite_twenty_times, sizes);
  const double at_rest = static_cast<double>(disk.file_size(kOptions.path.view())) / static_cast<double>(kLiveBytes);
  std::printf(
      "space: after 20 rounds of overwriting the file is %.2f times the live data, at most %.2f after a flush\n",
      at_rest, sizes.most);
  CHECK(at_rest <= 1.6);
  CHECK(sizes.most <= 1.6);
}

// What holds for a level store: with no merge due, less than flush_runs (6) runs wait beside the bottom, each as long
// as a write buffer; and a merge into the bottom may write all of it anew before what it replaces comes free.
constexpr double kWaiting = 6.0 * static_cast<double>(MiB) / static_cast<double>(kLiveBytes);
constexpr double kBottom = 1.15;

TEST_CASE("space: twenty rounds of overwriting a level store leave it within its bottom twice and the runs that wait",
          "[S11][F11]") {
  SimDisk disk;
  Sizes sizes;
  sizes.kind = TableKind::levels;
  run_on(disk, &overwrite_twenty_times, sizes);
  std::printf(
      "space: after 20 rounds of overwriting a level store the file is at most %.2f times the live data after a flush, "
      "%.2f when no merge is due, %.2f compacted\n",
      sizes.most, sizes.settled, sizes.compacted);
  CHECK(sizes.most <= 2 * kBottom + 2 * kWaiting);  // flushes wait at twice as many runs
  CHECK(sizes.settled <= 2 * kBottom + kWaiting);
  CHECK(sizes.compacted <= kBottom + kWaiting);
}

Task<Status> overwrite_under_snapshots(Core& core, Sizes& sizes) {
  Partition db = co_await check(Partition::open(core, options_of(sizes.kind)));
  const Table table = co_await check(table_of(db, sizes.kind));
  co_await check(overwrite_all(db, table, 0));
  const double one = times_live(db);
  const auto used = static_cast<double>(db.stats().used_pages);
  std::optional<Snapshot> old(db.snapshot());
  std::optional<Snapshot> young;
  for (std::uint64_t round = 1; round <= 10; ++round) {
    co_await check(overwrite_all(db, table, round));
    young.reset();
    young.emplace(db.snapshot());  // held until the next round is written over it
    const Stats stats = db.stats();
    sizes.most = std::max(sizes.most, times_live(db) / one);
    sizes.kept = std::max(sizes.kept, static_cast<double>(stats.used_pages + stats.held_pages) / used);
  }
  sizes.with_snapshots = times_live(db);
  if (old->pinned_bytes() == 0) co_return Error(Errc::corruption, "the old snapshot says it pins nothing");
  old.reset();
  young.reset();
  co_await check(db.settle());
  co_await check(db.compact());
  sizes.compacted = times_live(db);
  sizes.held_pages = db.stats().held_pages;
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

// An old snapshot sees one version, the young one another: between and beside them nothing is kept.
TEST_CASE("space: an old and a young snapshot hold at most two deltas, and compaction gives it all back",
          "[S10][S11]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  Sizes sizes;
  sizes.kind = kind;
  run_on(disk, &overwrite_under_snapshots, sizes);
  std::printf(
      "space: with two snapshots %.2f times the pages of one version are kept, in a file %.2f times as long "
      "(%.2f times the live data); compacted to %.2f\n",
      sizes.kept, sizes.most, sizes.with_snapshots, sizes.compacted);
  // Live and two deltas, each of them everything; of a level store each with the runs that wait.
  CHECK(sizes.kept <= (kind == TableKind::tree ? 3.1 : 3.1 * (1 + kWaiting)));
  // And so is the file: flush() gives back the room in which it built the next version.
  if (kind == TableKind::tree) CHECK(sizes.most <= 3.2);
  CHECK(sizes.compacted <= 1.4);
  CHECK(sizes.compacted < sizes.with_snapshots / 2);
}

Task<Status> flush_under_a_snapshot(Core& core, TableKind& kind, std::uint64_t& commits, std::uint64_t& syncs) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table table = co_await check(table_of(db, kind));
  co_await check(overwrite_all(db, table, 0));
  {
    const Snapshot held = db.snapshot();
    co_await check(overwrite_all(db, table, 1));  // half of the file is held from here on
    const Stats before = db.stats();
    for (int i = 0; i < 10; ++i) {
      co_await check(db.put(table, key_of(5), "a small write"));
      co_await check(db.flush());
    }
    commits = db.stats().commits - before.commits;
    syncs = db.stats().device_syncs - before.device_syncs;
  }
  Status closed = co_await db.close();
  co_return closed;
}

// Pages that a snapshot held counted as room to be won, so every flush looked for it: four commits instead of one.
TEST_CASE("space: a snapshot that holds much of the file does not make every flush compact it", "[S10]") {
  TableKind kind = TableKind::tree;  // a level store flushes beside merges, which commit as well
  SimDisk disk;
  std::uint64_t commits = 0;
  std::uint64_t syncs = 0;
  run_on(disk, &flush_under_a_snapshot, kind, commits, syncs);
  CHECK(commits <= 15);
  CHECK(syncs <= 40);
}

Task<Status> insert_at_random(Core& core, double& fill) {
  Partition db = co_await check(Partition::open(core, kOptions));
  rt::Random random(4);
  const std::string value(100, 'v');
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const std::string key = rt::str(1'000'000'000'000'000 + random.below(1'000'000'000'000'000));
    co_await check(db.put(key, value));
    bytes += key.size() + value.size();
    if (i % 5000 == 4999) {
      co_await check(db.flush());
    }
  }
  const Stats stats = db.stats();
  // Keys and values alone, over every page in use: prefixes, heads, slots and branches count as empty here.
  fill = static_cast<double>(bytes) / static_cast<double>(stats.used_pages * kPageBytes);
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("space: leaves stay at least 65 % full under random inserts", "[S24]") {
  SimDisk disk;
  double fill = 0;
  run_on(disk, &insert_at_random, fill);
  std::printf("space: after 100,000 random inserts in 20 flushes pages are %.1f %% full with keys and values\n",
              fill * 100);
  CHECK(fill >= 0.65);
}

}  // namespace
}  // namespace cambium::test
