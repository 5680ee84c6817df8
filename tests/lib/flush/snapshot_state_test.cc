// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/snapshot_state.h"

#include <catch2/catch.hpp>

#include <memory>

#include "lib/flush/flush_fixture.h"

namespace cambium {
namespace {

using test::FlushFixture;

std::unique_ptr<SnapshotState> take(FlushFixture& f) {
  auto snapshot = std::make_unique<SnapshotState>(*f.views, f.buffers, f.sequence);
  f.snapshots.add(*snapshot);
  return snapshot;
}

TEST_CASE("snapshot state: buffers are pinned newest first, empty ones not at all") {
  FlushFixture f;
  CHECK(take(f)->buffers().empty());
  f.put("a", "1");
  REQUIRE(f.buffers.rotate());
  f.put("b", "2");
  const auto snapshot = take(f);
  REQUIRE(snapshot->buffers().size() == 2);
  CHECK(snapshot->buffers()[0].ordered == &f.buffers.active_ordered());
  CHECK(snapshot->buffers()[1].ordered == &f.buffers.oldest_frozen());
  CHECK(f.buffers.active().references() == 1);
  {
    const SnapshotState copy(*snapshot);
    CHECK(f.buffers.active().references() == 2);
    CHECK(f.snapshots.count() == 1);  // a copy is not registered
  }
  CHECK(f.buffers.active().references() == 1);
}

TEST_CASE("snapshot registry: a flush stops at each snapshot inside the buffer, lowest first") {
  FlushFixture f;
  OrderedBuffer& buffer = f.buffers.active_ordered();
  f.put("a", "1");
  f.put("a", "2");
  const auto second = take(f);
  f.put("a", "3");
  f.put("a", "4");
  auto fourth = take(f);
  f.put("a", "5");
  const Sequence last{5};
  CHECK(raw(f.snapshots.next_stop(buffer, Sequence{0}, last)) == 2);
  CHECK(raw(f.snapshots.next_stop(buffer, Sequence{2}, last)) == 4);
  CHECK(raw(f.snapshots.next_stop(buffer, Sequence{4}, last)) == 5);
  fourth.reset();
  CHECK(raw(f.snapshots.next_stop(buffer, Sequence{2}, last)) == 5);
  OrderedBuffer stranger(64 * KiB);
  CHECK(raw(f.snapshots.next_stop(stranger, Sequence{0}, last)) == 5);
}

TEST_CASE("snapshot registry: a snapshot moves forward with the flush and lets its buffer go when it is through") {
  FlushFixture f;
  OrderedBuffer& buffer = f.buffers.active_ordered();
  f.put("a", "1");
  const auto first = take(f);
  f.put("a", "2");
  const auto second = take(f);
  f.put("a", "3");
  const Generation before = f.views->newest();

  f.commit({{"a", "1"}}, Sequence{1}).value();
  f.snapshots.advance(*f.views, buffer, Sequence{1});
  const Generation at_first = f.views->newest();
  CHECK(at_first > before);
  CHECK(first->generation() == at_first);
  CHECK(first->buffers().empty());
  CHECK(second->generation() == at_first);
  CHECK(second->buffers().size() == 1);

  f.commit({{"a", "2"}}, Sequence{2}).value();
  f.snapshots.advance(*f.views, buffer, Sequence{2});
  CHECK(first->generation() == at_first);  // stays where it is
  CHECK(second->generation() == f.views->newest());
  CHECK(second->buffers().empty());
  CHECK(buffer.buffer.references() == 0);
}

TEST_CASE("snapshot registry: a snapshot beyond the buffer keeps the newer buffer only") {
  FlushFixture f;
  f.put("a", "1");
  REQUIRE(f.buffers.rotate());
  f.put("b", "2");
  const auto snapshot = take(f);
  f.commit({{"a", "1"}}, Sequence{1}).value();
  f.snapshots.advance(*f.views, f.buffers.oldest_frozen(), Sequence{1});
  REQUIRE(snapshot->buffers().size() == 1);
  CHECK(snapshot->buffers()[0].ordered == &f.buffers.active_ordered());
  CHECK(snapshot->generation() == f.views->newest());
}

}  // namespace
}  // namespace cambium
