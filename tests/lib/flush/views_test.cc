// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/views.h"

#include <catch2/catch.hpp>

#include <utility>

#include "lib/flush/flush_fixture.h"

namespace cambium {
namespace {

using test::FlushFixture;

TEST_CASE("views: references are counted through copies, moves and assignments") {
  FlushFixture f;
  CHECK(f.views->idle());
  {
    ViewRef a(*f.views);
    ViewRef b = a;
    const ViewRef c = std::move(a);
    CHECK(!f.views->idle());
    b = c;
    CHECK(b.generation() == f.views->newest());
    b = ViewRef();
    CHECK(!f.views->idle());
  }
  CHECK(f.views->idle());
}

TEST_CASE("views: a held view keeps its pages and its root until it is dropped") {
  FlushFixture f;
  f.commit(FlushFixture::batch_of(100, "old")).value();
  ViewRef held(*f.views);
  const TableRoot old = f.table().newest();
  f.commit(FlushFixture::batch_of(100, "new")).value();
  f.base.run(test::touch_once(f.committer)).value();
  f.base.run(test::touch_once(f.committer)).value();

  CHECK(held.generation() < f.views->newest());
  CHECK(f.table().at(held.generation()).pointer == old.pointer);
  CHECK(f.table().newest().pointer != old.pointer);
  CHECK(f.space->held(old.pointer.id()));
  const test::Pairs pairs = f.read(old);
  REQUIRE(pairs.size() == 100);
  CHECK(pairs.front().second == "old");

  const Generation generation = held.generation();
  held = ViewRef();
  CHECK(f.views->idle());
  CHECK(!f.space->held(old.pointer.id()));
  CHECK(!f.space->used(old.pointer.id()));
  CHECK(f.table().at(generation).pointer == f.table().newest().pointer);  // the old root is forgotten
}

TEST_CASE("views: dropping a view in the middle leaves the roots of older ones") {
  FlushFixture f;
  f.commit({{"k", "1"}}).value();
  const ViewRef oldest(*f.views);
  f.commit({{"k", "2"}}).value();
  ViewRef middle(*f.views);
  f.commit({{"k", "3"}}).value();
  middle = ViewRef();
  CHECK(f.read(f.table().at(oldest.generation())) == test::Pairs{{"k", "1"}});
  CHECK(f.read(f.table().newest()) == test::Pairs{{"k", "3"}});
}

}  // namespace
}  // namespace cambium
