// SPDX-License-Identifier: MIT OR Apache-2.0
// A table of kind levels through the whole engine: what its statistics say of filters and compactions, pausing, and
// damage to its sstables and filters.
#include <catch2/catch.hpp>

#include <string>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
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

}  // namespace
}  // namespace cambium::test
