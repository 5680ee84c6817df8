// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/sorted_run.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

#include "lib/buffer/buffer_model.h"

using namespace cambium;
using namespace cambium::test;

namespace {

void put(WriteBuffer& buffer, std::uint32_t table, Bytes key) {
  buffer.add(TableId{table}, key, "", WriteKind::put, next(buffer.last_sequence()));
}

// Sorts the whole buffer with the given budget per step and holds every step to it.
SortedRun sort_in_steps(const WriteBuffer& buffer, std::size_t budget_entries) {
  RunSorter sorter(buffer, *buffer.first(), buffer.count());
  for (bool done = false; !done;) {
    StepBudget budget(budget_entries);
    done = sorter.step(budget);
    REQUIRE(budget.used() <= budget_entries + kStepOvershoot);
    REQUIRE((done || budget.spent()));
  }
  return sorter.take();
}

void check_sorted(const WriteBuffer& buffer) {
  for (const std::size_t budget : {std::size_t{1}, std::size_t{500}, kStepEntries, std::size_t{1} << 30}) {
    const SortedRun run = sort_in_steps(buffer, budget);
    const char* const error = run_error(run, buffer);
    INFO("budget " << budget << ": " << (error == nullptr ? "" : error));
    REQUIRE(error == nullptr);
  }
}

}  // namespace

TEST_CASE("run sorter: random keys, one table and many") {
  const std::uint32_t tables = GENERATE(1u, 3u, 500u);
  const std::size_t count = GENERATE(1u, 2u, 100u, 129u, 5000u);
  CAPTURE(tables, count);
  rt::Random random(count * 1000 + tables);
  WriteBuffer buffer(2 << 20);
  for (std::size_t i = 0; i < count; ++i) {
    const auto table = static_cast<std::uint32_t>(random.below(tables));  // before the key, on every compiler
    put(buffer, table, u64_key(random.next()));
  }
  check_sorted(buffer);
}

TEST_CASE("run sorter: awkward keys, with versions and over tables") {
  const std::uint64_t seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  rt::Random random(seed);
  WriteBuffer buffer(8 << 20);
  for (int i = 0; i < 12000; ++i) {
    const auto table = static_cast<std::uint32_t>(random.below(seed));
    put(buffer, table, awkward_key(random));
  }
  check_sorted(buffer);
}

TEST_CASE("run sorter: thousands of equal heads are sorted by what follows, level after level") {
  rt::Random random(9);
  WriteBuffer buffer(8 << 20);
  put(buffer, 1, "a");  // so that the common prefix of all keys is empty
  for (int i = 0; i < 6000; ++i) {
    // Shared for 8 bytes, then one of two for 16, then a long common part, then a number.
    std::string key = "pppppppp";
    key += random.chance(0.5) ? "qqqqqqqqrrrrrrrr" : "qqqqqqqqssssssss";
    key.append(100, 't');
    key += U64Key(random.below(3000)).operator Bytes().view();
    put(buffer, 1, key);
  }
  check_sorted(buffer);
}

TEST_CASE("run sorter: keys that differ by trailing zero bytes only, thousands of each") {
  rt::Random random(10);
  WriteBuffer buffer(4 << 20);
  put(buffer, 1, "a");
  put(buffer, 1, "z");
  for (int i = 0; i < 6000; ++i) put(buffer, 1, std::string("m") + std::string(random.below(30), '\0'));
  check_sorted(buffer);
}

TEST_CASE("run sorter: thousands of versions of one key stay newest first") {
  WriteBuffer buffer(4 << 20);
  for (int i = 0; i < 5000; ++i) put(buffer, 1, "hot");
  check_sorted(buffer);
  for (int i = 0; i < 5000; ++i) put(buffer, 1, i % 2 == 0 ? "hot" : "hotter than hot");
  check_sorted(buffer);
}

TEST_CASE("run sorter: each of thousands of tables takes a bounded step") {
  WriteBuffer buffer(4 << 20);
  for (std::uint32_t i = 0; i < 8000; ++i) put(buffer, i * 7919 % 8009, u64_key(i));
  check_sorted(buffer);
}

TEST_CASE("sorted run: bounds agree with a linear search for keys inside, between and outside") {
  rt::Random random(12);
  WriteBuffer buffer(1 << 20);
  for (int i = 0; i < 500; ++i) put(buffer, 1, "prefix " + awkward_key(random).substr(0, 30));
  const SortedRun run = sort_in_steps(buffer, kStepEntries);
  const TableRange& range = *run.range(TableId{1});
  CHECK(range.prefix_bytes >= 7);
  CHECK(run.range(TableId{2}) == nullptr);
  for (int i = 0; i < 2000; ++i) {
    std::string key = "prefix " + awkward_key(random).substr(0, 30);
    if (random.chance(0.3)) key.resize(random.between(1, key.size()));
    if (random.chance(0.2)) key[random.below(key.size())] = static_cast<char>(random.below(256));
    const auto refs = run.refs();
    const auto count_if = [&](auto predicate) {
      return static_cast<std::size_t>(std::count_if(refs.begin(), refs.end(), predicate));
    };
    REQUIRE(run.lower_bound(range, key) == count_if([&](const SortedRef& r) { return r.entry->key() < Bytes(key); }));
    REQUIRE(run.upper_bound(range, key) == count_if([&](const SortedRef& r) { return r.entry->key() <= Bytes(key); }));
  }
}
