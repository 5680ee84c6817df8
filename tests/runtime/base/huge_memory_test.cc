// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/huge_memory.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "runtime/base/death.h"

using namespace cambium::rt;
using cambium::rt::testing::run_in_child;

static_assert(!std::is_copy_constructible_v<HugeMemory> && std::is_nothrow_move_constructible_v<HugeMemory>);

TEST_CASE("huge memory: a block is aligned, zeroed, writable to its end, and rounded up") {
  for (const std::size_t bytes : {std::size_t{1}, kHugePageBytes, kHugePageBytes + 1, 3 * kHugePageBytes}) {
    CAPTURE(bytes);
    const HugeMemory memory = HugeMemory::map(bytes);
    REQUIRE(memory);
    CHECK(memory.size() == (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes);
    CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % kHugePageBytes == 0);
    CHECK(memory.data()[0] == std::byte{0});
    CHECK(memory.data()[memory.size() - 1] == std::byte{0});
    memory.data()[memory.size() - 1] = std::byte{1};
  }
}

TEST_CASE("huge memory: what cannot be mapped is a null object, not a crash") {
  CHECK_FALSE(HugeMemory::map(0));
  CHECK_FALSE(HugeMemory::map(std::numeric_limits<std::size_t>::max()));
  CHECK_FALSE(HugeMemory::map(std::size_t{1} << 60));
  CHECK(HugeMemory{}.data() == nullptr);
  CHECK(HugeMemory{}.size() == 0);
}

TEST_CASE("huge memory: moving hands the block over, and frees what the target had") {
  HugeMemory a = HugeMemory::map(1);
  std::byte* const data = a.data();
  data[5] = std::byte{42};
  HugeMemory b = HugeMemory::map(1);
  b = std::move(a);
  CHECK(b.data() == data);
  CHECK(b.data()[5] == std::byte{42});
  CHECK_FALSE(a);  // NOLINT(bugprone-use-after-move)
  const HugeMemory c(std::move(b));
  CHECK(c.data() == data);
}

TEST_CASE("huge memory: a forked child does not see a block, unless it was asked to be copied") {
  const HugeMemory absent = HugeMemory::map(1);
  const HugeMemory copied = HugeMemory::map(1, OnFork::copied);
  REQUIRE(absent);
  REQUIRE(copied);
  copied.data()[0] = std::byte{7};
  CHECK(run_in_child([&] { *const_cast<volatile std::byte*>(absent.data()) = std::byte{1}; }).at_all);
  CHECK_FALSE(run_in_child([&] {
                if (copied.data()[0] != std::byte{7}) ::_exit(1);
                copied.data()[0] = std::byte{8};
              }).at_all);
  CHECK(copied.data()[0] == std::byte{7});
}
