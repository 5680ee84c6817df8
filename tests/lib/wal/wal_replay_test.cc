// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/wal_replay.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "lib/wal/log_fixture.h"
#include "support/seed.h"
#include "support/sleep.h"
#include "wal/log_window.h"
#include "wal/zero_segment.h"

namespace cambium {
namespace {

using test::LogFixture;
using test::one_put;

TEST_CASE("wal replay: random batches come back over group and segment ends, in every policy, on any device") {
  const std::uint64_t base = test::test_seed(1);
  for (std::uint64_t seed = base; seed < base + 60; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    const std::uint32_t segment_pages = static_cast<std::uint32_t>(random.between(2, 16));
    const std::uint32_t staging_bytes = 8192 + 4096 * static_cast<std::uint32_t>(random.below(8));
    LogFixture f(segment_pages, 60, SimOptions::drawn(seed), staging_bytes, 3 + random.below(3));
    const WalPolicy policies[] = {{}, {.interval_ms = 1}, {.bytes = 20'000}, {.interval_ms = 2, .lazy_bytes = 6000}};
    f.open(policies[random.below(4)], Sequence{random.below(1000)});
    const Sequence tables = f.writer->last_appended();
    for (unsigned i = 0; i < 200; ++i) {
      if (!f.append_somehow(test::random_batch(random, 20'000))) break;
      if (random.below(10) == 0) f.writer->request_durable(f.writer->last_appended());
      if (random.below(6) == 0) f.run(test::sleep_a_while(f.core()));
    }
    const Sequence last = f.writer->last_appended();
    f.close();
    const WalReplay result = f.replay_now(tables, static_cast<unsigned>(2 + random.below(4))).value();
    REQUIRE(f.seen == f.appended);
    CHECK(result.last_sequence == last);
    CHECK(result.records == f.appended.size());
    CHECK(result.stale_offsets.empty());
  }
}

TEST_CASE("wal replay: values of every length around group and segment ends") {
  for (std::size_t around : {4096u, 8192u, 16384u}) {
    for (std::size_t value = around - 130; value < around + 20; ++value) {
      LogFixture f(4, 12, {.seed = 1, .eager = true}, 8192);
      f.open();
      CAPTURE(value);
      REQUIRE(f.append_somehow(one_put("before", "x")));
      REQUIRE(f.append_somehow(one_put("key", std::string(value, 'v'))));
      REQUIRE(f.append_somehow(one_put("after", "y")));
      f.close();
      REQUIRE(f.replay_now());
      REQUIRE(f.seen == f.appended);
    }
  }
}

TEST_CASE("wal replay: a record far longer than all staging buffers, and than the windows it is read through") {
  LogFixture f(256, 9, {.seed = 3}, 256 << 10);
  f.open({.bytes = 1 << 20});
  rt::Random random(3);
  REQUIRE(f.append(one_put("small", "before")));
  const test::OwnedBatch large = one_put("large", test::random_bytes(random, 5 << 20));
  CHECK(!f.append(large));
  CHECK(f.writer->room_for(wal_body_bytes(large.entries())) == WalRoom::large);
  CHECK(f.append_large(large));
  REQUIRE(f.append(one_put("small", "after")));
  f.close();
  CHECK(f.replay_now());
  CHECK(f.seen == f.appended);
}

TEST_CASE("wal replay: what the tables hold is skipped, a record they hold in part is shown whole") {
  LogFixture f(8, 5);
  f.open();
  for (unsigned i = 0; i < 10; ++i) {
    REQUIRE(f.append({{{kDefaultTable, WalEntryKind::put, "a", "1"}, {kDefaultTable, WalEntryKind::del, "b", ""}}}));
  }
  f.close();
  CHECK(f.replay_now(Sequence{6}).value().records == 7);
  REQUIRE(!f.seen.empty());
  CHECK(f.seen.front().first == Sequence{7});
  REQUIRE(f.replay_now(Sequence{7}));
  CHECK(f.seen.front() == f.appended[3]);  // 7 and 8
  CHECK(f.replay_now(Sequence{20}).value().last_sequence == Sequence{20});
  CHECK(f.seen.empty());
  CHECK(f.replay_now(Sequence{33}).value().last_sequence == Sequence{33});  // the tables went ahead of the log
}

TEST_CASE("wal replay: a sink that has no room is waited for, and sees every record once") {
  LogFixture f(16, 9, {.seed = 5});
  f.open();
  rt::Random random(5);
  for (unsigned i = 0; i < 60; ++i) REQUIRE(f.append_somehow(test::random_batch(random, 9000)));
  f.close();
  REQUIRE(f.replay_now({}, 3));
  CHECK(f.seen == f.appended);
  CHECK(f.sink_waits >= 20);
}

TEST_CASE("wal replay: segments are used again without being zeroed, and only what is new is replayed") {
  const std::uint64_t base = test::test_seed(1);
  for (std::uint64_t seed = base; seed < base + 10; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    LogFixture f(4, 6, {.seed = seed}, 8192);
    f.open();
    Sequence tables{};
    for (unsigned i = 0; i < 600; ++i) {
      const test::OwnedBatch batch = test::random_batch(random, 5000);
      if (!f.append_somehow(batch)) {
        tables = f.appended[f.appended.size() - 1 - random.below(3)].last;
        const std::uint64_t position = f.writer->position_of(tables);
        f.run(test::sync_device(f.device())).value();
        f.writer->advance_start(position);
        f.settle();
        REQUIRE(f.append_somehow(batch));
      }
    }
    CHECK(f.writer->stats().segments_opened > 20);
    f.close();
    REQUIRE(f.replay_now(tables));
    while (!f.appended.empty() && f.appended.front().last <= tables) f.appended.erase(f.appended.begin());
    REQUIRE(f.seen == f.appended);
  }
}

TEST_CASE("wal replay: a log of zeros, of another log's groups, and without segments is empty") {
  LogFixture f(4, 5);
  CHECK(f.replay_now(Sequence{9}).value().last_sequence == Sequence{9});
  f.open({}, Sequence{9});
  REQUIRE(f.append(one_put("k", "v")));
  f.close();
  const WalLayout before = f.layout;
  f.layout.log_id = 0x2222;
  const WalReplay other = f.replay_now(Sequence{9}).value();
  CHECK(other.records == 0);
  CHECK(other.end_position == 0);
  CHECK(other.stale_offsets.empty());
  f.layout = before;
  f.layout.first_pages.clear();
  CHECK(f.replay_now(Sequence{9}).value().end_position == 0);
}

TEST_CASE("wal replay: an erased tail takes lost groups away for good") {
  // Group k is lost in a crash, group k + 1 is not. Later writes end exactly where k + 1 begins: without the erasure
  // it would be replayed as if it followed them.
  for (const bool erase : {true, false}) {
    LogFixture f(8, 5);
    f.open();
    for (unsigned i = 0; i < 3; ++i) {
      REQUIRE(f.append(one_put("old", std::string(1, static_cast<char>('a' + i)))));
      f.settle();  // each is a group of 4 KiB, at 4096, 8192, 12288
    }
    f.kill();
    f.disk().zero(test::kFile, f.file_offset(8192), 4096);
    const WalReplay cut = f.replay_now().value();
    CHECK(f.seen.size() == 1);
    CHECK(cut.end_position == 8192);
    REQUIRE(cut.stale_offsets == std::vector<std::uint64_t>{f.file_offset(12288)});
    if (erase) {
      f.run(erase_tail(f.device(), cut)).value();
      CHECK(f.disk().peek(test::kFile, f.file_offset(12288), 4096) == std::string(4096, '\0'));
      CHECK(f.replay_now().value().stale_offsets.empty());
    }
    // The next incarnation writes the group that was lost anew.
    f.writer.emplace(f.device(), f.layout, cut, f.staging);
    f.appended.resize(1);
    REQUIRE(f.append(one_put("new", "b")));
    f.settle();
    f.kill();
    REQUIRE(f.replay_now());
    if (erase) {
      CHECK(f.seen == f.appended);
    } else {
      CHECK(f.seen.size() == 3);  // what the erasure is for: "old" = "c" is back, though nobody wrote it after "new"
    }
  }
}

TEST_CASE("wal replay: a damaged group beyond the cut is erased too, for a later write could complete it") {
  LogFixture f(16, 5, {.seed = 1, .eager = true}, 16 << 10);
  f.open();
  REQUIRE(f.append(one_put("one", "1")));
  f.settle();
  REQUIRE(f.append(one_put("two", "2")));
  f.settle();
  REQUIRE(f.append(one_put("three", std::string(9000, '3'))));
  f.settle();
  f.kill();
  f.disk().zero(test::kFile, f.file_offset(8192), 4096);
  f.disk().zero(test::kFile, f.file_offset(12288) + 8192, 512);  // in the middle of the third group
  const WalReplay cut = f.replay_now().value();
  CHECK(cut.stale_offsets == std::vector<std::uint64_t>{f.file_offset(12288)});
}

TEST_CASE("wal replay: zeroing a segment writes all of it and nothing else") {
  test::DeviceFixture f(64, {.seed = 4, .short_chance = 0.2});
  f.disk().poke(test::kFile, 0, std::string(64 * kPageBytes, 'x'));
  WriteGroup writes(f.device(), f.memory(16), 4, 4 * kPageBytes);
  REQUIRE(f.run(zero_segment(writes, 4 * kPageBytes, 9, 30)));
  CHECK(f.disk().peek(test::kFile, 0, 9 * kPageBytes) == std::string(9 * kPageBytes, 'x'));
  CHECK(f.disk().peek(test::kFile, 9 * kPageBytes, 30 * kPageBytes) == std::string(30 * kPageBytes, '\0'));
  CHECK(f.disk().peek(test::kFile, 39 * kPageBytes, 25 * kPageBytes) == std::string(25 * kPageBytes, 'x'));
}

}  // namespace
}  // namespace cambium
