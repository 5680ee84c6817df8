// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/log_verifier.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/rt/check.h>

#include "format/wal_group.h"
#include "lib/wal/log_fixture.h"
#include "support/seed.h"
#include "support/sleep.h"
#include "wal/log_survey.h"

namespace cambium {
namespace {

using test::LogFixture;
using test::one_put;

class Findings : public LogVisitor {
 public:
  void damaged(const LogDamage& damage) override { damages.push_back(damage); }
  std::uint64_t begins_at() const override { return writer != nullptr ? writer->start_position() : 0; }
  bool take(const WalRecord& record) override {
    seen.push_back(test::sum_of(record.first_sequence, record.entries));
    return true;
  }
  const WalWriter* writer = nullptr;
  std::vector<LogDamage> damages;
  std::vector<test::RecordSum> seen;
};

Task<Status> walk_to_end(LogVerifier& walk) {
  while (!walk.done()) {
    co_await check(walk.step());
  }
  co_return Status();
}

Findings verify(LogFixture& f, const LogRange& range) {
  Findings findings;
  LogVerifier walk(f.device(), range, findings);
  f.run(walk_to_end(walk)).value();
  return findings;
}

// Offline: nothing is known but what a superblock says.
Findings survey_and_verify(LogFixture& f, Sequence tables = {}) {
  Findings findings;
  const LogRange range = f.run(survey_log(f.device(), f.layout, tables, findings)).value();
  LogVerifier walk(f.device(), range, findings);
  f.run(walk_to_end(walk)).value();
  return findings;
}

void fill(LogFixture& f, unsigned records, std::size_t bytes = 1500) {
  rt::Random random(7);
  for (unsigned i = 0; i < records; ++i) {
    REQUIRE(f.append_somehow(one_put("key", test::random_bytes(random, bytes))));
    f.make_durable();
  }
}

TEST_CASE("log verifier: a whole log has nothing to complain of, beside its writer, closed, and killed") {
  const std::uint64_t base = test::test_seed(1);
  for (std::uint64_t seed = base; seed < base + 30; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    LogFixture f(static_cast<std::uint32_t>(random.between(2, 16)), 60, SimOptions::drawn(seed), 16 << 10, 4);
    f.open({.interval_ms = 1}, Sequence{random.below(1000)});
    const Sequence tables = f.writer->last_appended();
    for (unsigned i = 0; i < 120; ++i) {
      if (!f.append_somehow(test::random_batch(random, 20'000))) break;
      if (random.below(6) == 0) f.run(test::sleep_a_while(f.core()));
      if (random.below(10) == 0) CHECK(verify(f, f.writer->durable_range(tables)).damages.empty());
    }
    f.make_durable();
    const Findings live = verify(f, f.writer->durable_range(tables));
    CHECK(live.damages.empty());
    CHECK(live.seen == f.appended);
    random.below(2) == 0 ? f.close() : f.kill();
    const Findings offline = survey_and_verify(f, tables);
    CHECK(offline.damages.empty());
    CHECK(offline.seen == f.appended);
  }
}

TEST_CASE("log verifier: a broken group is told with its position, its page and the writes that are missing") {
  LogFixture f(4, 9, {.seed = 1, .eager = true}, 8192);
  f.open();
  fill(f, 12);
  const std::uint64_t broken = f.layout.begin_of(1) + 2 * 4096;  // the second group of the second segment: write 5
  f.disk().flip_bit(test::kFile, f.file_offset(broken) + 100, 2);
  const Findings found = verify(f, f.writer->durable_range({}));
  REQUIRE(found.damages.size() == 1);
  const LogDamage& damage = found.damages.front();
  CHECK(damage.position == broken);
  CHECK(damage.end_position == broken + 4096);
  CHECK(damage.page == f.file_offset(broken) / kPageBytes);
  CHECK(damage.first == Sequence{5});
  CHECK(damage.last == Sequence{5});
  CHECK(damage.reason.find("the writes 5 to 5 are missing") != std::string::npos);
  CHECK(found.seen.size() == 11);

  f.disk().flip_bit(test::kFile, f.file_offset(f.layout.begin_of(3) + 3 * 4096) + 9, 1);  // the last one: write 12
  f.disk().flip_bit(test::kFile, f.file_offset(broken + 4096) + 50, 1);                   // a neighbour: write 6
  const Findings more = verify(f, f.writer->durable_range({}));
  REQUIRE(more.damages.size() == 2);
  CHECK(more.damages[0].last == Sequence{6});
  CHECK(more.damages[0].end_position == f.layout.begin_of(2));
  CHECK(more.damages[1].first == Sequence{12});
  CHECK(more.damages[1].last == Sequence{12});
}

TEST_CASE("log verifier: a lost segment header is damage, and the groups behind it are read all the same") {
  LogFixture f(4, 9, {.seed = 1, .eager = true}, 8192);
  f.open();
  fill(f, 12);
  const std::uint64_t header = f.layout.begin_of(2);
  f.disk().flip_bit(test::kFile, f.file_offset(header) + 24, 0);  // its ordinal
  const Findings live = verify(f, f.writer->durable_range({}));
  REQUIRE(live.damages.size() == 1);
  CHECK(live.damages.front().position == header);
  CHECK(live.damages.front().first == Sequence{});
  CHECK(live.seen == f.appended);
  f.close();
  CHECK(f.replay_now().code() == Errc::corruption);
  const Findings offline = survey_and_verify(f);
  REQUIRE(offline.damages.size() == 1);
  CHECK(offline.damages.front().page == f.file_offset(header) / kPageBytes);
  CHECK(offline.seen == f.appended);
}

TEST_CASE("log verifier: blocks that cannot be read take none of their neighbours along") {
  LogFixture f(8, 5, {.seed = 1, .eager = true}, 8192);
  f.open();
  fill(f, 6);
  const std::uint64_t bad = f.file_offset(3 * 4096);
  f.disk().plan({.action = FaultAction::fail,
                 .kind = rt::IoKind::read,
                 .sticky = true,
                 .region_offset = bad,
                 .region_bytes = 4096});
  const Findings found = verify(f, f.writer->durable_range({}));
  REQUIRE(found.damages.size() == 1);
  CHECK(found.damages.front().position == 3 * 4096);
  CHECK(found.damages.front().first == Sequence{3});
  CHECK(found.damages.front().last == Sequence{3});
  CHECK(found.seen.size() == 5);
  f.disk().clear_faults();
}

TEST_CASE("log verifier: it agrees with the replay on what is damaged, wherever a bit flips") {
  LogFixture f(4, 5, {.seed = 1, .eager = true}, 8192);
  f.open();
  fill(f, 12);
  f.close();
  rt::Random random(test::test_seed(3));
  const std::uint64_t used = f.layout.first_pages.size() * f.layout.segment_bytes();
  unsigned refused = 0;
  for (unsigned i = 0; i < 1500; ++i) {
    const std::uint64_t offset = 4 * kPageBytes + random.below(used / 8) * 8 % used;
    const unsigned bit = static_cast<unsigned>(random.below(8));
    CAPTURE(offset, bit);
    f.disk().flip_bit(test::kFile, offset, bit);
    const Result<WalReplay> result = f.replay_now();
    const Findings found = survey_and_verify(f);
    REQUIRE(found.damages.empty() == result.has_value());
    for (const LogDamage& damage : found.damages) {
      REQUIRE(damage.reason.find("position") != std::string::npos);
      REQUIRE(damage.page != 0);
    }
    refused += result ? 0u : 1u;
    f.disk().flip_bit(test::kFile, offset, bit);
  }
  CHECK(refused > 100);
}

// The survey went from group to group also beyond the end of the log, and stepped over the group that proved the
// damage.
TEST_CASE("log verifier: a group beyond the end hides no proof that lies under it") {
  LogFixture f(16, 4);
  f.open();
  fill(f, 3, 100);
  f.kill();
  f.disk().flip_bit(test::kFile, f.file_offset(4096) + 70, 3);
  const std::uint64_t second = f.file_offset(8192);
  std::string group = f.disk().peek(test::kFile, second, 8192);
  auto& header = *reinterpret_cast<format::WalGroupHeader*>(group.data());
  header.payload_bytes = 4096;  // and so the third one's block is its own, too
  header.synced_position = 0;
  header.checksum = format::wal_group_checksum(group.data());
  f.disk().poke(test::kFile, second, group);
  CHECK(f.replay_now().code() == Errc::corruption);
  const Findings found = survey_and_verify(f);
  REQUIRE(!found.damages.empty());
  CHECK(found.damages.front().page == f.file_offset(4096) / kPageBytes);
}

TEST_CASE("log verifier: what looks like a group inside a value of the log proves nothing") {
  LogFixture f(16, 4);
  f.open();
  format::WalGroupHeader image{};
  image.log_id = f.layout.log_id;
  image.position = f.layout.begin_of(1) + 8192;
  image.synced_position = image.position;
  image.checksum = format::wal_group_checksum(reinterpret_cast<const char*>(&image));
  std::string value(3 * 4096, 'v');
  constexpr std::size_t kBeforeValue = format::kWalGroupHeaderBytes + sizeof(format::WalRecordHeader) +
                                       sizeof(format::WalEntryHeader) + std::string_view("key").size();
  std::memcpy(value.data() + 4096 - kBeforeValue, &image, sizeof image);  // where a block begins: position 8192
  REQUIRE(f.append(one_put("key", value)));
  f.make_durable();
  f.kill();
  REQUIRE(f.disk().peek(test::kFile, f.file_offset(8192), 8) == std::string(reinterpret_cast<char*>(&image), 8));
  CHECK(f.replay_now());
  const Findings found = survey_and_verify(f);
  CHECK(found.damages.empty());
  CHECK(found.seen == f.appended);
}

TEST_CASE("log verifier: a torn tail is none of its business, a missing record is") {
  LogFixture f(16, 4);
  f.open();
  for (unsigned i = 0; i < 6; ++i) {  // nobody asks for durability
    REQUIRE(f.append(one_put("key", std::string(100, 'v'))));
    f.settle();
  }
  f.kill();
  f.disk().flip_bit(test::kFile, f.file_offset(4096 * 4) + 70, 3);
  const Findings torn = survey_and_verify(f);
  CHECK(torn.damages.empty());
  CHECK(torn.seen.size() == 3);

  LogFixture gap(16, 4);
  gap.open({}, Sequence{10});
  REQUIRE(gap.append(one_put("key", "v")));
  gap.close();
  const Findings found = survey_and_verify(gap, Sequence{7});
  REQUIRE(found.damages.size() == 1);
  CHECK(found.damages.front().first == Sequence{8});
  CHECK(found.damages.front().last == Sequence{10});
  CHECK(gap.replay_now(Sequence{7}).code() == Errc::corruption);
}

Task<Status> walk_slowly(LogFixture& f, LogVerifier& walk) {
  while (!walk.done()) {
    co_await check(walk.step());
    co_await f.core().sleep_ns(30 * kSimTickNs);
  }
  co_return Status();
}

// Fills and frees the log over and over while somebody reads it.
Task<void> go_round(LogFixture& f, rt::Random& random, const bool& stop, Sequence& tables) {
  while (!stop) {
    const test::OwnedBatch batch = test::random_batch(random, 3000);
    const std::vector<WalEntry> entries = batch.entries();
    WalWriter& writer = *f.writer;
    if (!writer.append(next(writer.last_appended()), entries)) {
      const WalRoom room = writer.room_for(wal_body_bytes(entries));
      if (room == WalRoom::segments) {
        writer.request_durable(writer.last_appended());
        const Status durable = co_await writer.wait_durable(writer.last_appended());
        CHECK(durable);
        tables = writer.last_appended();
        writer.advance_start(writer.position_of(tables));
      } else if (room == WalRoom::large) {
        const Status appended = co_await writer.append_large(next(writer.last_appended()), entries);
        CHECK(appended);
      } else {
        (void)co_await writer.room().wait();
      }
    }
    if (random.below(4) == 0) co_await f.core().sleep_ns(30 * kSimTickNs);
  }
}

TEST_CASE("log verifier: segments that are written anew under its eyes are no damage") {
  const std::uint64_t base = test::test_seed(1);
  std::uint64_t moved_on = 0;
  for (std::uint64_t seed = base; seed < base + 10; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    LogFixture f(4, 6, {.seed = seed}, 8192, 4);
    f.open({.bytes = 6000});
    bool stop = false;
    Sequence tables{};
    f.core().spawn(go_round(f, random, stop, tables));
    for (unsigned walks = 0; walks < 20; ++walks) {
      f.run(test::sleep_a_while(f.core()));
      Findings findings;
      findings.writer = &*f.writer;
      const LogRange range = f.writer->durable_range(tables);
      LogVerifier walk(f.device(), range, findings);
      f.run(walk_slowly(f, walk)).value();
      for (const LogDamage& damage : findings.damages) UNSCOPED_INFO(damage.reason);
      REQUIRE(findings.damages.empty());
      moved_on += f.writer->start_position() > range.layout.start_position ? 1u : 0u;
    }
    stop = true;
    f.settle();
    CHECK(f.writer->stats().segments_opened > 12);
  }
  CHECK(moved_on > 50);
}

}  // namespace
}  // namespace cambium
