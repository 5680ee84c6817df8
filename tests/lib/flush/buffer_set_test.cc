// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/buffer_set.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include <cambium/rt/sim.h>

#include "base/hash.h"

namespace cambium {
namespace {

constexpr std::size_t kCapacityBytes = 64 << 10;

struct Fixture {
  BufferSet buffers{kCapacityBytes};
  Sequence sequence{0};
  void put(const char* key) {
    sequence = next(sequence);
    buffers.active().add(kDefaultTable, key, "value", WriteKind::put, sequence);
  }
  // A write, frozen and flushed, that somebody still reads.
  void flush_pinned(std::vector<BufferPin>& pins) {
    put("key");
    pins.emplace_back(buffers.active());
    REQUIRE(buffers.rotate());
    buffers.drop_oldest();
  }
};

TEST_CASE("buffer set: two frozen buffers beside the active one are the limit while the flusher has work") {
  Fixture f;
  CHECK(f.buffers.empty());
  f.put("a");
  CHECK(!f.buffers.empty());
  REQUIRE(f.buffers.rotate());
  f.put("b");
  REQUIRE(f.buffers.rotate());
  f.put("c");
  CHECK(!f.buffers.rotate());
  CHECK(f.buffers.frozen_count() == 2);
  CHECK(raw(f.buffers.oldest_frozen().buffer.last_sequence()) == 1);
  CHECK(raw(f.buffers.active().first_sequence()) == 3);
  CHECK(f.buffers.entries() == 3);

  f.buffers.drop_oldest();
  CHECK(raw(f.buffers.oldest_frozen().buffer.last_sequence()) == 2);
  CHECK(f.buffers.entries() == 2);
  REQUIRE(f.buffers.rotate());
  CHECK(f.buffers.active_empty());  // recycled, and nothing of its past is left
  CHECK(f.buffers.active().find(kDefaultTable, "a", kLastSequence) == nullptr);
}

TEST_CASE("buffer set: the buffer flushed last answers until its memory is needed, or a newer one is flushed") {
  Fixture f;
  CHECK(f.buffers.flushed() == nullptr);
  f.put("a");
  REQUIRE(f.buffers.rotate());
  CHECK(f.buffers.flushed() == nullptr);
  f.buffers.drop_oldest();
  REQUIRE(f.buffers.flushed() != nullptr);
  CHECK(f.buffers.flushed()->find(kDefaultTable, "a", kLastSequence) != nullptr);
  f.buffers.forget_flushed();
  CHECK(f.buffers.flushed() == nullptr);

  f.put("b");
  REQUIRE(f.buffers.rotate());
  f.buffers.drop_oldest();
  f.put("b");
  REQUIRE(f.buffers.rotate());
  CHECK(f.buffers.flushed() == nullptr);  // its memory was needed
  f.buffers.drop_oldest();
  CHECK(raw(f.buffers.flushed()->find(kDefaultTable, "b", kLastSequence)->sequence) == 3);
}

TEST_CASE("buffer set: idle buffers lend their memory, and have it back before they are written to") {
  RowCache rows(1024);
  BufferSet buffers(kCapacityBytes, &rows);
  Sequence sequence{0};
  const auto write_and_flush = [&] {
    sequence = next(sequence);
    buffers.active().add(kDefaultTable, "key", "value", WriteKind::put, sequence);
    REQUIRE(buffers.rotate());
    buffers.drop_oldest();
  };
  const auto insert = [&](std::uint64_t number) {
    const std::string key = std::to_string(number);
    rows.insert(1, rt::hash64(key), key, format::EntryKind::value, std::string(100, 'v'));
  };
  write_and_flush();
  CHECK(rows.bytes_lent() == 0);
  insert(0);  // asks for memory
  const std::uint64_t of_one = rows.bytes_lent();
  CHECK(of_one > kCapacityBytes / 2);
  CHECK(of_one < kCapacityBytes);
  CHECK(buffers.flushed() != nullptr);

  // The one that was flushed last is taken first: rows stay as long as one is enough.
  for (unsigned round = 0; round < 10; ++round) {
    write_and_flush();
    insert(round);
    CHECK(rows.bytes_lent() == of_one);
    CHECK(buffers.flushed() != nullptr);
  }
  // While nobody writes, rows have that one, too.
  for (std::uint64_t number = 0; number < 5'000; ++number) insert(number);
  CHECK(rows.bytes_lent() == 2 * of_one);
  CHECK(buffers.flushed() == nullptr);
  // Whoever writes faster than the flusher flushes gets all three.
  buffers.active().add(kDefaultTable, "key", "value", WriteKind::put, sequence);
  REQUIRE(buffers.rotate());
  CHECK(rows.bytes_lent() == of_one);
  buffers.active().add(kDefaultTable, "key", "value", WriteKind::put, sequence);
  REQUIRE(buffers.rotate());
  CHECK(rows.bytes_lent() == 0);
  CHECK_FALSE(rows.find(1, rt::hash64(std::string_view("4999")), "4999").here);
}

TEST_CASE("buffer set: a flushed buffer is recycled only when its last reader lets go") {
  Fixture f;
  f.put("a");
  BufferPin pin(f.buffers.active());
  REQUIRE(f.buffers.rotate());
  f.put("b");
  REQUIRE(f.buffers.rotate());
  f.buffers.drop_oldest();
  f.put("c");
  CHECK(!f.buffers.rotate());
  REQUIRE(pin->find(kDefaultTable, "a", kLastSequence) != nullptr);
  pin.reset();
  CHECK(f.buffers.rotate());
}

TEST_CASE("buffer set: when readers pin all that was flushed there is one more buffer, given back later") {
  Fixture f;
  std::vector<BufferPin> pins;
  f.flush_pinned(pins);
  f.flush_pinned(pins);
  f.put("c");
  REQUIRE(f.buffers.rotate());  // the fourth
  f.buffers.drop_oldest();
  pins.clear();

  REQUIRE(f.buffers.rotate());
  REQUIRE(f.buffers.rotate());
  CHECK(!f.buffers.rotate());  // three again
}

TEST_CASE("buffer set: skips of the range filter are counted beyond the life of a buffer") {
  Fixture f;
  std::vector<BufferPin> pins;
  f.put("m");
  CHECK(f.buffers.active().find(kDefaultTable, "a", kLastSequence) == nullptr);
  CHECK(f.buffers.range_skips() == 1);
  for (int i = 0; i < 4; ++i) {
    REQUIRE(f.buffers.rotate());
    f.buffers.drop_oldest();
  }
  CHECK(f.buffers.range_skips() == 1);
}

Task<void> wait_then_set(rt::WaitQueue& queue, bool& woken) {
  co_await queue.wait();
  woken = true;
}

TEST_CASE("buffer set: writers are woken by a flush and by the last reader of a buffer, the flusher by a freeze") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  const auto turn = [&] {
    while (core->poll()) {
    }
  };
  Fixture f;
  bool frozen = false;
  core->spawn(wait_then_set(f.buffers.frozen_added, frozen));
  turn();
  f.put("a");
  BufferPin pin(f.buffers.active());
  REQUIRE(f.buffers.rotate());
  turn();
  CHECK(frozen);

  bool flushed = false;
  core->spawn(wait_then_set(f.buffers.space_freed, flushed));
  turn();
  CHECK(!flushed);
  f.buffers.drop_oldest();
  turn();
  CHECK(flushed);

  bool unpinned = false;
  core->spawn(wait_then_set(f.buffers.space_freed, unpinned));
  turn();
  CHECK(!unpinned);
  pin.reset();
  turn();
  CHECK(unpinned);
}

}  // namespace
}  // namespace cambium
