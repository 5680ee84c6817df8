// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/buffer_set.h"

#include <catch2/catch.hpp>

#include <vector>

#include <cambium/rt/sim.h>

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
