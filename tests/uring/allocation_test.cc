// SPDX-License-Identifier: MIT OR Apache-2.0
// The paths that promise to cost nothing but their work: no memory is asked for, no coroutine frame is made.
#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/frame_pool.h>

#include "base/text.h"
#include "support/kinds.h"
#include "support/skip.h"
#include "uring/ring_fixture.h"

namespace {

std::uint64_t allocations = 0;

}  // namespace

// Of the whole program: every new-expression and every container counts.
void* operator new(std::size_t bytes) {
  ++allocations;
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace cambium::test {
namespace {

struct Cost {
  std::uint64_t allocations = 0;
  std::uint64_t frames = 0;
};

class Meter {
 public:
  explicit Meter(Cost& cost) noexcept : cost_(cost) {
    cost_.frames = rt::frames_allocated();
    cost_.allocations = ::allocations;
  }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;
  ~Meter() {
    cost_.allocations = ::allocations - cost_.allocations;
    cost_.frames = rt::frames_allocated() - cost_.frames;
  }

 private:
  Cost& cost_;
};

constexpr int kRounds = 10'000;

std::string key_of(int i) { return rt::str("key ", 1'000'000 + i); }

Task<Status> measure(Core& core, const std::string& path, TableKind kind, Cost& gets, Cost& puts, Cost& scans,
                     int& found, int& scanned) {
  Options options;
  options.path = path;
  options.memory_bytes = 64 * MiB;
  Partition partition = co_await check(Partition::open(core, options));
  OneTable db = co_await check(OneTable::open(partition, kind));
  for (int i = 0; i < kRounds; ++i) {
    co_await check(db.put(key_of(i), "a value"));
  }
  co_await check(db->flush());
  for (int i = 0; i < kRounds; ++i) {  // every page is in the cache afterwards
    Value value = co_await check(db.get(key_of(i)));
    found -= value ? 1 : 0;
  }
  const std::string key = key_of(kRounds / 2);
  found = 0;
  {
    const Meter meter(gets);
    for (int i = 0; i < kRounds; ++i) {
      Value value = co_await check(db.get(key));
      found += value ? 1 : 0;
    }
  }
  {
    const Meter meter(puts);
    for (int i = 0; i < kRounds; ++i) {
      co_await check(db.put(key, "another value"));
    }
  }
  co_await check(db->flush());
  {
    Scan scan = db.scan();
    const Entry* entry = co_await check(scan.next());  // makes the cursor and what it needs
    for (int i = 0; i < 2000 && entry != nullptr; ++i) entry = co_await check(scan.next());
    const Meter meter(scans);
    while (entry != nullptr) {
      entry = co_await check(scan.next());
      ++scanned;
    }
  }
  Status closed = co_await db->close();
  co_return closed;
}

TEST_CASE("allocation: cached gets, buffered puts and the steps of a scan ask for no memory and make no frame",
          "[S07][S12]") {
  CAMBIUM_BOTH_KINDS(kind);
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  Cost gets;
  Cost puts;
  Cost scans;
  int found = 0;
  int scanned = 0;
  const Status done = ring.core->run(measure(*ring.core, ring.path, kind, gets, puts, scans, found, scanned));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(found == kRounds);
  CHECK(gets.allocations == 0);
  CHECK(gets.frames == 0);
  CHECK(puts.allocations == 0);
  CHECK(puts.frames == 0);
  CHECK(scanned == kRounds - 2000);
  CHECK(scans.allocations == 0);
  CHECK(scans.frames == 0);
}

Task<Status> measure_named(Core& core, const std::string& path, Cost& gets, Cost& puts, int& found) {
  Options options;
  options.path = path;
  options.memory_bytes = 64 * MiB;
  Partition db = co_await check(Partition::open(core, options));
  std::vector<Table> tables;
  for (int i = 0; i < 100; ++i) {
    const Table table =
        co_await check(db.table(rt::str("table ", i), {.kind = i % 2 == 0 ? TableKind::tree : TableKind::levels}));
    tables.push_back(table);
  }
  for (const Table& table : tables) {
    co_await check(db.put(table, "key", "a value"));
  }
  co_await check(db.flush());
  for (const Table& table : tables) {
    Value value = co_await check(db.get(table, "key"));
    found -= value ? 1 : 0;
  }
  found = 0;
  {
    const Meter meter(gets);
    for (const Table& table : tables) {
      Value value = co_await check(db.get(table, "key"));
      found += value ? 1 : 0;
    }
  }
  {
    const Meter meter(puts);
    for (const Table& table : tables) {
      co_await check(db.put(table, "key", "another value"));
    }
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("allocation: gets and puts of named tables ask for no memory and make no frame either", "[S07]") {
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  Cost gets;
  Cost puts;
  int found = 0;
  const Status done = ring.core->run(measure_named(*ring.core, ring.path, gets, puts, found));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(found == 100);
  CHECK(gets.allocations == 0);
  CHECK(gets.frames == 0);
  CHECK(puts.allocations == 0);
  CHECK(puts.frames == 0);
}

// As many at a time as the staging of the log takes: beyond it a put waits for the device. Groups leave meanwhile.
Task<Status> measure_logged_puts(Core& core, const std::string& path, TableKind kind, Cost& puts,
                                 std::uint64_t& groups) {
  Options options;
  options.path = path;
  options.memory_bytes = 64 * MiB;
  options.wal = WalMode::batched;
  Partition partition = co_await check(Partition::open(core, options));
  OneTable db = co_await check(OneTable::open(partition, kind));
  const std::string value(100, 'v');
  for (int i = 0; i < kRounds; ++i) {
    co_await check(db.put(key_of(i), value));
  }
  const std::string key = key_of(1);
  for (int round = 0; round < 10; ++round) {
    co_await check(db->durable(db->last_sequence()));
    Cost once;
    {
      const Meter meter(once);
      for (int i = 0; i < 2000; ++i) {
        co_await check(db.put(key, value));
        if (i % 500 == 0) co_await core.yield();
      }
    }
    puts.allocations += once.allocations;
    puts.frames += once.frames;
  }
  groups = db->stats().wal_groups;
  Status closed = co_await db->close();
  co_return closed;
}

TEST_CASE("allocation: a put that is logged in batches asks for no memory and makes no frame", "[S07][S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  Cost puts;
  std::uint64_t groups = 0;
  const Status done = ring.core->run(measure_logged_puts(*ring.core, ring.path, kind, puts, groups));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(groups > 0);
  CHECK(puts.allocations == 0);
  CHECK(puts.frames == 0);
}

}  // namespace
}  // namespace cambium::test
