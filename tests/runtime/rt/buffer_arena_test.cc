// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/buffer_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include <catch2/catch.hpp>

#include <cambium/rt/sim.h>

namespace cambium::rt {
namespace {

constexpr std::size_t kPage = 4096;

// Pages of [data, data + bytes) that are in memory.
std::size_t resident_pages(char* data, std::size_t bytes) {
  std::vector<unsigned char> pages(bytes / kPage);
  REQUIRE(::mincore(data, bytes, pages.data()) == 0);
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; }));
}

TEST_CASE("buffer arena: a piece gets its index when it is first asked for, and keeps it") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({});
  BufferArena arena = *BufferArena::create(*core, 3 * kHugePageBytes, kHugePageBytes);
  char* const third = arena.data() + 2 * kHugePageBytes;
  const std::int32_t late = arena.index_of(third, kPage);
  const std::int32_t early = arena.index_of(arena.data(), kHugePageBytes);
  CHECK(late >= 0);
  CHECK(early > late);  // in the order of asking
  CHECK(arena.index_of(third + kHugePageBytes - kPage, kPage) == late);
  CHECK(arena.index_of(arena.data() + kPage, kPage) == early);
  CHECK(arena.registered());
}

TEST_CASE("buffer arena: a transfer across two pieces has no index, one inside the longest piece has") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({});
  const BufferArena pieces = *BufferArena::create(*core, 2 * kHugePageBytes, kPage);  // rounded up to a huge page
  CHECK(pieces.index_of(pieces.data() + kHugePageBytes - kPage, 2 * kPage) == -1);
  CHECK(pieces.index_of(pieces.data() + kHugePageBytes - kPage, kPage) >= 0);
  const BufferArena whole = *BufferArena::create(*core, 2 * kHugePageBytes);
  CHECK(whole.index_of(whole.data() + kHugePageBytes - kPage, 2 * kPage) >= 0);
}

TEST_CASE("buffer arena: where registration is refused there is no index") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.refuse_registration = true});
  const BufferArena arena = *BufferArena::create(*core, 2 * kHugePageBytes, kHugePageBytes);
  CHECK(arena.index_of(arena.data(), kPage) == -1);
  CHECK_FALSE(arena.registered());
}

TEST_CASE("buffer arena: memory that nobody asked for is not there yet") {
  Result<std::unique_ptr<Core>> core = Core::create({.backend = Backend::uring});
  if (!core) return;  // not to be had here: io_backend_test.cc says so
  const BufferArena arena = *BufferArena::create(**core, 8 * kHugePageBytes, kHugePageBytes);
  CHECK(resident_pages(arena.data(), arena.size()) == 0);
  if (arena.index_of(arena.data(), kPage) < 0) return;
  CHECK(resident_pages(arena.data(), kHugePageBytes) == kHugePageBytes / kPage);
  CHECK(resident_pages(arena.data() + kHugePageBytes, arena.size() - kHugePageBytes) == 0);
}

}  // namespace
}  // namespace cambium::rt
