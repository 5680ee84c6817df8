// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/spsc_queue.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <thread>

namespace cambium::rt {
namespace {

TEST_CASE("spsc_queue: takes exactly its capacity, gives back in order, and goes round") {
  SpscQueue<int, 4> queue;
  int out = 0;
  CHECK(queue.empty());
  CHECK(!queue.try_pop(out));
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) CHECK(queue.try_push(round * 4 + i));
    CHECK(!queue.try_push(-1));
    CHECK(!queue.empty());
    for (int i = 0; i < 4; ++i) {
      REQUIRE(queue.try_pop(out));
      CHECK(out == round * 4 + i);
    }
    CHECK(queue.empty());
  }
}

TEST_CASE("spsc_queue: what was written before a push is there after the pop, on another thread", "[cluster]") {
  constexpr std::uint64_t kCount = 100'000;
  SpscQueue<std::uint64_t*, 64> queue;
  const auto values = std::make_unique<std::uint64_t[]>(kCount);  // plain memory: a race here is a race
  std::thread sender([&queue, &values] {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      values[i] = i * 3;
      while (!queue.try_push(&values[i])) std::this_thread::yield();
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    std::uint64_t* value = nullptr;
    while (!queue.try_pop(value)) std::this_thread::yield();
    if (*value != i * 3) ++wrong;
  }
  sender.join();
  CHECK(wrong == 0);
  CHECK(queue.empty());
}

}  // namespace
}  // namespace cambium::rt
