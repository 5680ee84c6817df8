// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/ring_queue.h"

#include <catch2/catch.hpp>
#include <deque>
#include <utility>

#include "base/random.h"
#include "runtime/base/death.h"

using namespace cambium::rt;

TEST_CASE("ring queue: a new one is empty and owns nothing") {
  const RingQueue<int> queue;
  CHECK(queue.empty());
  CHECK(queue.size() == 0);
  CHECK(queue.capacity() == 0);
}

TEST_CASE("ring queue: random pushes and pops agree with std::deque, through growth and wrap-around") {
  constexpr std::uint64_t kSeed = 31;
  CAPTURE(kSeed);
  Random random(kSeed);
  RingQueue<std::uint64_t> queue;
  std::deque<std::uint64_t> model;
  for (int step = 0; step < 100'000; ++step) {
    // Long tides, so that the queue grows while its contents wrap, and drains.
    const bool rising = (step / 3000) % 2 == 0;
    if (random.chance(rising ? 0.6 : 0.4)) {
      const std::uint64_t value = random.next();
      queue.push_back(value);
      model.push_back(value);
    } else if (!model.empty()) {
      REQUIRE(queue.front() == model.front());
      REQUIRE(queue.pop_front() == model.front());
      model.pop_front();
    }
    REQUIRE(queue.size() == model.size());
    REQUIRE(queue.empty() == model.empty());
  }
}

TEST_CASE("ring queue: a queue at its working size allocates no more") {
  RingQueue<int> queue;
  queue.reserve(100);
  const std::size_t capacity = queue.capacity();
  CHECK(capacity == 128);
  for (int i = 0; i < 10'000; ++i) {
    queue.push_back(i);
    if (queue.size() == 100) REQUIRE(queue.pop_front() == i - 99);
  }
  CHECK(queue.capacity() == capacity);
  queue.clear();
  CHECK(queue.empty());
  CHECK(queue.capacity() == capacity);
}

TEST_CASE("ring queue: a moved-from queue is empty and usable") {
  RingQueue<int> a;
  for (int i = 0; i < 20; ++i) a.push_back(i);
  RingQueue<int> b(std::move(a));
  CHECK(b.size() == 20);
  CHECK(a.empty());  // NOLINT(bugprone-use-after-move)
  a.push_back(7);
  b = std::move(a);
  CHECK(b.size() == 1);
  CHECK(b.pop_front() == 7);
}

TEST_CASE("ring queue: taking from an empty queue aborts") {
  CHECK(cambium::rt::testing::run_in_child([] { RingQueue<int>().pop_front(); }).by_abort);
}
