// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/flusher.h"

#include <catch2/catch.hpp>

#include "lib/flush/flush_fixture.h"

namespace cambium {
namespace {

using test::FlushFixture;
using test::Pairs;

struct Fixture : FlushFixture {
  Fixture() { base.core().spawn(flusher->run(), Priority::background); }
  ~Fixture() {
    flusher->stop();
    base.run(flusher->stopped());
  }
  Status flush() {
    REQUIRE(buffers.rotate());
    return base.run(flusher->wait_for(sequence));
  }
};

Task<void> sleep_past_a_retry(Core& core) { co_await core.sleep_ns(250'000'000); }

TEST_CASE("flusher: a frozen buffer becomes the newest version, the last write of each key") {
  Fixture f;
  f.put("a", "1");
  f.put("b", "2");
  f.put("a", "3");
  f.sequence = next(f.sequence);
  f.buffers.active().add(kDefaultTable, "b", "", WriteKind::del, f.sequence);
  f.put("c", "4");
  REQUIRE(f.flush());
  CHECK(f.buffers.empty());
  CHECK(f.read(f.table().newest()) == Pairs{{"a", "3"}, {"c", "4"}});
  CHECK(f.committer.record().sequence == raw(f.sequence));
  CHECK(f.flusher->stats().flushes == 1);
}

TEST_CASE("flusher: writes of a table that is gone are let go with their buffer") {
  Fixture f;
  f.put("a", "1");
  f.sequence = next(f.sequence);
  f.buffers.active().add(TableId{77}, "x", "y", WriteKind::put, f.sequence);
  REQUIRE(f.flush());
  CHECK(f.buffers.empty());
  CHECK(f.read(f.table().newest()) == Pairs{{"a", "1"}});
}

TEST_CASE("flusher: a snapshot in the middle of a buffer gets a version of its own") {
  Fixture f;
  f.put("a", "1");
  f.put("b", "1");
  {
    SnapshotState snapshot(*f.views, f.buffers, f.sequence);
    f.snapshots.add(snapshot);
    f.put("a", "2");
    f.put("c", "2");
    const std::uint64_t commits = f.committer.stats().commits;
    REQUIRE(f.flush());
    CHECK(f.committer.stats().commits == commits + 2);
    CHECK(snapshot.buffers().empty());
    CHECK(f.read(f.table().at(snapshot.generation())) == Pairs{{"a", "1"}, {"b", "1"}});
    CHECK(f.read(f.table().newest()) == Pairs{{"a", "2"}, {"b", "1"}, {"c", "2"}});
  }
  CHECK(f.views->idle());
}

TEST_CASE("flusher: out of space is told to who waits, keeps the buffer, and is tried again") {
  Fixture f;
  f.put("a", "1");
  f.base.disk().plan({.error = 28, .kind = rt::IoKind::write});
  CHECK(f.flush().code() == Errc::no_space);
  CHECK(f.flusher->blocked());
  CHECK(f.buffers.frozen_count() == 1);
  f.base.run(sleep_past_a_retry(f.base.core()));
  CHECK(!f.flusher->blocked());
  CHECK(f.buffers.empty());
  CHECK(f.read(f.table().newest()) == Pairs{{"a", "1"}});
}

// Where in the sequence of writes the versions lie that a power cut can lead back to.
class Versions {
 public:
  explicit Versions(Fixture& f) : f_(f) {
    f_.base.disk().on_step(
        [](void* self, const SimStep&) {
          auto& versions = *static_cast<Versions*>(self);
          const std::uint64_t now = versions.f_.committer.record().sequence;
          if (versions.seen.empty() || versions.seen.back() != now) versions.seen.push_back(now);
        },
        this);
  }
  Versions(const Versions&) = delete;
  Versions& operator=(const Versions&) = delete;
  ~Versions() { f_.base.disk().on_step(nullptr, nullptr); }
  std::vector<std::uint64_t> seen;

 private:
  Fixture& f_;
};

// Overwrites what is there until the device has no room for it twice; the file does not grow.
std::size_t fill_up(Fixture& f) {
  f.base.disk().set_capacity_bytes(f.base.disk().allocated_bytes());
  std::size_t keys = 0;
  test::Batch batch;
  for (;;) {
    for (std::size_t i = 0; i < 12; ++i, ++keys) batch["key" + std::to_string(1000 + keys)] = std::string(900, 'v');
    if (!f.commit(batch)) return keys - 12;
    REQUIRE(f.base.run(test::touch_once(f.committer)));
    batch.clear();
  }
}

TEST_CASE("flusher: deletes that the reserve cannot hold at once go in portions, none of which divides a batch") {
  Fixture f;
  const std::size_t keys = fill_up(f);
  constexpr std::size_t kBatch = 3;
  constexpr std::size_t kDeletes = 600;
  REQUIRE(keys > kDeletes);
  f.sequence = Sequence{1};
  // A stride that leads all over the tree, so that each delete takes a leaf of its own.
  for (std::size_t i = 0; i < kDeletes; ++i) {
    f.sequence = next(f.sequence);
    const std::string key = "key" + std::to_string(1000 + i * 101 % keys);
    const BufferEntry& entry = f.buffers.active().add(kDefaultTable, key, "", WriteKind::del, f.sequence);
    if (i % kBatch != kBatch - 1) f.buffers.active().goes_on(entry);
  }
  const Versions versions(f);
  const Status flushed = f.flush();
  INFO(flushed.error().message());
  REQUIRE(flushed);
  CHECK(f.read(f.table().newest()).size() == keys - kDeletes);
  CHECK(versions.seen.size() > 10);
  for (const std::uint64_t sequence : versions.seen) {
    CAPTURE(sequence);
    CHECK((sequence - 1) % kBatch == 0);
  }
}

TEST_CASE("flusher: writes that need room wait for it on a full device, and leave the reserve alone") {
  Fixture f;
  const std::size_t keys = fill_up(f);
  f.sequence = Sequence{1};
  for (std::size_t i = 0; i < 50; ++i) f.put("more" + std::to_string(i), std::string(900, 'm'));
  CHECK(f.flush().code() == Errc::no_space);
  CHECK(f.space->free_pages() >= f.space->reserve_pages());
  f.base.disk().set_capacity_bytes(~std::uint64_t{0});
  f.base.run(sleep_past_a_retry(f.base.core()));
  CHECK(f.buffers.empty());
  CHECK(f.read(f.table().newest()).size() == keys + 50);
}

TEST_CASE("flusher: pages that only the fallback superblock holds are fetched before space is said to be out") {
  Fixture f;
  f.base.disk().set_capacity_bytes(f.base.disk().allocated_bytes());
  test::Batch batch;
  for (std::size_t i = 0; i < 1150; ++i) batch["key" + std::to_string(1000 + i)] = std::string(900, 'v');
  REQUIRE(f.commit(batch));
  REQUIRE(f.base.run(test::touch_once(f.committer)));
  batch.clear();
  for (std::size_t i = 0; i < 200; ++i) batch["key" + std::to_string(1000 + i)] = std::string(900, 'w');
  REQUIRE(f.commit(batch));
  // Too few for the flusher to fetch them without need.
  REQUIRE(f.space->held_by_fallback() > 40);
  REQUIRE(f.space->held_by_fallback() <= f.space->file_pages() / 8);
  f.sequence = Sequence{1};
  for (std::size_t i = 0; i < 900; i += 4) f.put("key" + std::to_string(1000 + i), std::string(50, 'x'));
  const std::uint64_t commits = f.committer.stats().commits;
  REQUIRE(f.flush());
  CHECK(f.committer.stats().commits == commits + 2);
  CHECK(f.read(f.table().newest()).size() == 1150);
}

TEST_CASE("flusher: an I/O error ends it, and the buffer stays readable") {
  Fixture f;
  f.put("a", "1");
  f.base.disk().plan({.kind = rt::IoKind::sync});
  CHECK(f.flush().code() == Errc::io);
  f.base.run(sleep_past_a_retry(f.base.core()));
  CHECK(f.flusher->failure().code() == Errc::io);
  REQUIRE(f.buffers.has_frozen());
  CHECK(f.buffers.oldest_frozen().buffer.find(kDefaultTable, "a", kLastSequence)->value().view() == "1");
  CHECK(f.base.run(f.flusher->wait_for(f.sequence)).code() == Errc::io);
}

}  // namespace
}  // namespace cambium
