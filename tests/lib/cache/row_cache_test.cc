// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/row_cache.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random.h"

namespace cambium {
namespace {

using format::EntryKind;

constexpr std::size_t kLoanBytes = std::size_t{256} << 10;
constexpr std::size_t kIndexBytes = std::size_t{64} << 10;

std::uint64_t hash_of(const std::string& key) { return rt::hash64(key); }

// What a source holds under a key never changes, so it can be computed.
std::string value_of(RowCache::Source source, const std::string& key, std::size_t bytes) {
  std::string value = std::to_string(source) + '/' + key + '/';
  value.resize(bytes, static_cast<char>('a' + source % 26));
  return value;
}

std::string key_of(std::uint64_t number) { return "key " + std::to_string(number * 0x9E3779B97F4A7C15u); }

struct Memory {
  std::vector<std::uint64_t> words = std::vector<std::uint64_t>(kLoanBytes / 8);
  char* data() { return reinterpret_cast<char*>(words.data()); }
  void scribble() { std::memset(data(), 0xee, kLoanBytes); }
};

struct Rows {
  RowCache cache{kIndexBytes};
  std::uint64_t hits = 0;

  void insert(RowCache::Source source, std::uint64_t number, std::size_t bytes = 100) {
    const std::string key = key_of(number);
    cache.insert(source, hash_of(key), key, EntryKind::value, value_of(source, key, bytes));
  }
  bool has(RowCache::Source source, std::uint64_t number, std::size_t bytes = 100) {
    const std::string key = key_of(number);
    const RowCache::Found found = cache.find(source, hash_of(key), key);
    if (!found.here) return false;
    ++hits;
    REQUIRE(found.kind == EntryKind::value);
    REQUIRE(found.value == Bytes(value_of(source, key, bytes)));
    return true;
  }
};

TEST_CASE("row cache: a row is found under its source and key, and nowhere else") {
  Rows rows;
  Memory memory;
  rows.cache.lend(memory.data(), kLoanBytes);
  const RowCache::Source one = rows.cache.next_source();
  const RowCache::Source other = rows.cache.next_source();
  REQUIRE(one != other);
  CHECK_FALSE(rows.has(one, 1));
  rows.insert(one, 1);
  rows.insert(other, 2);
  CHECK(rows.has(one, 1));
  CHECK_FALSE(rows.has(other, 1));
  CHECK(rows.has(other, 2));
  CHECK_FALSE(rows.has(one, 2));
  rows.cache.insert(one, hash_of("gone"), "gone", EntryKind::tombstone, Bytes());
  const RowCache::Found gone = rows.cache.find(one, hash_of("gone"), "gone");
  CHECK(gone.here);
  CHECK(gone.kind == EntryKind::tombstone);
  CHECK(rows.cache.stats().hits == 3);
}

TEST_CASE("row cache: without memory, or for rows that are too long, nothing is kept and nothing found") {
  Rows rows;
  rows.insert(1, 1);
  CHECK_FALSE(rows.has(1, 1));
  CHECK(rows.cache.bytes_lent() == 0);
  Memory memory;
  rows.cache.lend(memory.data(), 1000);  // not worth the trouble
  CHECK(rows.cache.bytes_lent() == 0);
  rows.cache.lend(memory.data(), 8192);
  CHECK(rows.cache.bytes_lent() == 8192);
  rows.insert(1, 1, 4000);
  CHECK_FALSE(rows.has(1, 1, 4000));
  rows.insert(1, 2, 1500);
  CHECK(rows.has(1, 2, 1500));
}

TEST_CASE("row cache: who lends is asked when rows would have to make way") {
  Rows rows;
  Memory memory;
  struct Context {
    RowCache* cache;
    Memory* memory;
    unsigned asked = 0;
  } context{&rows.cache, &memory};
  rows.cache.set_lender({[](void* raw_context) noexcept {
                           auto& c = *static_cast<Context*>(raw_context);
                           if (++c.asked == 1) c.cache->lend(c.memory->data(), kLoanBytes);
                         },
                         &context});
  rows.insert(1, 1);
  CHECK(context.asked == 1);
  CHECK(rows.has(1, 1));
  for (std::uint64_t number = 2; number < 10'000; ++number) rows.insert(1, number);
  CHECK(context.asked > 2);
}

TEST_CASE("row cache: what was withdrawn is not touched and not found any more, the rest stays") {
  Rows rows;
  Memory first;
  Memory second;
  rows.cache.lend(first.data(), kLoanBytes);
  std::uint64_t in_first = 0;
  for (; in_first < 500; ++in_first) rows.insert(1, in_first);
  rows.cache.lend(second.data(), kLoanBytes);
  for (std::uint64_t number = 500; number < 3'000; ++number) rows.insert(1, number);
  rows.cache.withdraw(first.data(), kLoanBytes);
  CHECK(rows.cache.bytes_lent() == kLoanBytes);
  first.scribble();
  for (std::uint64_t number = 0; number < 3'000; ++number) rows.has(1, number);
  CHECK(rows.hits > 500);
  for (std::uint64_t number = 3'000; number < 9'000; ++number) rows.insert(1, number);
  const std::string left(first.data(), kLoanBytes);
  CHECK(left.find_first_not_of('\xee') == std::string::npos);
  rows.cache.withdraw(second.data(), kLoanBytes);
  rows.cache.withdraw(second.data(), kLoanBytes);
  second.scribble();
  for (std::uint64_t number = 0; number < 9'000; ++number) REQUIRE_FALSE(rows.has(1, number));
}

TEST_CASE("row cache: rows that are found stay, rows that are not make way") {
  Rows rows;
  Memory memory;
  rows.cache.lend(memory.data(), kLoanBytes);
  constexpr std::uint64_t kPopular = 300;
  for (std::uint64_t number = 0; number < kPopular; ++number) rows.insert(1, number);
  // Fifty times as many others go by as there is room for.
  for (std::uint64_t other = kPopular; other < 100'000; ++other) {
    rows.insert(1, other);
    rows.has(1, other % kPopular);
  }
  std::uint64_t left = 0;
  for (std::uint64_t number = 0; number < kPopular; ++number) {
    if (rows.has(1, number)) ++left;
  }
  CHECK(left > kPopular * 9 / 10);
}

TEST_CASE("row cache: whatever comes, goes and is withdrawn, what is found is right") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 6)));
  CAPTURE(seed);
  rt::Random random(seed);
  Rows rows;
  Memory memories[3];
  bool lent[3] = {};
  for (unsigned step = 0; step < 200'000; ++step) {
    const std::uint64_t number = random.below(random.chance(0.5) ? 200 : 20'000);
    const RowCache::Source source = random.below(3);
    const std::size_t bytes = 30 + (number * 37 + source) % 900;
    if (!rows.has(source, number, bytes) && random.chance(0.7)) rows.insert(source, number, bytes);
    if (!random.chance(0.001)) continue;
    const std::size_t which = random.below(3);
    if (lent[which]) {
      rows.cache.withdraw(memories[which].data(), kLoanBytes);
      memories[which].scribble();
    } else {
      rows.cache.lend(memories[which].data(), kLoanBytes);
    }
    lent[which] = !lent[which];
  }
  CHECK(rows.hits > 10'000);
}

// The numbers of segments come round in the table that finds them: a segment must not go for that.
TEST_CASE("row cache: popular rows stay however long it goes on") {
  Rows rows;
  Memory memory;
  rows.cache.lend(memory.data(), kLoanBytes);
  std::uint64_t late_hits = 0;
  constexpr std::uint64_t kSteps = 4'000'000;
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    if (step % 4 != 0) {
      const std::uint64_t popular = step % 251;
      if (!rows.has(2, popular)) {
        rows.insert(2, popular);
      } else if (step > kSteps / 2) {
        ++late_hits;
      }
    } else {
      rows.insert(1, step);
    }
  }
  CHECK(late_hits > kSteps / 2 * 3 / 4 * 9 / 10);
}

}  // namespace
}  // namespace cambium
