// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_cache.h"

#include <catch2/catch.hpp>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "lib/cache/cache_fixture.h"

namespace cambium {
namespace {

using test::CacheFixture;

struct Fetch {
  PageRef page;
  Status status;
  unsigned done = 0;
};
void start(CacheFixture& f, std::uint32_t page, Fetch& fetch, unsigned level = 0) {
  f.core().spawn(test::fetch_into(f.cache, f.pointers[page], level, fetch.page, fetch.status, fetch.done));
}

TEST_CASE("page cache: a fetched page is there, and a fetch of it does not read again") {
  CacheFixture f(16);
  REQUIRE(f.touch(10));
  const FrameIndex frame = f.cache.find(PageId{10});
  REQUIRE(frame != kNoFrame);
  CHECK(f.value_in(frame) == "value of page 10");
  REQUIRE(f.touch(10));
  CHECK(f.cache.stats().reads == 1);
  CHECK(f.cache.pinned() == 0);
}

TEST_CASE("page cache: never more pages than frames, and every page comes back right") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 7)));
  CAPTURE(seed);
  rt::Random random(seed);
  CacheFixture f(16, {.seed = seed});
  for (unsigned i = 0; i < 2000; ++i) {
    const auto page = static_cast<std::uint32_t>(random.between(8, 300));
    REQUIRE(f.touch(page));
    REQUIRE(f.value_in(f.cache.find(PageId{page})) == "value of page " + std::to_string(page));
    if (i % 100 != 0) continue;
    std::size_t cached = 0;
    for (std::uint32_t p = 4; p < 600; ++p) {
      const FrameIndex frame = f.cache.find(PageId{p});
      if (frame == kNoFrame) continue;
      ++cached;
      REQUIRE(f.value_in(frame) == "value of page " + std::to_string(p));
    }
    REQUIRE(cached <= 16);
  }
  CHECK(f.cache.stats().evictions > 500);
}

TEST_CASE("page cache: a pinned page is never evicted and does not move") {
  CacheFixture f(8);
  REQUIRE(f.touch(10));
  const FrameIndex frame = f.cache.find(PageId{10});
  {
    const PageRef pinned = f.cache.pin(frame);
    for (std::uint32_t page = 20; page < 200; ++page) REQUIRE(f.touch(page));
    CHECK(f.cache.find(PageId{10}) == frame);
    CHECK(f.value_in(frame) == "value of page 10");
    CHECK(f.cache.pinned() == 1);
  }
  for (std::uint32_t page = 20; page < 200; ++page) REQUIRE(f.touch(page));
  CHECK(f.cache.find(PageId{10}) == kNoFrame);
}

TEST_CASE("page cache: a used branch outlives leaves that are read once") {
  CacheFixture f(16);
  f.write_branch(500, 10, 5);
  REQUIRE(f.touch(500, 1));
  for (std::uint32_t page = 20; page < 300; ++page) {
    REQUIRE(f.touch(page));
    const FrameIndex frame = f.cache.find(PageId{500});
    CAPTURE(page);
    REQUIRE(frame != kNoFrame);
    f.cache.touch_branch(frame);
  }
  // Unused it goes too, after a few rounds of the clock.
  for (std::uint32_t page = 300; page < 400; ++page) REQUIRE(f.touch(page));
  CHECK(f.cache.find(PageId{500}) == kNoFrame);
}

TEST_CASE("page cache: two fetches of a page on its way make one read, and both get it") {
  CacheFixture f(16, {.seed = 3});
  std::deque<Fetch> fetches(5);
  for (Fetch& fetch : fetches) start(f, 10, fetch);
  f.settle();
  for (Fetch& fetch : fetches) {
    REQUIRE(fetch.done == 1);
    REQUIRE(fetch.page);
    CHECK(node::NodeView(fetch.page.bytes()).leaf_entry(0).value == Bytes("value of page 10"));
  }
  CHECK(f.cache.stats().reads == 1);
  CHECK(f.cache.pinned() == 1);  // one frame, five pins
  fetches.clear();
  CHECK(f.cache.pinned() == 0);
}

TEST_CASE("page cache: with every frame pinned a fetch is busy, and says what to do") {
  CacheFixture f(8);
  std::deque<Fetch> fetches(8);
  for (std::uint32_t i = 0; i < 8; ++i) start(f, 10 + i, fetches[i]);
  f.settle();
  CHECK(f.cache.pinned() == 8);
  const Status busy = f.touch(50);
  CHECK(busy.code() == Errc::busy);
  CHECK(!std::string(busy.error().hint()).empty());
  CHECK(!f.cache.prefetch(f.pointers[51], 0));
  REQUIRE(f.touch(12));  // what is cached is still served
  fetches[3].page.reset();
  REQUIRE(f.touch(50));
  fetches.clear();
}

TEST_CASE("page cache: those who wait for a frame get one when it comes free, in order, or busy when none can") {
  CacheFixture f(8, {.seed = 5});
  std::deque<Fetch> fetches(20);
  for (std::uint32_t i = 0; i < 20; ++i) start(f, 10 + i, fetches[i]);
  f.settle();
  // Eight pages are held; with nothing on its way, the others cannot be served.
  unsigned served = 0;
  for (Fetch& fetch : fetches) {
    REQUIRE(fetch.done == 1);
    served += fetch.page ? 1u : 0u;
    if (!fetch.page) CHECK(fetch.status.code() == Errc::busy);
  }
  CHECK(served == 8);
  fetches.clear();

  // Callers that let go at once: all are served by eight frames.
  unsigned ok = 0;
  struct Count {
    static Task<void> one(PageCache& cache, format::ChildPointer pointer, unsigned& ok) {
      Status status = co_await test::fetch_and_drop(cache, pointer, 0);
      if (status) ++ok;
    }
  };
  for (std::uint32_t i = 0; i < 100; ++i) f.core().spawn(Count::one(f.cache, f.pointers[100 + i], ok));
  f.settle();
  CHECK(ok == 100);
  CHECK(f.cache.pinned() == 0);
}

TEST_CASE("page cache: a prefetched page is used without a second read, and counted once") {
  CacheFixture f(64);
  CHECK(f.cache.prefetch(f.pointers[10], 0));
  CHECK(!f.cache.prefetch(f.pointers[10], 0));  // on its way
  CHECK(f.cache.loading() == 1);
  f.settle();
  CHECK(f.cache.loading() == 0);
  CHECK(!f.cache.prefetch(f.pointers[10], 0));  // there
  CHECK(!f.cache.resident(PageId{10}));         // nobody has wanted it yet
  REQUIRE(f.touch(10));
  REQUIRE(f.touch(10));
  CHECK(f.cache.resident(PageId{10}));
  CHECK(f.cache.prefetch(f.pointers[11], 0));
  CHECK(f.cache.prefetch(f.pointers[12], 0));
  Fetch fetch;
  start(f, 11, fetch);  // joins the read on its way
  f.settle();
  CHECK(fetch.page);
  CHECK(f.cache.stats().reads == 3);
  CHECK(f.cache.stats().prefetches == 3);
  CHECK(f.cache.stats().prefetch_hits == 2);
}

TEST_CASE("page cache: read-ahead leaves most frames to others") {
  CacheFixture f(16);
  unsigned started = 0;
  for (std::uint32_t page = 10; page < 60; ++page) started += f.cache.prefetch(f.pointers[page], 0) ? 1u : 0u;
  CHECK(started >= 4);
  CHECK(started <= 6);
  f.settle();
}

TEST_CASE("page cache: an invalidated page is not served again, whether ready, pinned or on its way") {
  CacheFixture f(16, {.seed = 9});
  REQUIRE(f.touch(10));
  f.cache.invalidate(PageId{10});
  CHECK(f.cache.find(PageId{10}) == kNoFrame);
  f.cache.invalidate(PageId{10});  // twice is once

  Fetch old;
  start(f, 11, old);
  f.settle();
  REQUIRE(old.page);
  const FrameIndex old_frame = old.page.frame();
  f.cache.invalidate(PageId{11});
  f.write_leaf(11, "new");
  CHECK(f.cache.find(PageId{11}) == kNoFrame);
  REQUIRE(f.touch(11));
  CHECK(f.value_in(f.cache.find(PageId{11})) == "new");
  CHECK(f.value_in(old_frame) == "value of page 11");  // the old pin's bytes stay
  old.page.reset();
  CHECK(f.cache.pinned() == 0);

  Fetch on_its_way;
  f.disk().plan({.action = FaultAction::delay, .argument = 100, .kind = rt::IoKind::read});
  start(f, 12, on_its_way);
  f.core().poll();
  REQUIRE(f.cache.loading() == 1);
  f.cache.invalidate(PageId{12});
  Fetch newer;
  std::string bytes = f.disk().peek(test::kFile, 12 * kPageBytes, kPageBytes);
  f.cache.insert(PageId{12}, bytes.data());
  f.settle();
  REQUIRE(on_its_way.done == 1);
  CHECK(f.cache.find(PageId{12}) != kNoFrame);
  if (on_its_way.page) CHECK(on_its_way.page.frame() != f.cache.find(PageId{12}));
  on_its_way.page.reset();

  CHECK(f.cache.prefetch(f.pointers[13], 0));
  f.cache.invalidate(PageId{13});
  f.settle();
  CHECK(f.cache.find(PageId{13}) == kNoFrame);
  CHECK(f.cache.loading() == 0);
  for (std::uint32_t page = 20; page < 100; ++page) REQUIRE(f.touch(page));  // no frame was lost
  std::size_t cached = 0;
  for (std::uint32_t page = 4; page < 600; ++page) cached += f.cache.find(PageId{page}) != kNoFrame ? 1u : 0u;
  CHECK(cached == 16);
}

TEST_CASE("page cache: every flipped bit of a page is corruption that names the page") {
  CacheFixture f(16);
  rt::Random random(2);
  for (unsigned i = 0; i < 600; ++i) {
    const std::uint64_t at = i < 64 ? i : random.below(kPageBytes);
    const auto bit = static_cast<unsigned>(random.below(8));
    f.disk().flip_bit(test::kFile, 10 * kPageBytes + at, bit);
    const Status status = f.touch(10);
    REQUIRE(status.code() == Errc::corruption);
    REQUIRE(std::string(status.error().message()).find("page 10 of data") != std::string::npos);
    REQUIRE(f.cache.find(PageId{10}) == kNoFrame);
    f.disk().flip_bit(test::kFile, 10 * kPageBytes + at, bit);
  }
  REQUIRE(f.touch(10));
}

TEST_CASE("page cache: a page that is whole but not the one its parent means is a lost or misdirected write") {
  CacheFixture f(16);
  f.disk().copy_page(test::kFile, 20, 10);  // misdirected
  Status status = f.touch(10);
  CHECK(status.code() == Errc::corruption);
  CHECK(std::string(status.error().message()).find("lost or misdirected write") != std::string::npos);

  const std::string older = f.disk().peek(test::kFile, 30 * kPageBytes, kPageBytes);
  f.write_leaf(30, "newer");
  f.disk().poke(test::kFile, 30 * kPageBytes, older);  // lost
  status = f.touch(30);
  CHECK(status.code() == Errc::corruption);
  CHECK(std::string(status.error().message()).find("lost or misdirected write") != std::string::npos);
}

TEST_CASE(
    "page cache: a page of another file, another place, another level or another type is refused though its checksum "
    "is right") {
  CacheFixture f(16);
  node::NodeEntry entry;
  entry.key = "k";
  f.write_node(40, 0, {&entry, 1}, test::kFileId + 1);
  CHECK(f.touch(40).code() == Errc::corruption);
  f.disk().copy_page(test::kFile, 20, 41);
  f.pointers[41] = {41, f.pointers[20].checksum, 1};
  CHECK(f.touch(41).code() == Errc::corruption);
  CHECK(f.touch(20, 1).code() == Errc::corruption);
  std::string bytes = f.disk().peek(test::kFile, 42 * kPageBytes, kPageBytes);
  format::header_of(bytes.data()).type = format::PageType::group_bitmap;
  f.pointers[42].checksum = format::seal_page(bytes.data());
  f.disk().poke(test::kFile, 42 * kPageBytes, bytes);
  CHECK(f.touch(42).code() == Errc::corruption);
}

TEST_CASE("page cache: a read that fails reaches everybody who waits, and the next fetch tries again") {
  CacheFixture f(16);
  f.disk().plan({.kind = rt::IoKind::read});
  std::deque<Fetch> fetches(3);
  for (Fetch& fetch : fetches) start(f, 10, fetch);
  f.settle();
  for (const Fetch& fetch : fetches) {
    CHECK(fetch.done == 1);
    CHECK(fetch.status.code() == Errc::io);
  }
  REQUIRE(f.touch(10));
  f.disk().plan({.kind = rt::IoKind::read});
  CHECK(f.cache.prefetch(f.pointers[11], 0));
  f.settle();
  CHECK(f.cache.find(PageId{11}) == kNoFrame);
  REQUIRE(f.touch(11));
}

// A waiter destroyed after its page had come, but before it ran again, was once resumed all the same.
TEST_CASE("page cache: a waiting coroutine may be destroyed at any moment") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 31)));
  CAPTURE(seed);
  rt::Random random(seed);
  CacheFixture f(8, {.seed = seed});
  struct Keep {
    static Task<void> one(PageCache& cache, format::ChildPointer pointer, unsigned& done) {
      Result<PageRef> page = co_await cache.fetch(pointer, 0);
      ++done;
      if (page) co_await cache.core().yield();
    }
  };
  for (unsigned round = 0; round < 30; ++round) {
    unsigned done = 0;
    std::vector<std::optional<Task<void>>> tasks;
    for (std::uint64_t i = random.between(1, 24); i != 0; --i) {
      tasks.emplace_back(Keep::one(f.cache, f.pointers[random.between(10, 40)], done));
    }
    for (auto& task : tasks) task->start();
    while (!tasks.empty()) {
      for (std::uint64_t turns = random.below(4); turns != 0; --turns) f.core().poll();
      const std::size_t i = random.below(tasks.size());
      tasks.erase(tasks.begin() + static_cast<std::ptrdiff_t>(i));
    }
    f.settle();
    REQUIRE(f.cache.pinned() == 0);
    REQUIRE(f.cache.loading() == 0);
  }
  for (std::uint32_t page = 50; page < 80; ++page) REQUIRE(f.touch(page));
}

TEST_CASE("page cache: hints find the right child through evictions, invalidations and reuse") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 7)));
  CAPTURE(seed);
  rt::Random random(seed);
  CacheFixture f(24, {.seed = seed, .eager = true});
  for (std::uint32_t branch = 0; branch < 8; ++branch) f.write_branch(500 + branch, 20 + 40 * branch, 40);
  FrameIndex root_hints[8];
  std::fill_n(root_hints, 8, kNoFrame);
  for (unsigned round = 0; round < 8000; ++round) {
    const auto branch = static_cast<std::uint32_t>(random.below(8));
    const auto index = static_cast<std::uint32_t>(random.below(random.chance(0.7) ? 4 : 40));
    const std::uint32_t leaf = 20 + 40 * branch + index;
    if (random.chance(0.02)) {
      f.cache.invalidate(PageId{leaf});
      f.write_leaf(leaf, "rewritten " + std::to_string(round));
    }
    const std::string expected =
        node::NodeView(f.disk().peek(test::kFile, leaf * kPageBytes, kPageBytes).data()).leaf_entry(0).value.str();
    FrameIndex parent = f.cache.find(f.pointers[500 + branch], 1, root_hints[branch]);
    REQUIRE((parent == kNoFrame) == (f.cache.find(PageId{500 + branch}) == kNoFrame));
    if (parent == kNoFrame) {
      REQUIRE(f.touch(500 + branch, 1));
      parent = f.cache.find(f.pointers[500 + branch], 1, root_hints[branch]);
    }
    REQUIRE(node::NodeView(f.cache.bytes(parent)).id() == PageId{500 + branch});
    f.cache.touch_branch(parent);
    const PageRef pin = f.cache.pin(parent);
    const PageCache::Hint hint = f.cache.guess_child(parent, index, true);
    FrameIndex frame = f.cache.right(hint, 0) ? hint.frame : f.cache.find_child(parent, index, f.pointers[leaf], 0);
    REQUIRE(frame == f.cache.find(PageId{leaf}));
    if (frame == kNoFrame) {
      REQUIRE(f.touch(leaf));
      frame = f.cache.find_child(parent, index, f.pointers[leaf], 0);
    }
    REQUIRE(frame == f.cache.find(PageId{leaf}));
    REQUIRE(f.value_in(frame) == expected);
    if (random.chance(0.5)) f.cache.touch(frame);
  }
}

// A page comes back to a frame that an old hint names: while it is being read there, the hint must not be believed.
TEST_CASE("page cache: a hint never leads to a page that is still arriving") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 21)));
  CAPTURE(seed);
  rt::Random random(seed);
  CacheFixture f(8, {.seed = seed, .poison_reads = false});
  f.write_branch(500, 20, 12);
  REQUIRE(f.touch(500, 1));
  const PageRef branch = f.cache.pin(f.cache.find(PageId{500}));
  for (unsigned round = 0; round < 3000; ++round) {
    const auto index = static_cast<std::uint32_t>(random.below(12));
    const PageId leaf{20 + index};
    const PageCache::Hint hint = f.cache.guess_child(branch.frame(), index, true);
    if (f.cache.right(hint, 0)) {
      REQUIRE(f.cache.find(leaf) == hint.frame);
    } else if (random.chance(0.3)) {
      static_cast<void>(f.cache.find_child(branch.frame(), index, f.pointers[raw(leaf)], 0));
    }
    // The device may have put the first bytes in place long before it says that it is done.
    if (f.cache.find(leaf) == kNoFrame) f.cache.prefetch(f.pointers[20 + index], 0);
    if (random.chance(0.7)) f.core().poll();
    if (random.chance(0.2)) f.settle();
  }
  f.settle();
}

TEST_CASE("page cache: an inserted page is served without a read; without a frame it is left out") {
  CacheFixture f(8);
  const std::string bytes = f.disk().peek(test::kFile, 10 * kPageBytes, kPageBytes);
  f.cache.insert(PageId{10}, bytes.data());
  REQUIRE(f.touch(10));
  CHECK(f.cache.stats().reads == 0);
  CHECK(f.cache.stats().inserted == 1);
  std::deque<Fetch> fetches(8);
  for (std::uint32_t i = 0; i < 8; ++i) start(f, 20 + i, fetches[i]);
  f.settle();
  const std::string other = f.disk().peek(test::kFile, 11 * kPageBytes, kPageBytes);
  f.cache.insert(PageId{11}, other.data());
  CHECK(f.cache.find(PageId{11}) == kNoFrame);
  fetches.clear();
}

}  // namespace
}  // namespace cambium
