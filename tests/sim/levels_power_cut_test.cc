// SPDX-License-Identifier: MIT OR Apache-2.0
// Power cuts while a level store is flushed and compacted, beside a tree, under one batch and one log: each crash
// leaves a version of both, whole, wherever in a flush, a slice of a merge or its publication the power went.
#include <catch2/catch.hpp>

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "support/codecs.h"
#include "support/crash_explorer.h"
#include "support/skip.h"

namespace cambium::test {
namespace {

std::string value_of(std::uint64_t i, std::uint64_t round) {
  return rt::str(i, " in round ", round, std::string(20 + i * 37 % 500, 'v'));
}

// Batches over both kinds; enough flushes for several merges, the last ones into the bottom.
Task<Status> flush_and_compact_table(TracedPartition& db, Compression compression) {
  TableOptions made{.kind = TableKind::levels};
  made.compression = compression;
  const Table events = co_await check(db.table("events", made));
  for (std::uint64_t round = 0; round < 16; ++round) {
    WriteBatch batch;
    for (std::uint64_t i = 0; i < 12; ++i) batch.put(events, crash_key((round * 7 + i * 5) % 60), value_of(i, round));
    batch.del(events, crash_key(round * 3 % 60));
    batch.put(rt::str("batch ", round), "of the default table");
    co_await check(db.write(batch));
    co_await check(db.flush());
    if (round % 5 == 4) {
      co_await check(db.settle());
    }
  }
  Status settled = co_await db.settle();
  co_return settled;
}

Task<Status> flush_and_compact(Core&, TracedPartition& db) {
  Status done = co_await flush_and_compact_table(db, Compression::none);
  co_return done;
}
// Merges have packed leaves; what a flush writes is one leaf.
Task<Status> flush_and_compact_packed(Core&, TracedPartition& db) {
  Status done = co_await flush_and_compact_table(db, some_codec());
  if (!done) co_return done;
  const Table events = co_await check(db.table("events"));
  const TableStats stats = co_await check(db.db().table_stats(events));
  CHECK(stats.compression_ratio() > 1.5);
  co_return done;
}

Task<Status> long_values(Core&, TracedPartition& db) {
  const Table events = co_await check(db.table("events", {.kind = TableKind::levels}));
  for (std::uint64_t round = 0; round < 9; ++round) {
    for (std::uint64_t i = 0; i < 4; ++i) {
      const std::string value(i % 2 == 0 ? 3000 + round * 100 : 40, 'l');
      co_await check(db.put(events, crash_key((round + i * 3) % 9), value));
    }
    co_await check(db.del(events, crash_key(round % 9)));
    co_await check(db.flush());
  }
  Status settled = co_await db.settle();
  co_return settled;
}

// Several hundred pages, most of which are free in the end.
Task<Status> fill_and_delete(Core&, TracedPartition& db) {
  const Table events = co_await check(db.table("events", {.kind = TableKind::levels}));
  for (std::uint64_t i = 0; i < 500; ++i) {
    co_await check(db.put(events, crash_key(i * 7 % 500), std::string(1000, 'v')));
    if (i % 100 == 99) {
      co_await check(db.flush({.trim = false}));
    }
  }
  co_await check(db.settle());
  for (std::uint64_t i = 0; i < 500; ++i) {
    if (i % 5 != 0) {
      co_await check(db.del(events, crash_key(i)));
    }
  }
  Status flushed = co_await db.flush({.trim = false});
  co_return flushed;
}
Task<Status> compact_file(Core&, TracedPartition& db) {
  const Table events = co_await check(db.table("events"));
  for (std::uint64_t round = 0; round < 5; ++round) {
    co_await check(db.put(events, crash_key(round), rt::str("round ", round)));
    co_await check(db.flush({.trim = false}));
  }
  co_await check(db.settle());
  Status compacted = co_await db.compact();
  co_return compacted;
}

// Two of each kind under random batches, some with long values; merges, the file's compaction and snapshots beside.
Task<Status> random_batches(Core& core, TracedPartition& db) {
  std::vector<Table> tables = {db.db().default_table()};
  const Table tree = co_await check(db.table("tree"));
  const Table events = co_await check(db.table("events", {.kind = TableKind::levels}));
  const Table others = co_await check(db.table("others", {.kind = TableKind::levels}));
  tables.insert(tables.end(), {tree, events, others});
  rt::Random random(77);
  std::optional<Snapshot> held;
  for (std::uint64_t round = 0; round < 40; ++round) {
    WriteBatch batch;
    const std::uint64_t writes = 1 + random.below(12);
    for (std::uint64_t i = 0; i < writes; ++i) {
      const Table& table = tables[random.below(tables.size())];
      const std::uint64_t key = random.below(40);
      if (random.below(4) == 0) {
        batch.del(table, crash_key(key));
      } else {
        batch.put(table, crash_key(key),
                  random.below(12) == 0 ? std::string(2000 + key * 100, 'l') : value_of(key, round));
      }
    }
    co_await check(db.write(batch));
    if (random.below(2) == 0) {
      co_await check(db.flush({.trim = false}));
    }
    if (round % 13 == 6) held.emplace(db.db().snapshot());
    if (round % 13 == 11) held.reset();
    if (round % 16 == 15) {
      co_await check(db.compact());
    }
    if (random.below(4) == 0) co_await core.sleep_ns(12'000'000);  // a log in batches is written
  }
  co_await check(db.flush());
  Status settled = co_await db.settle();
  co_return settled;
}

TEST_CASE("power cut: at every step of flushes and compactions of a level store, without a log",
          "[cut-levels][S02][F09][F10][F11][L09]") {
  expect_survival({"levels, no log", crash_options(WalMode::none), nullptr, &flush_and_compact});
}
TEST_CASE("power cut: at every step of flushes and compactions of a level store, with a log that waits",
          "[cut-levels][S02][F10][L03]") {
  expect_survival({"levels, log", crash_options(WalMode::sync), nullptr, &flush_and_compact, nullptr, true});
}
TEST_CASE("power cut: at every step of flushes and compactions of a compressed level store, without a log",
          "[cut-levels][S02][F06][F10]") {
  if (some_codec() == Compression::none) CAMBIUM_SKIP("this build has no codec");
  expect_survival({"levels, compressed", crash_options(WalMode::none), nullptr, &flush_and_compact_packed});
}
TEST_CASE("power cut: at every step of compactions that carry and drop long values", "[cut-levels][S02][S13][F10]") {
  expect_survival({"levels, long values", crash_options(WalMode::none), nullptr, &long_values});
}
TEST_CASE("power cut: at every step of moving sstables out of the end of the file", "[cut-levels][S02][F10]") {
  expect_survival({"levels, file compaction", crash_options(WalMode::none), &fill_and_delete, &compact_file});
}
TEST_CASE("power cut: at every step of random batches over two trees and two level stores",
          "[cut-levels][S02][S09][F09][F10]") {
  const WalMode mode = GENERATE(WalMode::none, WalMode::batched);
  Options options = crash_options(mode);
  if (mode == WalMode::none) options.memory_bytes = 16 * MiB;  // merges of both level stores go on side by side
  expect_survival(
      {mode == WalMode::none ? "a mix, no log" : "a mix, log in batches", options, nullptr, &random_batches});
}

}  // namespace
}  // namespace cambium::test
