// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/wal_writer.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <cambium/rt/when_all.h>

#include "lib/wal/log_fixture.h"
#include "support/seed.h"

namespace cambium {
namespace {

using test::LogFixture;
using test::one_put;

TEST_CASE("wal writer: all appends of one turn leave as one group, later ones gather while two are in flight") {
  LogFixture f(16, 4, {.seed = 1, .latency_ticks = {1000, 1000, 1000, 1000}});
  f.open();
  for (unsigned i = 0; i < 5; ++i) REQUIRE(f.append(one_put("key", "value")));
  CHECK(f.writer->stats().groups == 0);
  f.core().poll();
  f.core().poll();
  CHECK(f.writer->stats().groups == 1);
  for (unsigned round = 0; round < 5; ++round) {
    REQUIRE(f.append(one_put("key", "value")));
    f.core().poll();
    f.core().poll();
  }
  CHECK(f.writer->stats().groups == 2);  // the other four wait for a completion
  f.settle();
  CHECK(f.writer->stats().groups == 3);
  CHECK(f.writer->stats().syncs == 0);
  CHECK(f.writer->stats().groups_durable == 0);
  CHECK(f.writer->durable() == Sequence{0});
}

TEST_CASE("wal writer: what is asked for at once is written durably, what is asked for later takes one sync") {
  LogFixture f(16, 4);
  f.open();
  REQUIRE(f.append(one_put("key", "1")));
  f.make_durable();
  CHECK(f.writer->stats().groups_durable == 1);
  CHECK(f.writer->stats().syncs == 0);
  REQUIRE(f.append(one_put("key", "2")));
  f.settle();
  REQUIRE(f.append(one_put("key", "3")));
  f.settle();
  CHECK(f.writer->durable() == Sequence{1});
  f.make_durable();
  CHECK(f.writer->durable() == Sequence{3});
  CHECK(f.writer->stats().groups_durable == 1);
  CHECK(f.writer->stats().syncs == 1);
  // A plain group before a durable one: the sync goes along with the write.
  REQUIRE(f.append(one_put("key", "4")));
  f.settle();
  REQUIRE(f.append(one_put("key", "5")));
  f.make_durable();
  CHECK(f.writer->stats().groups_durable == 2);
  CHECK(f.writer->stats().syncs == 2);
  CHECK(f.writer->durable() == Sequence{5});
}

Task<void> ack(WalWriter& writer, Sequence sequence, std::vector<Sequence>& acks) {
  Status status = co_await writer.wait_durable(sequence);
  CHECK(status);
  CHECK(writer.durable() >= sequence);
  acks.push_back(sequence);
}

// Appends again as soon as what it appended is durable.
Task<void> closed_loop(LogFixture& f, std::int64_t start_ns, unsigned rounds, unsigned& left) {
  co_await f.core().sleep_ns(start_ns);
  for (unsigned round = 0; round < rounds; ++round) {
    CHECK(f.append(one_put("key", "value")));
    f.writer->request_durable(f.writer->last_appended());
    Status status = co_await f.writer->wait_durable(f.writer->last_appended());
    CHECK(status);
  }
  --left;
}

TEST_CASE("wal writer: clients that come back at once share a group, however they began") {
  constexpr std::uint32_t kFlightTicks = 1000;
  constexpr unsigned kRounds = 30;
  const unsigned start_percent = GENERATE(0u, 10u, 30u, 49u, 51u, 70u, 99u);
  CAPTURE(start_percent);
  LogFixture f(16, 4, {.seed = 1, .latency_ticks = {kFlightTicks, kFlightTicks, kFlightTicks, kFlightTicks}});
  f.open();
  unsigned left = 2;
  f.core().spawn(closed_loop(f, 0, kRounds, left));
  f.core().spawn(closed_loop(f, kFlightTicks * kSimTickNs * start_percent / 100, kRounds, left));
  f.settle();
  CHECK(left == 0);
  // Divided between two groups they would have needed one for each round of each.
  CHECK(f.writer->stats().groups <= kRounds + 4);
  CHECK(f.writer->durable() == Sequence{2 * kRounds});
}

TEST_CASE("wal writer: what comes while a flight is young does not wait for its end") {
  constexpr std::uint32_t kFlightTicks = 1000;
  LogFixture f(16, 4, {.seed = 1, .latency_ticks = {kFlightTicks, kFlightTicks, kFlightTicks, kFlightTicks}});
  f.open();
  unsigned left = 1;
  f.core().spawn(closed_loop(f, 0, 1, left));
  f.settle();  // the writer knows how long a flight takes
  left = 2;
  const std::int64_t began_ns = f.core().now_ns();
  f.core().spawn(closed_loop(f, 0, 1, left));
  f.core().spawn(closed_loop(f, kFlightTicks * kSimTickNs / 4, 1, left));
  f.settle();
  CHECK(left == 0);
  CHECK(f.core().now_ns() - began_ns < kFlightTicks * kSimTickNs * 3 / 2);
}

Task<void> write_and_wait(LogFixture& f, rt::Random& random, std::vector<Sequence>& acks) {
  TaskGroup waiters;
  for (unsigned i = 0; i < 150; ++i) {
    const test::OwnedBatch batch = test::random_batch(random, 3000);
    while (!f.append(batch)) (void)co_await f.writer->room().wait();
    if (random.below(3) != 0) f.writer->request_durable(f.writer->last_appended());
    waiters.add(ack(*f.writer, f.writer->last_appended(), acks));
    if (random.below(3) == 0) co_await f.core().sleep_ns(static_cast<std::int64_t>(random.below(30)) * kSimTickNs);
  }
  f.writer->request_durable(f.writer->last_appended());
  co_await waiters.join();
}

TEST_CASE("wal writer: acknowledgements come in the order of the appends whatever the device completes first") {
  const std::uint64_t base = test::test_seed(1);
  for (std::uint64_t seed = base; seed < base + 40; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    LogFixture f(16, 60, SimOptions::drawn(seed));
    f.open();
    std::vector<Sequence> acks;
    f.run(write_and_wait(f, random, acks));
    REQUIRE(acks.size() == 150);
    CHECK(std::is_sorted(acks.begin(), acks.end()));
    CHECK(f.writer->stats().waits > 0);
  }
}

TEST_CASE("wal writer: a policy makes durable by time, by bytes, and otherwise only what is asked for") {
  {
    LogFixture f(16, 4);
    f.open({.interval_ms = 5});
    REQUIRE(f.append(one_put("key", "value")));
    const std::int64_t begin_ns = f.core().now_ns();
    f.settle();
    CHECK(f.writer->durable() == Sequence{1});
    CHECK(f.core().now_ns() - begin_ns >= 5'000'000);
    CHECK(f.writer->stats().syncs == 1);
  }
  {
    LogFixture f(16, 4);
    f.open({.bytes = 10'000});
    for (unsigned i = 0; i < 9; ++i) REQUIRE(f.append_somehow(one_put("key", std::string(1000, 'v'))));
    f.settle();
    CHECK(f.writer->durable() == Sequence{0});
    REQUIRE(f.append_somehow(one_put("key", std::string(1000, 'v'))));
    f.settle();
    CHECK(f.writer->durable() == Sequence{10});
  }
  {
    LogFixture f(16, 4);
    f.open({.lazy_bytes = 5000});
    for (unsigned i = 0; i < 4; ++i) {
      REQUIRE(f.append(one_put("key", std::string(1000, 'v'))));
      f.settle();
    }
    CHECK(f.writer->stats().groups == 0);
    REQUIRE(f.append(one_put("key", std::string(1000, 'v'))));
    f.settle();
    CHECK(f.writer->stats().groups == 1);
    REQUIRE(f.append(one_put("key", "waited for")));
    f.make_durable();
    CHECK(f.writer->stats().groups == 2);
  }
}

TEST_CASE("wal writer: a failed write or sync is everybody's error from then on, and nothing is tried again") {
  for (const rt::IoKind kind : {rt::IoKind::write, rt::IoKind::sync}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(static_cast<int>(kind), seed);
      LogFixture f(16, 4, {.seed = seed});
      f.open();
      REQUIRE(f.append(one_put("key", "first")));
      f.make_durable();
      f.disk().plan({.kind = kind, .operation = 0});
      REQUIRE(f.append(one_put("key", "second")));
      f.settle();  // a plain write
      f.writer->request_durable(Sequence{2});
      CHECK(f.run(test::await_durable(*f.writer, Sequence{2})).code() == Errc::io);
      const std::uint64_t steps = f.disk().steps();
      CHECK(f.writer->error().code() == Errc::io);
      CHECK(f.run(test::await_durable(*f.writer, Sequence{1})));  // that much is certain
      CHECK(!f.append(one_put("key", "third")));
      CHECK(f.writer->room_for(100) == WalRoom::failed);
      CHECK(f.append_large(one_put("key", "third")).code() == Errc::io);
      CHECK(f.run(f.writer->finish()).code() == Errc::io);
      CHECK(f.disk().steps() == steps);
      CHECK(f.writer->durable() == Sequence{1});
      f.disk().clear_faults();
    }
  }
}

Task<void> fails(WalWriter& writer, Sequence sequence, unsigned& failed) {
  Status status = co_await writer.wait_durable(sequence);
  failed += status ? 0u : 1u;
}
Task<void> wait_many(LogFixture& f, unsigned& failed) {
  TaskGroup waiters;
  for (unsigned i = 0; i < 20; ++i) {
    CHECK(f.append(one_put("key", "value")));
    f.writer->request_durable(f.writer->last_appended());
    waiters.add(fails(*f.writer, f.writer->last_appended(), failed));
    co_await f.core().sleep_ns(kSimTickNs);
  }
  co_await waiters.join();
}

TEST_CASE("wal writer: every waiter of a failed log is told") {
  LogFixture f(64, 4, {.seed = 1, .latency_ticks = {100, 100, 100, 100}});
  f.open();
  f.disk().plan({.kind = rt::IoKind::write, .operation = 0});
  unsigned failed = 0;
  f.run(wait_many(f, failed));
  CHECK(failed == 20);
}

TEST_CASE("wal writer: what does not fit says who makes room") {
  LogFixture f(4, 6, {.seed = 1, .latency_ticks = {50, 50, 50, 50}}, 8192);
  f.open();
  const test::OwnedBatch batch = one_put("key", std::string(3000, 'v'));
  const std::uint64_t bytes = wal_body_bytes(batch.entries());
  CHECK(f.writer->room_for(bytes) == WalRoom::yes);
  CHECK(f.writer->room_for(60'000) == WalRoom::large);
  CHECK(f.writer->room_for(600'000) == WalRoom::segments);
  while (f.append(batch)) {
  }
  CHECK(f.writer->room_for(bytes) == WalRoom::staging);
  f.run(test::await_room(*f.writer));
  CHECK(f.append(batch));
  while (f.append_somehow(batch)) {
  }
  CHECK(f.writer->room_for(bytes) == WalRoom::segments);
  CHECK(f.writer->bytes_free() < bytes);
  CHECK(f.append_large(batch).code() == Errc::no_space);
  const Sequence last = f.writer->last_appended();
  f.settle();
  // A checkpoint frees all but the segment that the end lies in.
  f.writer->advance_start(f.writer->position_of(last));
  CHECK(f.writer->bytes_used() == 0);
  CHECK(f.append_somehow(batch));
  f.close();
  REQUIRE(f.replay_now(last));
  CHECK(f.seen == std::vector<test::RecordSum>{f.appended.back()});
}

TEST_CASE("wal writer: another segment makes room as a checkpoint does, and a free one can be taken back") {
  LogFixture f(4, 6, {.seed = 1, .eager = true}, 8192);
  const std::uint32_t spare = f.layout.first_pages.back();
  f.layout.first_pages.pop_back();
  f.open();
  const test::OwnedBatch batch = one_put("key", std::string(3000, 'v'));
  while (f.append_somehow(batch)) {
  }
  CHECK(!f.writer->remove_free_segment());
  f.writer->add_segment(spare);
  CHECK(f.append_somehow(batch));
  f.settle();
  const Sequence last = f.writer->last_appended();
  f.writer->advance_start(f.writer->position_of(last));
  const std::optional<std::uint32_t> taken = f.writer->remove_free_segment();
  REQUIRE(taken);
  const WalLayout layout = f.writer->layout();
  CHECK(layout.first_pages.size() == 5);
  CHECK(std::find(layout.first_pages.begin(), layout.first_pages.end(), *taken) == layout.first_pages.end());
}

TEST_CASE("wal writer: a replay from the position of a sequence sees every later record") {
  const std::uint64_t base = test::test_seed(1);
  for (std::uint64_t seed = base; seed < base + 15; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    LogFixture f(8, 30, {.seed = seed}, 12 << 10);
    f.open();
    for (unsigned i = 0; i < 80; ++i) {
      if (!f.append_somehow(test::random_batch(random, 6000))) break;
      if (random.below(4) == 0) f.settle();
    }
    f.settle();
    std::vector<std::uint64_t> positions;
    for (const test::RecordSum& record : f.appended) positions.push_back(f.writer->position_of(record.last));
    CHECK(std::is_sorted(positions.begin(), positions.end()));
    f.close();
    for (std::size_t i = 0; i < f.appended.size(); i += 3) {
      f.layout.start_position = positions[i];
      REQUIRE(f.replay_now(f.appended[i].last));
      REQUIRE(f.seen ==
              std::vector<test::RecordSum>(f.appended.begin() + static_cast<std::ptrdiff_t>(i) + 1, f.appended.end()));
    }
  }
}

TEST_CASE("wal writer: no position is inside a segment whose header is not at the device") {
  LogFixture f(4, 6, {.seed = 1, .latency_ticks = {1000, 1000, 1000, 1000}}, 8192);
  f.open();
  REQUIRE(f.append(one_put("key", "value")));
  f.core().poll();
  f.core().poll();
  REQUIRE(f.writer->stats().groups == 1);
  CHECK(f.writer->end_position() == 8192);
  CHECK(f.writer->position_of(Sequence{1}) == 0);
  f.settle();
  CHECK(f.writer->position_of(Sequence{1}) == 8192);
}

TEST_CASE("wal writer: a segment is not used again while a write into it is under way") {
  LogFixture f(2, 2, {.seed = 1, .latency_ticks = {1000, 1000, 1000, 1000}}, 8192);  // one group in each
  f.open();
  for (unsigned i = 1; i <= 2; ++i) {
    REQUIRE(f.append(one_put("key", "value")));
    f.core().poll();
    f.core().poll();
    REQUIRE(f.writer->stats().groups == i);
  }
  f.writer->advance_start(f.writer->position_of(Sequence{2}));  // the tables were faster than the log
  CHECK(f.writer->bytes_used() == 0);
  CHECK(f.writer->bytes_free() == 0);
  CHECK(!f.append(one_put("key", "value")));
  f.run(test::await_room(*f.writer));
  CHECK(f.append(one_put("key", "value")));
  f.settle();
  CHECK(f.writer->bytes_free() != 0);
}

TEST_CASE("wal writer: a log that was finished goes on where it ended") {
  LogFixture f(8, 12, {.seed = 9});
  rt::Random random(9);
  for (unsigned round = 0; round < 8; ++round) {
    f.open();
    CHECK(f.seen == f.appended);
    CHECK(f.replayed->stale_offsets.empty());
    for (unsigned i = 0; i < 5; ++i) REQUIRE(f.append_somehow(test::random_batch(random, 4000)));
    f.close();
  }
}

}  // namespace
}  // namespace cambium
