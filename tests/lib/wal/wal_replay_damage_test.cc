// SPDX-License-Identifier: MIT OR Apache-2.0
// Bytes that are not what was written: a torn tail is cut, what had been synced is corruption, nothing else happens.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "format/wal_group.h"
#include "lib/wal/log_fixture.h"
#include "support/seed.h"
#include "wal/wal_replay.h"

namespace cambium {
namespace {

using test::LogFixture;
using test::one_put;

bool is_prefix(const std::vector<test::RecordSum>& some, const std::vector<test::RecordSum>& all) {
  return some.size() <= all.size() && std::equal(some.begin(), some.end(), all.begin());
}

// Opens the log and writes one group per value, each made durable or only written.
void write_groups(LogFixture& f, const std::vector<std::string>& values, bool durable) {
  f.open();
  for (const std::string& value : values) {
    REQUIRE(f.append(one_put("key", value)));
    if (durable) f.make_durable();
    f.settle();
  }
}
std::vector<std::string> same_values(std::size_t count) { return std::vector<std::string>(count, "value"); }

TEST_CASE("wal replay: a flipped bit in any byte of a synced log is corruption or changes nothing") {
  LogFixture f(4, 5, {.seed = 1, .eager = true}, 8192);
  rt::Random random(1);
  std::vector<std::string> values;
  for (unsigned i = 0; i < 12; ++i) values.push_back(test::random_bytes(random, 1500));
  write_groups(f, values, true);
  f.close();  // ends with an empty group that proves what came before
  REQUIRE(f.replay_now().value().records == 12);
  const std::uint64_t used = f.layout.first_pages.size() * f.layout.segment_bytes();
  unsigned refused = 0;
  unsigned same = 0;
  for (std::uint64_t at = 0; at < used; ++at) {
    const std::uint64_t offset = 4 * kPageBytes + at;
    const std::uint64_t in_block = at % kPageBytes;
    if (in_block >= 1700 && in_block % 16 != 0) continue;  // mostly padding
    const unsigned bit = static_cast<unsigned>(random.below(8));
    CAPTURE(at, bit);
    f.disk().flip_bit(test::kFile, offset, bit);
    const Result<WalReplay> result = f.replay_now();
    if (result) {
      REQUIRE(f.seen == f.appended);
      ++same;
    } else {
      REQUIRE(result.code() == Errc::corruption);
      REQUIRE(is_prefix(f.seen, f.appended));
      ++refused;
    }
    f.disk().flip_bit(test::kFile, offset, bit);
  }
  CHECK(refused > 12 * 1500);
  CHECK(same > 1000);
}

TEST_CASE("wal replay: without proof of a sync a damaged group is a torn tail, whoever lies beyond") {
  LogFixture f(16, 4);
  std::vector<std::string> values;
  for (unsigned i = 0; i < 6; ++i) values.emplace_back(100, static_cast<char>('a' + i));
  write_groups(f, values, false);  // nobody asks for durability
  f.kill();
  for (std::size_t lost = 0; lost < 6; ++lost) {
    const std::uint64_t offset = f.file_offset(4096 * (1 + lost));
    CAPTURE(lost);
    f.disk().flip_bit(test::kFile, offset + 70, 3);
    const WalReplay cut = f.replay_now().value();
    CHECK(f.seen.size() == lost);
    CHECK(cut.last_sequence == Sequence{lost});
    CHECK(cut.end_position == (lost == 0 ? 0 : 4096 * (1 + lost)));
    // The damaged group, those beyond, and the header of a segment in which nothing is left.
    CHECK(cut.stale_offsets.size() == 6 - lost + (lost == 0 ? 1 : 0));
    f.disk().flip_bit(test::kFile, offset + 70, 3);
  }
}

TEST_CASE("wal replay: a later group that says so makes a damaged one corruption, and is named") {
  LogFixture f(16, 4);
  write_groups(f, same_values(3), true);
  f.kill();
  const std::uint64_t offset = f.file_offset(8192);
  f.disk().flip_bit(test::kFile, offset + 70, 3);
  const Result<WalReplay> result = f.replay_now();
  REQUIRE(result.code() == Errc::corruption);
  const std::string message(result.error().message());
  INFO(message);
  CHECK(message.find(test::kFile) != std::string::npos);
  CHECK(message.find("position 8192, page " + std::to_string(offset / kPageBytes)) != std::string::npos);
  CHECK(message.find("group at position 12288") != std::string::npos);
  CHECK(message.find("before position 12288") != std::string::npos);
}

TEST_CASE("wal replay: a lost segment header is corruption when a group proves the segment, and a cut otherwise") {
  for (const bool durable : {true, false}) {
    LogFixture f(2, 8, {.seed = 1, .eager = true}, 8192);  // one group in each segment
    write_groups(f, same_values(4), durable);
    f.kill();
    const std::uint64_t header = f.file_offset(f.layout.segment_bytes());
    const std::uint32_t second = static_cast<std::uint32_t>(header / kPageBytes);
    CAPTURE(durable, second);
    f.disk().zero(test::kFile, header, kPageBytes);
    const Result<WalReplay> result = f.replay_now();
    if (durable) {
      REQUIRE(result.code() == Errc::corruption);
      CHECK(std::string(result.error().message()).find("in segment 1, whose header is missing") != std::string::npos);
    } else {
      REQUIRE(result);
      CHECK(f.seen.size() == 1);
      CHECK(result.value().live_pages.size() == 1);
      CHECK(result.value().end_position == f.layout.segment_bytes());
      // The groups of the three segments beyond, and the headers of two.
      CHECK(result.value().stale_offsets.size() == 5);
    }
  }
}

TEST_CASE("wal replay: a damaged last group is the one damage that looks like a torn tail until a group follows") {
  LogFixture f(16, 4);
  write_groups(f, same_values(3), true);
  f.kill();
  f.disk().flip_bit(test::kFile, f.file_offset(12288) + 70, 1);
  CHECK(f.replay_now().value().last_sequence == Sequence{2});
}

TEST_CASE("wal replay: a gap in the sequences is corruption") {
  LogFixture f(16, 4);
  f.open({}, Sequence{5});
  REQUIRE(f.append(one_put("key", "value")));  // sequence 6
  f.close();
  CHECK(f.replay_now(Sequence{5}));
  CHECK(f.replay_now(Sequence{7}));
  const Result<WalReplay> result = f.replay_now(Sequence{4});
  REQUIRE(result.code() == Errc::corruption);
  CHECK(std::string(result.error().message()).find("sequence 6") != std::string::npos);
}

TEST_CASE("wal replay: layouts that no log has are refused before anything is read") {
  LogFixture f(4, 5);
  const WalLayout good = f.layout;
  const auto code_with = [&](auto change) {
    f.layout = good;
    change(f.layout);
    const Errc code = f.replay_now().code();
    f.layout = good;
    return code;
  };
  CHECK(code_with([](WalLayout&) {}) == Errc::ok);
  CHECK(code_with([](WalLayout& l) { l.log_id = 0; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.segment_pages = 1; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.segment_pages = ~0u; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.start_position = 100; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.start_position = ~std::uint64_t{4095}; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.start_position = 8192; }) ==
        Errc::corruption);  // in a segment that is not there
  CHECK(code_with([](WalLayout& l) { l.first_pages[0] = 0; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.first_pages[0] = ~0u; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.first_pages[0] = l.first_pages[1] + 1; }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.first_pages.push_back(l.first_pages[0]); }) == Errc::corruption);
  CHECK(code_with([](WalLayout& l) { l.first_pages.assign(format::kWalSegmentsMax + 1, 4); }) == Errc::corruption);
}

TEST_CASE("wal replay: two segments with one number are corruption") {
  LogFixture f(4, 5);
  f.open();
  REQUIRE(f.append(one_put("key", "value")));
  f.close();
  f.disk().copy_page(test::kFile, f.layout.first_pages[0], f.layout.first_pages[2]);
  CHECK(f.replay_now().code() == Errc::corruption);
}

TEST_CASE("wal replay: random bytes under right checksums are refused or replayed, never more than that") {
  const std::uint64_t base = test::test_seed(1);
  unsigned refused = 0;
  for (std::uint64_t seed = base; seed < base + 400; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    LogFixture f(8, 4);
    std::vector<std::string> values;
    for (unsigned i = 0; i < 5; ++i) values.push_back(test::random_bytes(random, random.below(3000)));
    write_groups(f, values, false);
    f.kill();
    const std::uint64_t offset = f.file_offset(4096);
    std::string group = f.disk().peek(test::kFile, offset, 8192);
    auto& header = *reinterpret_cast<format::WalGroupHeader*>(group.data());
    const std::uint64_t reach = random.below(2) == 0 ? 64 : 200;  // the header alone, or the record as well
    for (std::uint64_t changes = 1 + random.below(3); changes != 0; --changes) {
      const std::uint64_t at = random.below(2) == 0 ? 32 + random.below(32) : random.below(reach);
      group[static_cast<std::size_t>(at)] = static_cast<char>(random.next());
    }
    if (header.payload_bytes <= group.size() - format::kWalGroupHeaderBytes)
      header.checksum = format::wal_group_checksum(group.data());
    f.disk().poke(test::kFile, offset, group);
    const Result<WalReplay> result = f.replay_now();
    refused += result ? 0u : 1u;
    if (!result) REQUIRE(result.code() == Errc::corruption);
  }
  CHECK(refused > 20);
}

TEST_CASE("wal replay: an error of the device is told as such") {
  LogFixture f(16, 4, {.seed = 2});
  f.open();
  for (unsigned i = 0; i < 30; ++i) REQUIRE(f.append_somehow(one_put("key", std::string(3000, 'v'))));
  f.close();
  for (std::uint64_t operation = 0; operation < 6; ++operation) {
    f.disk().clear_faults();
    f.disk().plan({.kind = rt::IoKind::read, .operation = operation});
    CAPTURE(operation);
    CHECK(f.replay_now().code() == Errc::io);
  }
  f.disk().clear_faults();
  CHECK(f.replay_now());
  const WalReplay replayed = f.replay_now().value();
  f.disk().plan({.kind = rt::IoKind::sync});
  CHECK(f.run(erase_tail(f.device(), replayed)).code() == Errc::io);
}

}  // namespace
}  // namespace cambium
