// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_writer.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include <cambium/rt/check.h>

#include "base/random.h"
#include "cache/overflow_value.h"
#include "lib/space/device_fixture.h"
#include "node/node_builder.h"
#include "node/node_view.h"

namespace cambium {
namespace {

using test::DeviceFixture;

constexpr std::uint32_t kSlotPages = 16;

struct Fixture : DeviceFixture {
  explicit Fixture(std::uint64_t pages, const SimOptions& options = {.seed = 1, .eager = true})
      : DeviceFixture(pages, options),
        space(SpaceMap::format(device(), pages, test::kFileId)),
        cache(device(), arena(), memory(17), 16, test::kFileId),
        staging(device(), memory(4 * kSlotPages), 4, kSlotPages * kPageBytes) {
    space->committed(Generation{1}, 0);
  }
  ~Fixture() { settle(); }
  PageWriter make_writer() {
    return PageWriter(*space, cache, staging, kSlotPages * kPageBytes, test::kFileId, Generation{2});
  }
  // Fills the space with runs of so many pages and frees those that are chosen by their number: born and freed by one
  // commit, they are free after it.
  template <class Chosen>
  void fragment(std::uint32_t pages, Chosen chosen) {
    std::vector<PageRun> runs;
    for (;;) {
      const Result<PageRun> run = space->allocate(pages, pages);
      if (!run) break;
      runs.push_back(run.value());
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (chosen(i)) space->free(runs[i], Generation{2}).value();
    }
    space->committed(Generation{2}, 1);
  }

  std::unique_ptr<SpaceMap> space;
  PageCache cache;
  WriteGroup staging;
};

Task<Status> write_pages(PageWriter& writer, std::size_t count, bool keep,
                         std::vector<format::ChildPointer>& pointers) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::string key = std::to_string(i);
    node::NodeEntry entry;
    entry.key = key;
    PageWriter::Slot slot = co_await check(writer.next());
    node::build_node(slot.data, {slot.id, writer.generation(), writer.file_id(), 0}, {&entry, 1});
    pointers.push_back({static_cast<std::uint32_t>(raw(slot.id)), writer.seal(slot, keep), 1});
  }
  co_await check(writer.finish());
  co_return Status();
}
Task<Result<std::string>> write_long(PageWriter& writer, Bytes value) {
  std::string reference;
  co_await check(writer.write_value(value, reference));
  co_await check(writer.finish());
  co_return reference;
}
Task<Result<std::string>> read_long(BlockDevice& device, const std::string& reference) {
  OverflowBuffer value = co_await check(read_overflow(device, OverflowView(reference)));
  co_return value.bytes().str();
}
Task<Status> fetch_page_at(PageCache& cache, format::ChildPointer pointer) {
  Result<PageRef> page = co_await cache.fetch(pointer, 0);
  if (!page) co_return page.error();
  co_return Status();
}
Task<void> abandon(PageWriter& writer) { co_await writer.abandon(); }

TEST_CASE("page writer: pages lie in runs of a whole buffer, and each run is one write") {
  Fixture f(4000);
  PageWriter writer = f.make_writer();
  std::vector<format::ChildPointer> pointers;
  f.run(write_pages(writer, 100, false, pointers)).value();
  CHECK(writer.stats().pages == 100);
  CHECK(writer.stats().writes == 7);
  for (std::size_t i = 1; i < 100; ++i) CHECK(pointers[i].page == pointers[i - 1].page + 1);
  // What was left of the last run is free again.
  CHECK(f.space->used_pages() == format::kSuperblockPages + format::group_own_pages(0) + 100);
  for (const format::ChildPointer& pointer : pointers) {
    const std::string page = f.disk().peek(test::kFile, std::uint64_t{pointer.page} * kPageBytes, kPageBytes);
    REQUIRE(format::page_checksum(page.data()) == pointer.checksum);
    REQUIRE(format::header_of(page.data()).page_id == pointer.page);
  }
}

TEST_CASE("page writer: on fragmented space that is mostly free, runs are short and nothing grows") {
  Fixture f(1000);
  f.fragment(1, [](std::size_t i) { return i % 4 != 0; });
  PageWriter writer = f.make_writer();
  std::vector<format::ChildPointer> pointers;
  f.run(write_pages(writer, 60, false, pointers)).value();
  CHECK(f.space->file_pages() == 1000);
  CHECK(writer.stats().writes == 20);  // three by three
  for (const format::ChildPointer& pointer : pointers) REQUIRE(f.run(fetch_page_at(f.cache, pointer)));
}

TEST_CASE(
    "page writer: with little free space the file grows rather than falls apart; a full device takes what is left") {
  for (const bool full : {false, true}) {
    Fixture f(1000);
    f.fragment(1, [](std::size_t i) { return i % 5 == 0; });
    if (full) f.disk().set_capacity_bytes(1000 * kPageBytes);
    PageWriter writer = f.make_writer();
    std::vector<format::ChildPointer> pointers;
    f.run(write_pages(writer, 40, false, pointers)).value();
    CAPTURE(full);
    CHECK((f.space->file_pages() > 1000) == !full);
    CHECK(writer.stats().writes == (full ? 40 : 3));
    if (!full) continue;
    PageWriter more = f.make_writer();
    pointers.clear();
    CHECK(f.run(write_pages(more, 400, false, pointers)).code() == Errc::no_space);
    f.run(abandon(more));
    f.space->aborted();
  }
}

TEST_CASE("page writer: on a full device the reserve is left alone, unless the commit makes room") {
  for (const bool makes_room : {false, true}) {
    CAPTURE(makes_room);
    Fixture f(200);
    f.disk().set_capacity_bytes(200 * kPageBytes);
    const std::uint64_t free = f.space->free_pages();
    const std::uint64_t reserve = f.space->reserve_pages();
    REQUIRE(reserve == SpaceMap::kReservePagesMin);
    PageWriter writer = f.make_writer();
    if (makes_room) writer.use(SpaceUse::reserve);
    std::vector<format::ChildPointer> pointers;
    CHECK(f.run(write_pages(writer, free, false, pointers)).code() == (makes_room ? Errc::ok : Errc::no_space));
    CHECK(f.space->free_pages() == (makes_room ? 0 : reserve));
    CHECK(pointers.size() == (makes_room ? free : free - reserve));
    f.run(abandon(writer));
    f.space->aborted();
    CHECK(f.space->free_pages() == free);
  }
}

TEST_CASE("page writer: a sealed page replaces what was cached under its id, and is kept where asked") {
  Fixture f(4000);
  std::vector<format::ChildPointer> first;
  {
    PageWriter writer = f.make_writer();
    f.run(write_pages(writer, 4, true, first)).value();
  }
  CHECK(f.cache.find(first[0].id()) != kNoFrame);
  f.space->aborted();  // the pages are free again
  std::vector<format::ChildPointer> second;
  PageWriter writer = f.make_writer();
  f.run(write_pages(writer, 4, false, second)).value();
  REQUIRE(second[0].page == first[0].page);
  CHECK(f.cache.find(second[0].id()) == kNoFrame);
  REQUIRE(f.run(fetch_page_at(f.cache, second[0])));
}

TEST_CASE("page writer: a failed write is reported by finish, and abandon leaves nothing in flight") {
  Fixture f(4000);
  f.disk().plan({.kind = rt::IoKind::write, .operation = 2});
  PageWriter writer = f.make_writer();
  std::vector<format::ChildPointer> pointers;
  const Status failed = f.run(write_pages(writer, 200, false, pointers));
  CHECK(failed.code() == Errc::io);
  f.run(abandon(writer));
  f.space->aborted();
  CHECK(f.staging.in_flight() == 0);
  CHECK(f.space->used_pages() == format::kSuperblockPages + format::group_own_pages(0));
}

TEST_CASE("overflow value: every length comes back, in one extent where there is room") {
  Fixture f(20'000);
  rt::Random random(1);
  for (const std::size_t bytes : {std::size_t{1}, kInlineValueBytesMax + 1, kPageBytes - 1, kPageBytes, kPageBytes + 1,
                                  std::size_t{65'535}, std::size_t{65'536}, std::size_t{65'537}, std::size_t{1} << 20,
                                  (std::size_t{1} << 20) + 1, std::size_t{5'000'000}}) {
    std::string value(bytes, '\0');
    random.bytes(value.data(), value.size());
    PageWriter writer = f.make_writer();
    const std::string reference = f.run(write_long(writer, value)).value();
    const OverflowView view{Bytes(reference)};
    CAPTURE(bytes);
    CHECK(view.value_bytes() == bytes);
    CHECK(view.extent_count() == 1);
    CHECK(raw(view.generation()) == 2);
    CHECK(view.extent(0).pages == format::overflow_pages(bytes));
    CHECK(writer.stats().overflow_pages == view.extent(0).pages);
    CHECK(view.reaches(PageId{raw(view.extent(0).first) + view.extent(0).pages - 1}));
    CHECK(!view.reaches(PageId{raw(view.extent(0).first) + view.extent(0).pages}));
    REQUIRE(f.run(read_long(f.device(), reference)).value() == value);
  }
}

TEST_CASE("overflow value: it spans extents on fragmented space, and every damaged byte is corruption") {
  Fixture f(3000);
  f.fragment(50, [](std::size_t i) { return i % 2 == 0; });
  rt::Random random(4);
  std::string value(200 * kPageBytes - 100, '\0');
  random.bytes(value.data(), value.size());
  PageWriter writer = f.make_writer();
  const std::string reference = f.run(write_long(writer, value)).value();
  const OverflowView view{Bytes(reference)};
  CHECK(f.space->file_pages() == 3000);
  CHECK(view.extent_count() >= 3);
  CHECK(view.extent_count() <= format::kOverflowExtentsMax);
  REQUIRE(f.run(read_long(f.device(), reference)).value() == value);
  for (std::size_t i = 0; i < view.extent_count(); ++i) {
    const std::uint64_t at = raw(view.extent(i).first) * kPageBytes + random.below(kPageBytes);
    f.disk().flip_bit(test::kFile, at, 3);
    const Result<std::string> damaged = f.run(read_long(f.device(), reference));
    CHECK(damaged.code() == Errc::corruption);
    CHECK(std::string(damaged.error().message()).find("page " + std::to_string(raw(view.extent(0).first))) !=
          std::string::npos);
    f.disk().flip_bit(test::kFile, at, 3);
  }
}

// Space may be so fragmented that every extent is as short as is accepted; the last ones once ran out of the reference.
TEST_CASE("overflow value: however short the extents turn out, sixteen hold the largest value") {
  for (std::uint32_t pages = 1; pages <= format::overflow_pages(kValueBytesMax); pages += 1 + pages / 97) {
    std::uint32_t left = pages;
    std::uint32_t extents = 0;
    while (left != 0) {
      REQUIRE(extents < format::kOverflowExtentsMax);
      const std::uint32_t least = PageWriter::extent_pages_least(left, extents);
      REQUIRE(least >= 1);
      REQUIRE(least <= PageWriter::extent_pages_wanted(left));
      left -= least;
      ++extents;
    }
  }
}

}  // namespace
}  // namespace cambium
