// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/write_buffer.h"

#include <catch2/catch.hpp>

#include <string>

#include "buffer/buffer_pin.h"
#include "lib/buffer/buffer_model.h"

using namespace cambium;
using namespace cambium::test;

namespace {

constexpr TableId kTable = kDefaultTable;

const BufferEntry& put(WriteBuffer& buffer, Bytes key, Bytes value, std::uint64_t sequence) {
  return buffer.add(kTable, key, value, WriteKind::put, Sequence{sequence});
}

}  // namespace

TEST_CASE("write buffer: find gives the newest version up to the limit") {
  WriteBuffer buffer(64 << 10);
  REQUIRE(buffer.valid());
  CHECK(buffer.find(kTable, "key", kLastSequence) == nullptr);
  put(buffer, "key", "one", 10);
  buffer.add(kTable, "key", "", WriteKind::del, Sequence{20});
  put(buffer, "key", "three", 30);
  put(buffer, "key", "four", 30);  // a batch may write a key twice under one sequence: the later one counts

  CHECK(buffer.find(kTable, "key", Sequence{9}) == nullptr);
  CHECK(buffer.find(kTable, "key", Sequence{10})->value() == Bytes("one"));
  CHECK(buffer.find(kTable, "key", Sequence{19})->value() == Bytes("one"));
  CHECK(buffer.find(kTable, "key", Sequence{29})->kind == WriteKind::del);
  CHECK(buffer.find(kTable, "key", kLastSequence)->value() == Bytes("four"));
  CHECK(buffer.find(TableId{2}, "key", kLastSequence) == nullptr);
  CHECK(buffer.count() == 4);
  CHECK(buffer.key_count() == 1);
  CHECK(buffer.first_sequence() == Sequence{10});
  CHECK(buffer.last_sequence() == Sequence{30});
}

TEST_CASE("write buffer: a key outside the range is skipped without a probe, and counted") {
  WriteBuffer buffer(64 << 10);
  put(buffer, "m", "", 1);
  put(buffer, "p", "", 2);
  buffer.add(TableId{5}, "a", "", WriteKind::put, Sequence{3});
  CHECK(buffer.min_key().table == kTable);
  CHECK(buffer.min_key().key == Bytes("m"));
  CHECK(buffer.max_key().table == TableId{5});
  CHECK(buffer.max_key().key == Bytes("a"));
  CHECK(buffer.find(kTable, "l", kLastSequence) == nullptr);
  CHECK(buffer.find(TableId{5}, "b", kLastSequence) == nullptr);
  CHECK(buffer.range_skips() == 2);
  CHECK(buffer.find(TableId{3}, "anything", kLastSequence) == nullptr);
  CHECK(buffer.find(kTable, "z", kLastSequence) == nullptr);
  CHECK(buffer.range_skips() == 2);  // inside: probed
  CHECK(buffer.may_contain(kTable, "m"));
  CHECK_FALSE(buffer.may_contain(kTable, Bytes("l\xff\xff\xff\xff\xff\xff\xff\xff")));
}

TEST_CASE("write buffer: of keys that differ by zero bytes only each is found") {
  WriteBuffer buffer(256 << 10);
  std::string key;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    key.push_back('\0');
    put(buffer, key, std::to_string(i), i);
  }
  key.clear();
  for (std::uint64_t i = 1; i <= 40; ++i) {
    key.push_back('\0');
    REQUIRE(buffer.find(kTable, key, kLastSequence)->value().str() == std::to_string(i));
  }
}

TEST_CASE("write buffer: agrees with a map about versions, tables and limits") {
  const std::uint64_t seed = 20240817;
  INFO("seed " << seed);
  rt::Random random(seed);
  WriteBuffer buffer(4 << 20);
  for (int round = 0; round < 3; ++round) {  // reset() and refilling included
    Model model;
    std::uint64_t sequence = 100;
    bool agrees = true;
    for (int i = 0; i < 20000; ++i) {
      const std::uint32_t table = static_cast<std::uint32_t>(random.below(3));
      const std::string key = awkward_key(random);
      if (random.chance(0.5)) {
        const auto kind = random.chance(0.2) ? WriteKind::del : WriteKind::put;
        const std::string value = kind == WriteKind::del ? "" : std::string(random.below(60), 'v');
        if (!buffer.fits(key.size(), value.size())) continue;
        sequence += random.below(3);
        const BufferEntry& entry = buffer.add(TableId{table}, key, value, kind, Sequence{sequence});
        agrees = agrees && entry.key() == Bytes(key) && entry.value() == Bytes(value);
        model[{table, key}].push_back({sequence, kind, value});
      } else {
        const std::uint64_t limit = random.between(90, sequence + 5);
        const auto row = model.find({table, key});
        const Version* expected = row == model.end() ? nullptr : visible(row->second, limit);
        agrees = agrees && same(buffer.find(TableId{table}, key, Sequence{limit}), expected);
        if (row != model.end()) agrees = agrees && buffer.may_contain(TableId{table}, key);
      }
    }
    REQUIRE(agrees);
    REQUIRE(buffer.key_count() == model.size());
    REQUIRE(buffer.min_key().key == Bytes(model.begin()->first.second));
    REQUIRE(buffer.max_key().key == Bytes(model.rbegin()->first.second));
    buffer.reset();
    REQUIRE(buffer.empty());
    for (const auto& [id, versions] : model) {
      REQUIRE(buffer.find_hashed(WriteBuffer::hash_of(TableId{id.first}, id.second), TableId{id.first}, id.second,
                                 kLastSequence) == nullptr);
    }
  }
}

TEST_CASE("write buffer: fills up to its capacity and not beyond, whatever the entries' size") {
  const std::size_t capacity = GENERATE(std::size_t{16} << 10, std::size_t{64} << 10, std::size_t{3} << 20);
  const std::size_t value_bytes = GENERATE(0u, 8u, 100u, 3000u);
  CAPTURE(capacity, value_bytes);
  WriteBuffer buffer(capacity);
  const std::string value(value_bytes, 'v');
  std::uint64_t count = 0;
  while (buffer.fits(8, value_bytes)) {
    put(buffer, u64_key(count), value, count + 1);
    ++count;
    REQUIRE(buffer.bytes_used() <= capacity - capacity / 8);
  }
  // 16-byte entries may stop at the index, the others only when the arena is nearly used up.
  CHECK(count >= capacity * 3 / 4 / (BufferEntry::arena_bytes_for(8, value_bytes) + value_bytes / 3 + 16));
  for (std::uint64_t i = 0; i < count; ++i) {
    REQUIRE(buffer.find(kTable, u64_key(i), kLastSequence)->value().size() == value_bytes);
  }
  CHECK(buffer.find_hashed(WriteBuffer::hash_of(kTable, u64_key(count)), kTable, u64_key(count), kLastSequence) ==
        nullptr);
}

TEST_CASE("write buffer: versions of one key use the arena but not the index") {
  WriteBuffer buffer(64 << 10);
  std::uint64_t sequence = 0;
  while (buffer.fits(3, 8)) put(buffer, "key", u64_key(sequence), sequence + 1), ++sequence;
  CHECK(buffer.count() > 1000);
  CHECK(buffer.key_count() == 1);
  CHECK(buffer.find(kTable, "key", Sequence{500})->value() == Bytes(u64_key(499)));
}

TEST_CASE("write buffer: a batch fits as a whole or not at all") {
  WriteBuffer buffer(64 << 10);
  const std::size_t cost = buffer.cost_bytes(8, 100);
  CHECK(buffer.fits_batch(100, 100 * cost));
  CHECK_FALSE(buffer.fits_batch(1000, 1000 * cost));  // the arena
  CHECK_FALSE(buffer.fits_batch(1000, 40 << 10));     // the index
}

TEST_CASE("write buffer: an empty buffer takes one value larger than itself, and is full then") {
  WriteBuffer buffer(64 << 10);
  const std::string large(5 << 20, 'L');
  CHECK_FALSE(buffer.fits_empty(8, large.size()));
  CHECK(buffer.fits_empty(8, 20000));
  REQUIRE(buffer.fits(8, large.size()));
  REQUIRE(buffer.reserve_value(large.size()));
  const BufferEntry& entry = put(buffer, "large", large, 1);
  CHECK(entry.value() == Bytes(large));
  CHECK(buffer.find(kTable, "large", kLastSequence)->value().size() == large.size());
  CHECK(buffer.bytes_used() >= large.size());
  CHECK_FALSE(buffer.fits(1, 0));
  buffer.reset();
  CHECK(buffer.bytes_used() == 0);
  REQUIRE(buffer.fits(1, 0));
  put(buffer, "small", "s", 1);
  CHECK_FALSE(buffer.fits(8, large.size()));  // no longer empty
}

TEST_CASE("write buffer: values held aside count, and entries behind them are walked over") {
  WriteBuffer buffer(64 << 10);
  const std::string aside(20000, 'A');
  REQUIRE(buffer.cost_bytes(1, aside.size()) > aside.size());
  put(buffer, "a", aside, 1);
  put(buffer, "b", "small", 2);
  put(buffer, "c", aside, 3);
  CHECK(buffer.bytes_used() > 40000);
  CHECK_FALSE(buffer.fits(1, aside.size()));
  const BufferEntry* entry = buffer.first();
  CHECK(entry->value() == Bytes(aside));
  entry = buffer.after(*entry);
  CHECK(entry->value() == Bytes("small"));
  entry = buffer.after(*entry);
  CHECK(entry->value() == Bytes(aside));
  CHECK(buffer.after(*entry) == nullptr);
}

TEST_CASE("write buffer: nothing of former contents shows through after any number of resets") {
  // 600 resets pass every wrap of the epoch, with other contents each time.
  WriteBuffer buffer(16 << 10);
  rt::Random random(7);
  bool clean = true;
  for (std::uint64_t round = 0; round < 600; ++round) {
    for (std::uint64_t i = 0; i < 60; ++i) {
      const std::uint64_t key = random.below(100);
      const BufferEntry* before = buffer.find(kTable, u64_key(key), kLastSequence);
      clean = clean && (before == nullptr || before->value() == Bytes(u64_key(round)));
      put(buffer, u64_key(key), u64_key(round), i + 1);
    }
    buffer.reset();
  }
  CHECK(clean);
}

TEST_CASE("write buffer: contents are gone when the epoch's number comes round, also if nothing overwrote them") {
  // The index is cleared by 1/255 per reset. Buffers that stayed empty in between overwrite no slot, so what
  // the clearing misses would be found again here.
  WriteBuffer buffer(16 << 10);
  for (const int start : {0, 1, 100, 254}) {
    for (int i = 0; i < start; ++i) buffer.reset();
    for (std::uint64_t i = 0; i < 150; ++i) put(buffer, u64_key(i), "old", i + 1);
    for (int resets = 1; resets <= 510; ++resets) {
      buffer.reset();
      if (resets % 255 != 0) continue;
      for (std::uint64_t i = 0; i < 150; ++i) {
        const std::uint64_t hash = WriteBuffer::hash_of(kTable, u64_key(i));
        REQUIRE(buffer.find_hashed(hash, kTable, u64_key(i), kLastSequence) == nullptr);
      }
    }
  }
}

TEST_CASE("write buffer: pins count, and the owner hears of the last one") {
  struct Calls {
    int count = 0;
    static void idle(void* context, WriteBuffer&) noexcept { ++static_cast<Calls*>(context)->count; }
  } calls;
  WriteBuffer buffer(64 << 10);
  buffer.set_idle_hook({&Calls::idle, &calls});
  {
    BufferPin a(buffer);
    BufferPin b = a;
    BufferPin c = std::move(a);
    CHECK(buffer.references() == 2);
    CHECK_FALSE(static_cast<bool>(a));
    b = c;
    CHECK(buffer.references() == 2);
    c.reset();
    b = BufferPin();
    CHECK(buffer.references() == 0);
    CHECK(calls.count == 1);
    BufferPin d(buffer);
  }
  CHECK(calls.count == 2);
  buffer.reset();
}

TEST_CASE("write buffer: keys of 1 and of 1,024 bytes") {
  WriteBuffer buffer(64 << 10);
  std::string key(kKeyBytesMax, '\xff');
  put(buffer, key, "long", 1);
  key.back() = '\0';
  put(buffer, key, "other", 2);
  put(buffer, "x", "short", 3);
  CHECK(buffer.find(kTable, key, kLastSequence)->value() == Bytes("other"));
  CHECK(buffer.find(kTable, std::string(kKeyBytesMax, '\xff'), kLastSequence)->value() == Bytes("long"));
  CHECK(buffer.find(kTable, "x", kLastSequence)->value() == Bytes("short"));
}

TEST_CASE("key heads: order like the bytes, missing bytes as zero") {
  rt::Random random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string key(random.below(20), '\0');
    random.bytes(key.data(), key.size());
    const std::size_t depth = random.below(key.size() + 1);
    std::uint64_t expected = 0;
    for (std::size_t b = 0; b < 8; ++b) {
      expected = expected << 8 | (depth + b < key.size() ? static_cast<unsigned char>(key[depth + b]) : 0u);
    }
    REQUIRE(key_head(key, depth) == expected);
  }
}
