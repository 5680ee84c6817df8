// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/scan_state.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "lib/partition/partition_fixture.h"

namespace cambium {
namespace {

using test::Model;
using test::Pairs;
using test::PartitionFixture;

// What a scan has to show, straight from the definition of a range.
Pairs expected(const Model& model, const ScanRange& range, const ScanOptions& options) {
  Pairs pairs;
  for (const auto& [key, value] : model) {
    const Bytes k(key);
    bool in = true;
    if (!range.prefix.empty()) {
      in = k.view().substr(0, range.prefix.size()) == range.prefix.view();
    } else {
      if (!range.from.empty()) in = range.from_exclusive ? k > range.from : k >= range.from;
      if (!range.to.empty()) in = in && (range.to_inclusive ? k <= range.to : k < range.to);
    }
    if (in) pairs.emplace_back(key, value);
  }
  if (options.reverse) std::reverse(pairs.begin(), pairs.end());
  if (options.limit != 0 && pairs.size() > options.limit) pairs.resize(options.limit);
  return pairs;
}

// Keys in the tables, in a frozen-and-flushed state, overwritten and deleted in the buffer.
void fill(PartitionFixture& f) {
  for (unsigned i = 0; i < 400; ++i) f.put("k" + std::to_string(100 + i), std::string(40, 't'));
  f.put("\xff", "all ones");
  f.put(std::string("\xff\xff", 2), "more ones");
  f.put("long", std::string(9000, 'l'));
  f.flush();
  for (unsigned i = 0; i < 400; i += 3) f.put("k" + std::to_string(100 + i), "buffered");
  for (unsigned i = 1; i < 400; i += 5) f.del("k" + std::to_string(100 + i));
  for (unsigned i = 0; i < 50; ++i) f.put("m" + std::to_string(i), std::string(i * 40, 'm'));
}

TEST_CASE("scan: every kind of bound, both directions, with and without a limit, shows what the model says") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  fill(f);
  const char* const bounds[] = {"", "a", "k", "k100", "k250", "k2505", "k499", "long", "m3", "zz", "\xff"};
  for (const bool reverse : {false, true}) {
    for (const std::uint64_t limit : {0u, 1u, 7u, 1000u}) {
      const ScanOptions options{.reverse = reverse, .limit = limit};
      for (const char* const from : bounds) {
        for (const char* const to : bounds) {
          for (unsigned ends = 0; ends < 4; ++ends) {
            if (limit == 7 && ends != 0) continue;
            const ScanRange range{
                .from = from, .to = to, .from_exclusive = (ends & 1) != 0, .to_inclusive = (ends & 2) != 0};
            CAPTURE(reverse, limit, from, to, ends);
            REQUIRE(f.scan(range, options) == expected(f.model, range, options));
          }
        }
      }
    }
  }
}

TEST_CASE("scan: a prefix shows its keys only, a prefix of 0xff bytes too") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  fill(f);
  for (const bool reverse : {false, true}) {
    for (const std::string prefix : {"k", "k2", "k100", "k1000", "lo", "m", "\xff", "\xff\xff", "\xff\xff\xff"}) {
      const ScanRange range = ScanRange::with_prefix(prefix);
      CAPTURE(reverse, prefix);
      CHECK(f.scan(range, {.reverse = reverse}) == expected(f.model, range, {.reverse = reverse}));
    }
  }
}

TEST_CASE("scan: sees the moment it was made, whatever is written, flushed and compacted meanwhile") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  fill(f);
  const Model before = f.model;
  Pairs pairs;
  {
    Scan scan = f.db->scan(*f.home);
    for (const auto& [key, value] : before) f.put(key, "later");
    f.put("new", "key");
    f.flush();
    f.run(test::compact_partition(*f.db)).value();
    f.run(test::collect_scan(scan, pairs)).value();
  }
  CHECK(pairs == Pairs(before.begin(), before.end()));
  f.require_contents(f.model);
}

Task<Status> first_and_rest(Scan& scan, std::string& first, Pairs& rest) {
  const Entry* entry = co_await check(scan.next());
  first = entry->key.str();
  co_await check(test::collect_scan(scan, rest));
  const Entry* end = co_await check(scan.next());
  CHECK(end == nullptr);
  co_return Status();
}

TEST_CASE("scan: next and next_page may be mixed without losing an entry") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  fill(f);
  Scan scan = f.db->scan(*f.home);
  std::string first;
  Pairs rest;
  f.run(first_and_rest(scan, first, rest)).value();
  CHECK(first == f.model.begin()->first);
  CHECK(rest == Pairs(std::next(f.model.begin()), f.model.end()));
}

}  // namespace
}  // namespace cambium
