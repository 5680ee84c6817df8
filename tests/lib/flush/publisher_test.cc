// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/publisher.h"

#include <catch2/catch.hpp>

#include "lib/flush/flush_fixture.h"

namespace cambium {
namespace {

using test::FlushFixture;

TEST_CASE("publisher: a commit shows the root to everybody and writes it into the catalog") {
  FlushFixture f;
  f.commit(FlushFixture::batch_of(500, "value"), Sequence{500}).value();
  CHECK(f.views->newest() == f.committer.newest());
  CHECK(f.committer.record().sequence == 500);
  CHECK(f.table().newest().pointer.entries == 500);

  const test::Pairs rows = f.read(f.publisher->catalog());
  REQUIRE(rows.size() == 1);
  TableSet tables;
  REQUIRE(read_catalog_row(rows[0].first, rows[0].second, tables));
  CHECK(tables.default_table().newest().pointer == f.table().newest().pointer);
  CHECK(f.on_disk().record.catalog == f.publisher->catalog().pointer);
}

Task<Status> build_and_give_up(Publisher& publisher, TableState& table, std::span<const Change> changes) {
  co_await publisher.committer().lane().lock();
  MutexGuard lane(publisher.committer().lane());
  const std::unique_ptr<PageWriter> writer = publisher.writer();
  TableRoot root = co_await check(publisher.store_of(table).apply(table.newest(), changes, *writer));
  static_cast<void>(root);
  Status status = co_await publisher.give_up(*writer, Errc::cancelled);
  co_return status;
}

TEST_CASE("publisher: what is given up leaves neither pages nor a new version") {
  FlushFixture f;
  f.commit(FlushFixture::batch_of(500, "old")).value();
  const std::uint64_t used = f.space->used_pages();
  const std::uint64_t free = f.space->free_pages();
  const Generation newest = f.views->newest();
  const test::Batch batch = FlushFixture::batch_of(500, "new");
  const std::vector<Change> changes = test::TreeFixture::changes_of(batch);
  CHECK(f.base.run(build_and_give_up(*f.publisher, f.table(), changes)).code() == Errc::cancelled);
  CHECK(f.space->used_pages() == used);
  CHECK(f.space->free_pages() == free);
  CHECK(f.views->newest() == newest);
  CHECK(f.read(f.table().newest()).back().second == "old");
  f.commit(batch).value();
  CHECK(f.read(f.table().newest()).back().second == "new");
}

Task<Status> move_catalog(Publisher& publisher, PageId limit) {
  co_await publisher.committer().lane().lock();
  MutexGuard lane(publisher.committer().lane());
  const std::unique_ptr<PageWriter> writer = publisher.writer();
  co_await check(publisher.relocate_catalog(limit, *writer));
  std::vector<NewRoot> roots;
  Status status = co_await publisher.commit(*writer, roots, Sequence{1});
  co_return status;
}

TEST_CASE("publisher: a catalog beyond the limit moves, with the same rows") {
  FlushFixture f;
  f.commit(FlushFixture::batch_of(2000, "value")).value();
  const format::ChildPointer before = f.publisher->catalog().pointer;
  const test::Pairs rows = f.read(f.publisher->catalog());
  f.base.run(move_catalog(*f.publisher, before.id())).value();
  CHECK(f.publisher->catalog().pointer.page != before.page);
  CHECK(f.read(f.publisher->catalog()) == rows);
  CHECK(!f.space->used(before.id()));
}

}  // namespace
}  // namespace cambium
