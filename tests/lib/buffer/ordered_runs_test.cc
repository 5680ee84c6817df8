// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/ordered_runs.h"

#include <catch2/catch.hpp>

#include <string>

#include "lib/buffer/buffer_model.h"

using namespace cambium;
using namespace cambium::test;

namespace {

void put(WriteBuffer& buffer, std::uint32_t table, Bytes key) {
  buffer.add(TableId{table}, key, "", WriteKind::put, next(buffer.last_sequence()));
}

}  // namespace

TEST_CASE("ordered runs: an empty buffer is covered at once and has an empty whole") {
  WriteBuffer buffer(64 << 10);
  OrderedRuns runs(buffer);
  StepBudget budget(1);
  CHECK(runs.catch_up_step(budget, 0));
  CHECK(runs.merge_all_step(budget));
  CHECK(runs.whole().count() == 0);
  BufferCursor cursor(BufferPin(buffer), runs.runs(), kDefaultTable, kLastSequence);
  CHECK_FALSE(cursor.seek_first());
  CHECK_FALSE(cursor.seek_last());
}

TEST_CASE("ordered runs: a scan after every put costs O(log n) per entry and few runs") {
  rt::Random random(21);
  WriteBuffer buffer(2 << 20);
  OrderedRuns runs(buffer);
  std::size_t work = 0;
  constexpr std::size_t kCount = 8192;
  for (std::size_t i = 0; i < kCount; ++i) {
    put(buffer, 1, u64_key(random.next()));
    StepBudget budget(1u << 30);
    REQUIRE(runs.catch_up_step(budget, buffer.count()));
    work += budget.used();
    REQUIRE(runs.covered() == buffer.count());
    const auto all = runs.runs();
    for (std::size_t r = 1; r < all.size(); ++r) REQUIRE(all[r - 1].count() >= 2 * all[r].count());
    REQUIRE(all.size() <= 14);
  }
  CHECK(work <= kCount * (13 + 10));  // log2(8192) merges, and sorting single entries
  const SortedRun whole = merge_all(runs);
  CHECK(run_error(whole, buffer) == nullptr);
}

TEST_CASE("ordered runs: every step keeps to its budget, and runs held by a scan stay as they were") {
  const std::uint64_t seed = GENERATE(31u, 32u);
  INFO("seed " << seed);
  rt::Random random(seed);
  WriteBuffer buffer(8 << 20);
  OrderedRuns runs(buffer);
  std::vector<SortedRun> held;
  std::size_t held_count = 0;
  for (int round = 0; round < 60; ++round) {
    for (std::size_t i = random.below(600); i-- > 0;) {
      const auto table = static_cast<std::uint32_t>(random.below(seed - 28));
      put(buffer, table, awkward_key(random));
    }
    const std::size_t through = buffer.count();
    for (bool done = false; !done;) {
      StepBudget budget(100);
      done = runs.catch_up_step(budget, through);
      REQUIRE(budget.used() <= 100 + kStepOvershoot);
      if (random.chance(0.1)) put(buffer, 1, "meanwhile");
    }
    REQUIRE(runs.covered() >= through);
    if (round == 20) {
      held.assign(runs.runs().begin(), runs.runs().end());
      held_count = runs.covered();
    }
  }
  const SortedRun whole = merge_all(runs, 100);
  const char* const error = run_error(whole, buffer);
  INFO((error == nullptr ? "" : error));
  REQUIRE(error == nullptr);
  CHECK(runs.bytes_used() >= buffer.count() * sizeof(SortedRef));
  runs.reset();
  CHECK(runs.bytes_used() == 0);
  std::size_t count = 0;
  for (const SortedRun& run : held) count += run.refs().size();
  CHECK(count == held_count);
}

TEST_CASE("ordered runs: merging shortens the prefix when the runs share less") {
  WriteBuffer buffer(1 << 20);
  OrderedRuns runs(buffer);
  for (std::uint64_t i = 0; i < 300; ++i) put(buffer, 1, "common/" + std::to_string(i * 7919 % 1000));
  catch_up(runs, buffer.count());
  REQUIRE(runs.runs()[0].tables()[0].prefix_bytes == 7);
  for (std::uint64_t i = 0; i < 300; ++i) put(buffer, 1, "com" + std::to_string(i * 7919 % 1000));
  catch_up(runs, buffer.count());
  const SortedRun whole = merge_all(runs);
  CHECK(whole.tables()[0].prefix_bytes == 3);
  CHECK(run_error(whole, buffer) == nullptr);
}
