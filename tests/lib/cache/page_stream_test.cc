// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_stream.h"

#include <catch2/catch.hpp>

#include <optional>
#include <string>

#include "base/random.h"
#include "lib/cache/cache_fixture.h"

namespace cambium {
namespace {

constexpr std::uint32_t kPiecePages = 8;

Task<bool> fetch(PageStream& stream, PageId page) {
  const bool there = co_await stream.fetch(page);
  co_return there;
}
// Begins to fetch, and is dropped after so many turns.
Task<void> fetch_for_a_while(Core& core, PageStream& stream, PageId page, std::uint64_t turns) {
  std::optional<Task<bool>> task(stream.fetch(page));
  task->start();
  for (; turns != 0; --turns) co_await core.yield();
}

class StreamFixture : public test::CacheFixture {
 public:
  static constexpr std::size_t kCount = 6;
  explicit StreamFixture(const SimOptions& options = {.seed = 1, .eager = true})
      : CacheFixture(16, options), buffers(device(), memory(kCount * kPiecePages), kCount, kPiecePages) {}
  ~StreamFixture() { settle(); }

  // The page through the stream; false when it has ended.
  bool walk_to(PageStream& stream, std::uint32_t page) {
    const char* bytes = stream.find(PageId{page});
    if (bytes == nullptr) {
      if (!run(fetch(stream, PageId{page}))) return false;
      bytes = stream.find(PageId{page});
    }
    REQUIRE(bytes != nullptr);
    REQUIRE(node::NodeView(bytes).leaf_entry(0).value.str() == "value of page " + std::to_string(page));
    return true;
  }

  StreamBuffers buffers;
};

TEST_CASE("page stream: a walk either way sees every page, at one read for many") {
  const bool forward = GENERATE(true, false);
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 6)));
  CAPTURE(forward, seed);
  StreamFixture f({.seed = seed});
  PageStream stream(f.buffers, forward);
  REQUIRE(stream.start(true));
  for (std::uint32_t i = 0; i < 500; ++i) REQUIRE(f.walk_to(stream, forward ? 20 + i : 519 - i));
  CHECK(f.buffers.reads() <= 500 / kPiecePages + 5);
}

TEST_CASE("page stream: a walk that passes over a few pages goes on, up to both ends of the file") {
  const bool forward = GENERATE(true, false);
  StreamFixture f;
  PageStream stream(f.buffers, forward);
  REQUIRE(stream.start(true));
  for (std::uint32_t i = 0; i < 590; i += 2) REQUIRE(f.walk_to(stream, forward ? 9 + i : 599 - i));
  CHECK(f.buffers.reads() <= 590 / kPiecePages + 5);
}

TEST_CASE("page stream: a walk that jumps about ends it, and gives its pieces back") {
  StreamFixture f;
  rt::Random random(7);
  PageStream stream(f.buffers, true);
  REQUIRE(stream.start(true));
  CHECK(f.buffers.free_count() == 3);
  unsigned steps = 0;
  while (f.walk_to(stream, static_cast<std::uint32_t>(random.between(20, 590)))) REQUIRE(++steps < 100);
  CHECK_FALSE(stream.running());
  f.settle();
  CHECK(f.buffers.free_count() == StreamFixture::kCount);
}

TEST_CASE("page stream: a read that fails, or beyond the file, ends it; it can be started again") {
  StreamFixture f;
  PageStream stream(f.buffers, true);
  REQUIRE(stream.start(true));
  f.disk().plan({.kind = rt::IoKind::read});
  CHECK_FALSE(f.run(fetch(stream, PageId{30})));
  CHECK_FALSE(stream.running());
  f.settle();
  REQUIRE(stream.start(true));
  CHECK(f.walk_to(stream, 30));
  CHECK_FALSE(f.run(fetch(stream, PageId{5000})));
  CHECK_FALSE(stream.running());
}

TEST_CASE("page stream: pieces are left for others, unless it is greedy; without any it does not start") {
  StreamFixture f;
  PageStream first(f.buffers, true);
  PageStream second(f.buffers, true);
  PageStream third(f.buffers, true);
  REQUIRE(first.start(false));
  CHECK_FALSE(second.start(false));
  REQUIRE(second.start(true));
  CHECK_FALSE(third.start(true));
  first.stop();
  CHECK(third.start(true));
}

// The device writes into the pieces of a stream that is gone: nobody else may have them before it is done.
TEST_CASE("page stream: dropped while it reads, at any moment") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 31)));
  CAPTURE(seed);
  StreamFixture f({.seed = seed});
  rt::Random random(seed);
  for (unsigned round = 0; round < 50; ++round) {
    std::optional<PageStream> stream(std::in_place, f.buffers, random.below(2) == 0);
    if (stream->start(true)) {
      f.run(fetch_for_a_while(f.core(), *stream, PageId{random.between(20, 590)}, random.below(4)));
    }
    stream.reset();
    PageStream next(f.buffers, true);
    if (next.start(true)) REQUIRE(f.walk_to(next, static_cast<std::uint32_t>(random.between(20, 500))));
  }
  f.settle();
  CHECK(f.buffers.free_count() == StreamFixture::kCount);
}

}  // namespace
}  // namespace cambium
