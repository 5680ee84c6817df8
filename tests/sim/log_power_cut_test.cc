// SPDX-License-Identifier: MIT OR Apache-2.0
// Power cuts with a write-ahead log: whatever a write was promised when it was acknowledged is there afterwards, in
// every mode, while segments are reused, checkpoints move the start on, and files are opened again. The keys live in a
// tree and in a level store, half of them in each, so that batches and groups span both.
//
// CAMBIUM_CRASH_STATES sets how many crash images are checked over all workloads; CAMBIUM_SEED another schedule.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "support/crash_explorer.h"

namespace cambium::test {
namespace {

Task<Status> put_batch(TracedPartition& db, std::uint64_t round, std::size_t bytes) {
  WriteBatch batch;
  for (std::uint64_t i = 0; i < 4; ++i) {
    batch.put(db.home(crash_key(i * 7)), crash_key(i * 7), crash_value(i * 7, round, bytes));
  }
  batch.del(db.home(crash_key(round % 40)), crash_key(round % 40));
  Status done = co_await db.write(batch);
  co_return done;
}

// ---- the workloads ------------------------------------------------------------------------------------------------

Task<Status> hundred_keys(Core&, TracedPartition& db) {
  for (std::uint64_t i = 0; i < 100; ++i) {
    co_await check(db.put(crash_key(i), crash_value(i, 0, 200)));
  }
  co_return Status();
}

// Every write is acknowledged by the log; segments turn over, buffers fill and are flushed by themselves.
Task<Status> synced(Core&, TracedPartition& db) {
  rt::Random random(3);
  for (std::uint64_t round = 1; round <= 90; ++round) {
    const std::uint64_t key = random.below(100);
    co_await check(db.put(crash_key(key), crash_value(key, round, random.below(3000))));
    if (round % 5 == 0) {
      co_await check(put_batch(db, round, 150));
    }
    if (round % 40 == 0) {
      co_await check(db.flush());
    }
    if (round % 9 == 0) {
      co_await check(db.del(crash_key(random.below(100))));
    }
  }
  co_return Status();
}

// Several writers share a group: each is answered by itself.
Task<Status> synced_together(Core&, TracedPartition& db) {
  for (std::uint64_t round = 1; round <= 40; ++round) {
    std::vector<Op<void>> writes;
    for (std::uint64_t i = 0; i < 6; ++i) {
      writes.push_back(db.put(crash_key(round * 3 + i), crash_value(i, round, 700)));
    }
    for (Op<void>& write : writes) {
      Op<void>& one = write;
      co_await check(std::move(one));
    }
  }
  co_return Status();
}

Task<Status> batched(Core& core, TracedPartition& db) {
  for (std::uint64_t round = 1; round <= 50; ++round) {
    for (std::uint64_t i = 0; i < 8; ++i) {
      co_await check(db.put(crash_key(round + i * 11), crash_value(i, round, 400)));
    }
    co_await check(put_batch(db, round, 90));
    if (round % 3 == 0) {
      co_await check(db.durable());
    }
    if (round % 7 == 0) co_await core.sleep_ns(12'000'000);  // the interval passes
    if (round % 5 == 0) {
      co_await check(db.put(crash_key(5), crash_value(5, round, 60), {.durable = true}));
    }
    if (round % 21 == 0) {
      co_await check(db.flush());
    }
  }
  co_return Status();
}

// No log: what asks for durability is flushed.
Task<Status> durable_without_log(Core&, TracedPartition& db) {
  for (std::uint64_t round = 1; round <= 25; ++round) {
    for (std::uint64_t i = 0; i < 5; ++i) {
      co_await check(db.put(crash_key(round * 2 + i), crash_value(i, round, 100)));
    }
    co_await check(db.put(crash_key(round), crash_value(1, round, 300), {.durable = true}));
    co_await check(db.put(crash_key(round + 1), crash_value(2, round, 300)));
    if (round % 4 == 0) {
      co_await check(db.durable());
    }
  }
  co_return Status();
}

// Values longer than the staging of the log, than a segment, and than the whole log.
Task<Status> long_records(Core&, TracedPartition& db) {
  constexpr std::size_t kSizes[] = {20'000, 90, 60'000, 150'000, 300, 4000, 200'000, 40};
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < std::size(kSizes); ++i) {
      co_await check(db.put(crash_key(i), crash_value(i, round, kSizes[(i + round) % std::size(kSizes)])));
    }
  }
  co_return Status();
}

// Opened again and again: cleanly, with what the log was begun for, and with no log in between.
Task<Status> opened_again(Core& core, TracedPartition& db) {
  const WalMode modes[] = {WalMode::sync, WalMode::batched, WalMode::none, WalMode::sync};
  std::uint64_t round = 1;
  for (const WalMode mode : modes) {
    co_await check(db.close());
    Options options = crash_options(mode);
    options.path = kCrashFile;
    options.mode = OpenMode::open;
    co_await check(db.open(core, options));
    for (std::uint64_t i = 0; i < 25; ++i, ++round) {
      co_await check(db.put(crash_key(i), crash_value(i, round, 300)));
    }
    if (mode == WalMode::batched) {
      co_await check(db.durable());
    }
  }
  co_return Status();
}

// ---- the tests ----------------------------------------------------------------------------------------------------

TEST_CASE("power cut: at every step of writes that the log acknowledges one by one", "[cut-log][S09][F05][L03][R03]") {
  expect_survival({"log, sync", crash_options(WalMode::sync), &hundred_keys, &synced, nullptr, true, Home::mixed});
}
TEST_CASE("power cut: at every step of writes that share groups of the log", "[cut-log][S09][L03]") {
  expect_survival({"log, sync, six writers", crash_options(WalMode::sync, 256 * KiB), &hundred_keys, &synced_together,
                   nullptr, true, Home::mixed});
}
TEST_CASE("power cut: at every step of a log written in batches", "[cut-log][S09][L03]") {
  expect_survival(
      {"log, batched", crash_options(WalMode::batched), &hundred_keys, &batched, nullptr, false, Home::mixed});
}
TEST_CASE("power cut: at every step of durable writes without a log", "[cut-log][S09]") {
  expect_survival({"durable writes, no log", crash_options(WalMode::none), &hundred_keys, &durable_without_log, nullptr,
                   false, Home::mixed});
}
TEST_CASE("power cut: at every step of records longer than the log has room for", "[cut-log][S09][S13]") {
  expect_survival({"log, long records", crash_options(WalMode::sync, 256 * KiB), nullptr, &long_records, nullptr, false,
                   Home::mixed});
}
TEST_CASE("power cut: at every step of opening, closing and changing the mode of the log", "[cut-log][S09][S17]") {
  expect_survival(
      {"log, opened again", crash_options(WalMode::sync), &hundred_keys, &opened_again, nullptr, false, Home::mixed});
}
TEST_CASE("power cut: at every step of making a partition with a log and its first writes", "[cut-log][S09]") {
  expect_survival({"log, creation", crash_options(WalMode::sync), nullptr, &hundred_keys, nullptr, false, Home::mixed});
}

}  // namespace
}  // namespace cambium::test
