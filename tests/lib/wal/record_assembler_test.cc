// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/record_assembler.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lib/wal/log_fixture.h"
#include "support/seed.h"

namespace cambium {
namespace {

using Step = RecordAssembler::Step;

std::string record_bytes(std::uint64_t first, const test::OwnedBatch& batch) {
  const std::vector<WalEntry> entries = batch.entries();
  const format::WalRecordHeader header{static_cast<std::uint32_t>(wal_body_bytes(entries)),
                                       static_cast<std::uint32_t>(entries.size()), first};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  for (const WalEntry& e : entries) {
    const format::WalEntryHeader entry{e.kind, 0, static_cast<std::uint16_t>(e.key.size()),
                                       static_cast<std::uint32_t>(e.value.size()), raw(e.table)};
    bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry).append(e.key.view()).append(e.value.view());
  }
  return bytes;
}

// A group over a piece of the stream whose bytes have an allocation of their own: reading beyond it is seen.
struct Piece {
  std::unique_ptr<char[]> bytes;
  format::WalGroupHeader header{};
  Piece(std::string_view payload, std::size_t first_record, std::uint32_t flags = 0)
      : bytes(std::make_unique<char[]>(payload.size())) {
    std::memcpy(bytes.get(), payload.data(), payload.size());
    header.payload_bytes = static_cast<std::uint32_t>(payload.size());
    header.first_record = static_cast<std::uint32_t>(std::min(first_record, payload.size()));
    header.flags = flags;
  }
};

// Gives the assembler one piece, and every record that is complete with it to `take`. What ended it.
template <class Take>
Step feed(RecordAssembler& assembler, const Piece& piece, Take take) {
  assembler.begin_group(piece.header, piece.bytes.get());
  WalRecord record;
  Step step = assembler.next(record);
  for (; step == Step::record; step = assembler.next(record)) take(record);
  return step;
}

TEST_CASE("record assembler: records come out whole however the stream is cut into groups") {
  const std::uint64_t base = test::test_seed(1);
  for (std::uint64_t seed = base; seed < base + 200; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    std::string stream;
    std::vector<std::size_t> begins;
    std::vector<test::RecordSum> sums;
    std::uint64_t sequence = 1;
    for (unsigned i = 0; i < 20; ++i) {
      const test::OwnedBatch batch = test::random_batch(random, 3000);
      begins.push_back(stream.size());
      sums.push_back(test::sum_of(Sequence{sequence}, batch.entries()));
      stream += record_bytes(sequence, batch);
      sequence += batch.writes.size();
    }
    RecordAssembler assembler;
    std::vector<test::RecordSum> seen;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t most = random.below(3) == 0 ? 30 : 2000;
      const std::size_t bytes = std::min<std::size_t>(stream.size() - at, random.below(most));  // 0 as well
      std::size_t first = bytes;
      for (const std::size_t begin : begins) {
        if (begin >= at && begin < at + bytes) first = std::min(first, begin - at);
      }
      const Piece piece(std::string_view(stream).substr(at, bytes), first);
      const Step step = feed(assembler, piece, [&](const WalRecord& record) {
        seen.push_back(test::sum_of(record.first_sequence, record.entries));
      });
      REQUIRE(step == Step::need_group);
      at += bytes;
    }
    REQUIRE(seen == sums);
    CHECK(!assembler.mid_record());
  }
}

TEST_CASE("record assembler: what began before the first group is skipped, what a crash cut off is dropped") {
  const std::string one = record_bytes(5, test::one_put("key", "value"));
  const std::string two = record_bytes(6, test::one_put("other", "thing"));
  RecordAssembler assembler;
  WalRecord record;
  const Piece tail(std::string("the end of a record"), ~std::size_t{0});
  assembler.begin_group(tail.header, tail.bytes.get());
  CHECK(assembler.next(record) == Step::need_group);
  const Piece mixed("more of it" + one + two.substr(0, 20), 10);
  assembler.begin_group(mixed.header, mixed.bytes.get());
  REQUIRE(assembler.next(record) == Step::record);
  CHECK(record.first_sequence == Sequence{5});
  CHECK(assembler.next(record) == Step::need_group);
  CHECK(assembler.mid_record());
  const Piece again(two, 0, format::kWalGroupResumed);
  assembler.begin_group(again.header, again.bytes.get());
  REQUIRE(assembler.next(record) == Step::record);
  CHECK(record.first_sequence == Sequence{6});
  CHECK(record.entries[0].value == Bytes("thing"));
  CHECK(assembler.take_resumed());
  CHECK(!assembler.take_resumed());
  CHECK(assembler.next(record) == Step::need_group);
}

TEST_CASE("record assembler: hostile bytes are named, and nothing outside of them is read") {
  const std::uint64_t base = test::test_seed(1);
  unsigned damaged = 0;
  for (std::uint64_t seed = base; seed < base + 3000; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    std::string stream;
    for (std::uint64_t i = 1; i <= 4; ++i)
      stream += record_bytes(i, test::one_put("key", test::random_bytes(random, 20)));
    for (std::uint64_t flips = 1 + random.below(4); flips != 0; --flips)
      stream[static_cast<std::size_t>(random.below(stream.size()))] = static_cast<char>(random.next());
    RecordAssembler assembler;
    bool stopped = false;
    for (std::size_t at = 0; at < stream.size() && !stopped;) {
      const std::size_t bytes = std::min<std::size_t>(stream.size() - at, 1 + random.below(120));
      const Piece piece(std::string_view(stream).substr(at, bytes), static_cast<std::size_t>(random.below(bytes + 1)));
      const Step step = feed(assembler, piece, [](const WalRecord& record) {
        for (const WalEntry& entry : record.entries) REQUIRE(entry.key.size() <= kKeyBytesMax);
        static_cast<void>(test::digest_of(record.entries));  // touches every byte
      });
      stopped = step == Step::damaged;
      if (stopped) REQUIRE(assembler.problem() != nullptr);
      at += bytes;
    }
    damaged += stopped ? 1u : 0u;
  }
  CHECK(damaged > 2000);
}

TEST_CASE("record assembler: each bound of a record is kept") {
  const auto step_of = [](std::string bytes) {
    const Piece piece(bytes, 0);
    RecordAssembler assembler;
    assembler.begin_group(piece.header, piece.bytes.get());
    WalRecord record;
    return assembler.next(record);
  };
  const std::string good = record_bytes(1, test::one_put("key", "value"));
  CHECK(step_of(good) == Step::record);
  const auto with = [&](std::size_t offset, std::string_view bytes) {
    std::string changed = good;
    changed.replace(offset, bytes.size(), bytes);
    return step_of(changed);
  };
  CHECK(with(4, std::string_view("\0\0\0\0", 4)) == Step::damaged);          // no entries
  CHECK(with(4, std::string_view("\x02\0\0\0", 4)) == Step::damaged);        // more than fit
  CHECK(with(8, std::string_view("\0\0\0\0\0\0\0\0", 8)) == Step::damaged);  // sequence 0
  CHECK(with(8, "\xff\xff\xff\xff\xff\xff\xff\xff") == Step::damaged);       // sequence beyond all
  CHECK(with(16, std::string_view("\0", 1)) == Step::damaged);               // kind
  CHECK(with(16, "\x04") == Step::damaged);                                  // kind
  CHECK(with(16, "\x02") == Step::damaged);                                  // a delete with a value
  CHECK(with(17, "\x01") == Step::damaged);                                  // flags
  CHECK(with(18, std::string_view("\0\0", 2)) == Step::damaged);             // empty key
  CHECK(with(18, std::string_view("\x01\x04", 2)) == Step::damaged);         // key of 1025
  CHECK(with(20, std::string_view("\x04\0\0\0", 4)) == Step::damaged);       // bytes left over
  CHECK(with(20, std::string_view("\x06\0\0\0", 4)) == Step::damaged);       // beyond the record
  CHECK(with(20, std::string_view("\x01\0\0\x40", 4)) == Step::damaged);     // 1 GiB + 1
  CHECK(with(20, "\xff\xff\xff\xff") == Step::damaged);
}

}  // namespace
}  // namespace cambium
