// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/arena.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "runtime/base/death.h"

using namespace cambium::rt;
using cambium::rt::testing::run_in_child;

TEST_CASE("arena: nothing is reserved before the first allocation") {
  const Arena arena(4096);
  CHECK(arena.bytes_reserved() == 0);
  CHECK(arena.bytes_used() == 0);
}

TEST_CASE("arena: random allocations are aligned, disjoint, and keep their bytes") {
  const std::size_t chunk_bytes = GENERATE(std::size_t{64}, std::size_t{1000}, std::size_t{65536}, kHugePageBytes);
  constexpr std::uint64_t kSeed = 17;
  CAPTURE(chunk_bytes, kSeed);
  Random random(kSeed);
  struct Piece {
    char* data;
    std::size_t bytes;
    char fill;
  };
  Arena arena(chunk_bytes);
  for (int round = 0; round < 3; ++round) {
    std::vector<Piece> pieces;
    std::size_t asked = 0;
    for (int i = 0; i < 2000; ++i) {
      const std::size_t bytes = random.chance(0.02) ? random.below(3 * 4096) : random.below(200);
      const std::size_t align = std::size_t{1} << random.below(8);
      char* const data = arena.allocate(bytes, align);
      REQUIRE(data != nullptr);
      REQUIRE(reinterpret_cast<std::uintptr_t>(data) % align == 0);
      const char fill = static_cast<char>(random.below(256));
      if (bytes > 0) std::memset(data, fill, bytes);
      pieces.push_back({data, bytes, fill});
      asked += bytes;
    }
    // Overlapping pieces would have overwritten each other.
    std::size_t damaged = 0;
    for (const Piece& piece : pieces) {
      for (std::size_t i = 0; i < piece.bytes; ++i) damaged += piece.data[i] != piece.fill ? 1u : 0u;
    }
    CHECK(damaged == 0);
    CHECK(arena.bytes_used() >= asked);
    CHECK(arena.bytes_used() <= arena.bytes_reserved());
    arena.reset();
    CHECK(arena.bytes_used() == 0);
  }
}

TEST_CASE("arena: reset keeps the chunks, so a second filling reserves nothing") {
  const std::size_t chunk_bytes = GENERATE(std::size_t{4096}, kHugePageBytes);
  Arena arena(chunk_bytes);
  const auto fill = [&] {
    char* first = nullptr;
    for (std::size_t i = 0; i < 3 * chunk_bytes / 512; ++i) {
      char* const data = arena.allocate(512);
      if (first == nullptr) first = data;
    }
    return first;
  };
  char* const first = fill();
  const std::size_t reserved = arena.bytes_reserved();
  CHECK(reserved == 3 * chunk_bytes);
  arena.reset();
  CHECK(arena.bytes_reserved() == reserved);
  CHECK(fill() == first);
  CHECK(arena.bytes_reserved() == reserved);
}

TEST_CASE("arena: a large piece has a chunk of its own, which reset gives back") {
  Arena arena(4096);
  char* const small = arena.allocate(100);
  const std::size_t reserved = arena.bytes_reserved();
  char* const large = arena.allocate(1'000'000);
  REQUIRE(large != nullptr);
  std::memset(large, 1, 1'000'000);
  CHECK(arena.bytes_reserved() == reserved + 1'000'000);
  CHECK(arena.allocate(8) == small + 104);  // the small chunk goes on where it was
  arena.reset();
  CHECK(arena.bytes_reserved() == reserved);
}

TEST_CASE("arena: a chunk that the system cannot give is null, and changes nothing") {
  Arena arena(std::size_t{1} << 60);
  CHECK(arena.allocate(1) == nullptr);
  CHECK(arena.allocate(1) == nullptr);
  CHECK(arena.bytes_used() == 0);
  CHECK(arena.bytes_reserved() == 0);
}

#if !CAMBIUM_ASAN  // whose allocator ends the process for a request of this size
TEST_CASE("arena: a large piece that the system cannot give is null, and the arena goes on") {
  Arena arena(4096);
  CHECK(arena.allocate(std::size_t{1} << 46) == nullptr);
  CHECK(arena.bytes_used() == 0);
  CHECK(arena.bytes_reserved() == 0);
  CHECK(arena.allocate(10) != nullptr);
}
#endif

TEST_CASE("arena: touching unallocated or forgotten memory is seen by AddressSanitizer") {
  const std::size_t chunk_bytes = GENERATE(std::size_t{4096}, kHugePageBytes);
  Arena arena(chunk_bytes);
  char* const data = arena.allocate(64);
  data[63] = 1;
  const auto write_to = [](char* at) { return [at] { *const_cast<volatile char*>(at) = 1; }; };
  CHECK_FALSE(run_in_child(write_to(data + 63)).at_all);
  CHECK(run_in_child(write_to(data + 64)).at_all == (CAMBIUM_ASAN != 0));
  arena.reset();
  CHECK(run_in_child(write_to(data)).at_all == (CAMBIUM_ASAN != 0));
}
