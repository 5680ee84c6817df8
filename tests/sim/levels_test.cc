// SPDX-License-Identifier: MIT OR Apache-2.0
// A table of kind levels through the whole engine: what its statistics say of filters and compactions, pausing, and
// damage to its sstables and filters.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "support/effort.h"
#include "support/quiet_log.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr Options kOptions{
    .path = "levels.cambium", .memory_bytes = 2 * MiB, .write_buffer_bytes = 64 * KiB, .cache_bytes = 512 * KiB};

std::string key_of(std::uint64_t i) { return rt::str("key ", 1'000'000 + i); }

Task<Result<Partition>> open_levels(Core& core) {
  Partition db = co_await check(Partition::open(core, kOptions));
  co_return db;
}

// Several runs, each over all of the keys.
Task<Status> fill(Partition& db, const Table& table, std::uint64_t rounds) {
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::uint64_t i = 0; i < 300; ++i) {
      co_await check(db.put(table, key_of((i * rounds + round) * 2), rt::str("round ", round)));
    }
    co_await check(db.flush({.trim = false}));
  }
  co_return Status();
}

Task<Status> filters_and_pauses(Core& core) {
  Partition db = co_await check(open_levels(core));
  Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
  db.pause_compaction();
  co_await check(fill(db, table, 5));
  co_await check(db.settle());
  CHECK(db.stats().compactions == 0);
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const Value value = co_await check(db.get(table, key_of(i)));
    CHECK(static_cast<bool>(value) == (i % 2 == 0));
  }
  const Stats paused = db.stats();
  CHECK(paused.filter_checks > 10'000);
  CHECK(paused.filter_negatives > paused.filter_checks / 2);
  CHECK(paused.filter_false_positives < paused.filter_checks / 20);

  co_await check(fill(db, table, 4));  // level 0 is full now
  db.resume_compaction();
  co_await check(db.settle());
  CHECK(db.stats().compactions > 0);
  CHECK(db.stats().compaction_pages_written > 0);
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

// What was taken from a queue is gone from its pages soon after, whoever asks for it: nobody calls for a merge here.
Task<Status> drain_a_queue(Core& core) {
  constexpr std::uint64_t kEntries = 60'000;
  Partition db = co_await check(open_levels(core));
  Table queue = co_await check(db.table("queue", {.kind = TableKind::levels}));
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    co_await check(db.put(queue, key_of(i), "something to do"));
  }
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    co_await check(db.del(queue, key_of(i)));
  }
  co_await check(db.put(queue, key_of(kEntries), "the last one"));
  co_await check(db.flush({.trim = false}));
  co_await core.sleep_ns(1'000'000'000);
  CHECK(db.table_stats(queue).value().entries < kEntries / 2);  // of twice as many writes
  const std::uint64_t reads_before = db.stats().page_reads;
  {
    Scan scan = db.scan(queue, {});
    const auto page = co_await check(scan.next_page());
    REQUIRE(page.size() == 1);
    CHECK(page.front().value == Bytes("the last one"));
    CHECK(db.stats().page_reads - reads_before < 150);  // the queue had 700 pages, its tombstones 300
  }
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("levels: a queue that was emptied is passed over quickly, because its tombstones are merged early", "[F11]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(37), .eager = true});
  const Status done = core->run(drain_a_queue(*core));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
}

// How long settle() takes for so many tables, each of a few runs, on a device that takes its time.
Task<Status> settle_tables(Core& core, unsigned count, std::int64_t& took_ns) {
  Options options = kOptions;
  options.memory_bytes = 16 * MiB;
  options.write_buffer_bytes = 1 * MiB;  // sstables of 128 pages: a slice is longer than the commit that ends it
  Partition db = co_await check(Partition::open(core, options));
  db.pause_compaction();
  for (unsigned i = 0; i < count; ++i) {
    Table table = co_await check(db.table(rt::str("t", i), {.kind = TableKind::levels}));
    for (unsigned run = 0; run < 8; ++run) {
      for (std::uint64_t key = run; key < 8000; key += 8) {
        co_await check(db.put(table, key_of(key), std::string(400, 'v')));
      }
      co_await check(db.flush({.trim = false}));
    }
  }
  const std::int64_t began_ns = core.now_ns();
  db.resume_compaction();
  co_await check(db.settle());
  took_ns = core.now_ns() - began_ns;
  CHECK(db.stats().compactions == count);
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("levels: merges of two tables go on side by side, those of a third one wait their turn", "[F11]") {
  std::int64_t took_ns[5] = {};
  for (const unsigned count : {1u, 2u, 4u}) {
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(41), .latency_ticks = {20, 20, 20, 20}});
    const Status done = core->run(settle_tables(*core, count, took_ns[count]));
    INFO(std::string(done ? "" : done.error().message()));
    REQUIRE(done);
  }
  CAPTURE(took_ns[1], took_ns[2], took_ns[4]);
  CHECK(took_ns[2] < took_ns[1] * 7 / 4);
  CHECK(took_ns[4] > took_ns[1] * 7 / 4);
  CHECK(took_ns[4] < took_ns[1] * 3);
}

// Runs that end early lie over runs that go on: when a merge is left off, what it took from the long ones must not come
// back over what it took from the short ones, which are gone.
Task<Status> leave_a_merge(Core& core) {
  constexpr std::uint64_t kKeys = 4000;
  std::map<std::string, std::string> model;
  {
    Partition db = co_await check(open_levels(core));
    Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
    db.pause_compaction();
    for (std::uint64_t round = 0; round < 12; ++round) {
      for (std::uint64_t i = 0; i < (round % 2 == 0 ? kKeys : kKeys / 40); ++i) {
        const std::string value = rt::str("round ", round, std::string(60, '.'));
        co_await check(db.put(table, key_of(i), value));
        model[key_of(i)] = value;
      }
      co_await check(db.flush({.trim = false}));
    }
    db.resume_compaction();
    while (db.stats().compaction_slices == 0) co_await core.yield();
    db.pause_compaction();
    co_await check(db.settle());  // the slice under way
    const TableLevels levels = co_await check(db.table_levels(table));
    CHECK(std::any_of(levels.sstables.begin(), levels.sstables.end(),
                      [](const SstableInfo& one) { return one.trimmed; }));
    co_await check(db.check());
    co_await check(db.close());
  }
  Partition db = co_await check(open_levels(core));
  db.pause_compaction();
  co_await check(db.check());
  Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
  {
    Scan scan = db.scan(table, {});
    auto expected = model.begin();
    for (;;) {
      const auto page = co_await check(scan.next_page());
      if (page.empty()) break;
      for (const Entry& entry : page) {
        REQUIRE(expected != model.end());
        REQUIRE(entry.key == Bytes(expected->first));
        REQUIRE(entry.value == Bytes(expected->second));
        ++expected;
      }
    }
    CHECK(expected == model.end());
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("levels: a merge that was left off brings nothing back when the manifest is read again", "[F10][F11]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(41), .eager = true});
  const Status done = core->run(leave_a_merge(*core));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
}

TEST_CASE("levels: filters spare most reads, and compaction rests while it is paused", "[F08][F28][L05][L07]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(31)});
  const Status done = core->run(filters_and_pauses(*core));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  core->drain();
}

Task<Status> make_file(Core& core) {
  Partition db = co_await check(open_levels(core));
  Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
  co_await check(fill(db, table, 8));
  co_await check(db.settle());
  Status closed = co_await db.close();
  co_return closed;
}

// Every answer is right, or an error; `errors` counts those.
Task<Status> read_all(Core& core, std::uint64_t& errors, bool& checked) {
  Result<Partition> opened = co_await open_levels(core);
  if (!opened) {
    ++errors;
    co_return opened.code() == Errc::corruption ? Status() : Status(opened.error());
  }
  Partition& db = *opened;
  Result<Table> table = co_await db.table("t", {}, TableMode::open);
  for (std::uint64_t i = 0; table && i < 4800; i += 3) {
    Result<Value> value = co_await db.get(*table, key_of(i));
    if (!value && value.code() != Errc::corruption) co_return value.error();
    errors += value ? 0u : 1u;
    if (value && static_cast<bool>(*value) != (i % 2 == 0)) co_return Error(Errc::io, "a wrong answer");
    if (value && *value && value->view().find("round ") != 0) co_return Error(Errc::io, "a wrong value");
  }
  Result<CheckReport> report = co_await db.check();
  checked = report.has_value();
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("levels: a bit that flipped anywhere in sstables, filters or the manifest is reported, never returned",
          "[F12]") {
  SimDisk pristine;
  {
    const std::unique_ptr<Core> core = pristine.make_core({.seed = 1, .eager = true});
    REQUIRE(core->run(make_file(*core)));
    core->drain();
  }
  const QuietLog quiet;
  const std::uint64_t pages = pristine.file_size("levels.cambium") / kPageBytes;
  std::uint64_t found = 0;
  for (std::uint64_t page = 8; page < pages; ++page) {
    CAPTURE(page);
    SimDisk disk = pristine.clone();
    disk.flip_bit("levels.cambium", page * kPageBytes + (page * 977) % kPageBytes, page % 8);
    const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
    std::uint64_t errors = 0;
    bool whole = false;
    const Status done = core->run(read_all(*core, errors, whole));
    INFO(std::string(done ? "" : done.error().message()));
    REQUIRE(done);
    if (errors != 0) CHECK(!whole);  // what a reader meets the checker finds
    found += whole ? 0u : 1u;
    core->drain();
  }
  CHECK(found >= 15);  // of some thirty pages in use
}

// ---- merges that fail
// ------------------------------------------------------------------------------------------------

Task<Status> one_run(Core& core) {
  Partition db = co_await check(open_levels(core));
  const Table table = co_await check(db.table("hurt", {.kind = TableKind::levels}));
  co_await check(db.put(table, "in the damaged page", std::string(300, 'd')));
  Status closed = co_await db.close();
  co_return closed;
}

// Until the table says that it takes no more.
Task<Status> write_over_damage(Core& core, std::uint64_t& runs, std::string& refusal) {
  Partition db = co_await check(open_levels(core));
  const Table table = co_await check(db.table("hurt"));
  const Table other = co_await check(db.table("other", {.kind = TableKind::levels}));
  Status put;
  for (std::uint64_t i = 0; put && i < 3000; ++i) {
    put = co_await db.put(table, key_of(i % 500), std::string(100, 'v'));
    if (put && i % 20 == 19) put = co_await db.flush({.trim = false});
    if (put) put = co_await db.put(other, key_of(i % 500), std::string(100, 'o'));
  }
  if (put.code() != Errc::corruption) co_return put ? Error(Errc::io, "nobody was told") : put;
  refusal = put.error().message();
  const Result<TableStats> stats = db.table_stats(table);
  runs = stats ? stats.value().runs : 0;

  // Reads go on, and so does what else there is; the refused write is not there.
  WriteBatch both;
  both.put(other, "a batch", "1").put(table, "a batch", "1");
  const Status batch = co_await db.write(both);
  CHECK(batch.code() == Errc::corruption);
  Value value = co_await check(db.get(other, "a batch"));
  CHECK(!value);
  value = co_await check(db.get(table, key_of(1)));
  CHECK(value.view() == std::string(100, 'v'));
  value = Value();
  co_await check(db.put(other, "more", "1"));
  co_await check(db.flush());
  const Status settled = co_await db.settle();
  CHECK(settled.code() == Errc::corruption);
  co_await check(db.drop_table("hurt"));
  co_await check(db.flush());
  Status closed = co_await db.close();
  co_return closed;
}

// It used to take writes until the device was full.
TEST_CASE("levels: a table whose merges fail slows its writers down, then refuses them and names the sstable",
          "[F11][F12]") {
  const QuietLog quiet;
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 4, .eager = true});
  std::uint64_t runs = 0;
  std::string refusal;
  REQUIRE(core->run(one_run(*core)));
  const std::string bytes = disk.peek("levels.cambium", 0, disk.file_size("levels.cambium"));
  const std::size_t at = bytes.find(std::string(300, 'd'));
  REQUIRE(at != std::string::npos);
  disk.flip_bit("levels.cambium", at, 3);
  const Status done = core->run(write_over_damage(*core, runs, refusal));
  core->drain();
  INFO(std::string(done ? "" : done.error().message()));
  REQUIRE(done);
  INFO(refusal);
  CHECK(refusal.find("table \"hurt\" takes no more writes") != std::string::npos);
  CHECK(refusal.find("sstable 1: page ") != std::string::npos);
  CHECK(refusal.find("levels.cambium") != std::string::npos);
  CHECK(runs >= 30);
  CHECK(runs <= 36);
}

// ---- small flushes over a large bottom ------------------------------------------------------------------------------

constexpr std::uint64_t kModelKeys = 900;
constexpr Options kTiny{
    .path = "levels.cambium", .memory_bytes = 1 * MiB, .write_buffer_bytes = 64 * KiB, .cache_bytes = 256 * KiB};

using Model = std::map<std::string, std::string>;

// Every key, there or not, by a get; everything there is by a scan in each direction.
Task<Status> agrees(Partition& db, const Table& table, const Model& model) {
  for (std::uint64_t i = 0; i < kModelKeys; ++i) {
    const Value value = co_await check(db.get(table, key_of(i)));
    const auto it = model.find(key_of(i));
    const bool right = it == model.end() ? !value : value && value.view() == it->second;
    if (!right) co_return Error(Errc::io, rt::str("a wrong answer for ", key_of(i)));
  }
  for (const bool reverse : {false, true}) {
    std::vector<std::string> keys;
    Scan scan = db.scan(table, {}, {.reverse = reverse});
    for (;;) {
      const auto page = co_await check(scan.next_page());
      if (page.empty()) break;
      for (const Entry& entry : page) {
        const auto it = model.find(entry.key.str());
        if (it == model.end() || it->second != entry.value.view())
          co_return Error(Errc::io, "a scan shows another entry");
        keys.push_back(it->first);
      }
    }
    if (reverse) std::reverse(keys.begin(), keys.end());
    const bool whole = keys.size() == model.size() && std::is_sorted(keys.begin(), keys.end());
    if (!whole) co_return Error(Errc::io, rt::str("a scan shows ", keys.size(), " of ", model.size(), " entries"));
  }
  co_return Status();
}

Task<Status> write_some(Partition& db, const Table& table, rt::Random& random, bool long_values, Model& model) {
  const std::uint64_t writes = 10 + random.below(40);
  for (std::uint64_t i = 0; i < writes; ++i) {
    const std::string key = key_of(random.below(kModelKeys));
    if (random.below(3) == 0) {
      model.erase(key);
      co_await check(db.del(table, key));
    } else {
      model[key] = std::string(long_values && random.below(20) == 0 ? 3000 : 20 + random.below(60),
                               static_cast<char>('a' + random.below(26)));
      co_await check(db.put(table, key, model[key]));
    }
  }
  Status flushed = co_await db.flush({.trim = false});
  co_return flushed;
}

// From one opening to the next: merges into the bottom take many slices, and some are left off in the middle.
Task<Status> live_once(Core& core, rt::Random& random, bool long_values, Model& model) {
  Partition db = co_await check(Partition::open(core, kTiny));
  const Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
  co_await check(agrees(db, table, model));
  if (model.empty()) {
    for (std::uint64_t i = 0; i < kModelKeys; ++i) {
      model[key_of(i)] = std::string(400, 'o');
      co_await check(db.put(table, key_of(i), model[key_of(i)]));
    }
    co_await check(db.flush());
    co_await check(db.settle());
  }
  const std::uint64_t flushes = random.below(30);
  for (std::uint64_t i = 0; i < flushes; ++i) {
    co_await check(write_some(db, table, random, long_values, model));
    if (random.below(3) == 0) co_await core.sleep_ns(static_cast<std::int64_t>(random.below(2'000)) * kSimTickNs);
    if (random.below(12) == 0) {
      co_await check(db.compact());
    }
    if (random.below(8) == 0) {
      co_await check(agrees(db, table, model));
    }
  }
  if (random.below(2) == 0) {
    co_await check(agrees(db, table, model));
    co_await check(db.check());
  }
  // A merge is due now; it is left off at some slice of it.
  for (int i = 0; i < 7; ++i) {
    const std::string key = key_of(random.below(kModelKeys));
    model[key] = rt::str("of turn ", i);
    co_await check(db.put(table, key, model[key]));
    co_await check(db.flush({.trim = false}));
  }
  co_await core.sleep_ns(static_cast<std::int64_t>(random.below(600)) * kSimTickNs);
  Status closed = co_await db.close();
  co_return closed;
}

// The same on a device that is full for most of the time: what it refuses is not there, everything else is.
Task<Status> live_without_room(Core& core, SimDisk& disk, rt::Random& random, bool long_values, Model& model,
                               std::uint64_t& refused) {
  Partition db = co_await check(Partition::open(core, kTiny));
  const Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
  co_await check(agrees(db, table, model));
  disk.set_capacity_bytes(disk.allocated_bytes() + random.below(400) * KiB);
  const std::uint64_t flushes = 10 + random.below(60);
  for (std::uint64_t i = 0; i < flushes; ++i) {
    const bool deleting = random.below(3) == 0;
    const std::uint64_t first = random.below(kModelKeys);
    const std::uint64_t writes = 10 + random.below(deleting ? 200 : 60);
    for (std::uint64_t n = 0; n < writes; ++n) {
      const std::string key = key_of(deleting ? (first + n) % kModelKeys : random.below(kModelKeys));
      std::string value(long_values && random.below(20) == 0 ? 3000 : 300, static_cast<char>('a' + random.below(26)));
      Op<void> write = deleting ? db.del(table, key) : db.put(table, key, value);
      const Status done = co_await write;
      if (!done && done.code() != Errc::no_space) co_return done;
      refused += done ? 0u : 1u;
      if (done && deleting) model.erase(key);
      if (done && !deleting) model[key] = std::move(value);
    }
    const Status flushed = co_await db.flush({.trim = false});
    if (!flushed && flushed.code() != Errc::no_space) co_return flushed;
    if (random.below(8) == 0) {
      co_await check(agrees(db, table, model));
      co_await check(db.check());
    }
  }
  disk.set_capacity_bytes(~std::uint64_t{0});
  co_await core.sleep_ns(1'000'000'000);
  co_await check(db.flush({.trim = false}));
  co_await check(agrees(db, table, model));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("levels: on a full device deletes make room, and what is there agrees with a map", "[F11][S11]") {
  const bool long_values = GENERATE(false, true);
  const std::uint64_t seed = test_seed(58);
  CAPTURE(long_values);
  INFO("replay: " << replay_command("test_sim", seed));
  const std::uint64_t lives = number_from_environment("CAMBIUM_MODEL_OPERATIONS", 200'000) / 5'000;
  rt::Random random(seed);
  Model model;
  SimDisk disk;
  std::uint64_t refused = 0;
  for (std::uint64_t life = 0; life < lives; ++life) {
    CAPTURE(life);
    add_effort();
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed + life});
    const Status done = core->run(live_without_room(*core, disk, random, long_values, model, refused));
    core->drain();
    INFO(std::string(done ? "" : done.error().message()));
    REQUIRE(done);
  }
  CHECK(refused > 0);
}

TEST_CASE("levels: small flushes over a large bottom, left off in the middle of merges, agree with a map",
          "[F02][F03][F09][F11]") {
  const bool long_values = GENERATE(false, true);
  const std::uint64_t seed = test_seed(57);
  CAPTURE(long_values);
  INFO("replay: " << replay_command("test_sim", seed));
  const std::uint64_t lives = number_from_environment("CAMBIUM_MODEL_OPERATIONS", 200'000) / 2'000;
  rt::Random random(seed);
  Model model;
  SimDisk disk;
  for (std::uint64_t life = 0; life < lives; ++life) {
    CAPTURE(life);
    add_effort();
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed + life});
    const Status done = core->run(live_once(*core, random, long_values, model));
    core->drain();
    INFO(std::string(done ? "" : done.error().message()));
    REQUIRE(done);
  }
}

}  // namespace
}  // namespace cambium::test
