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
