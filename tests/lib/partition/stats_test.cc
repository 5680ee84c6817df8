// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/stats.h>

#include <catch2/catch.hpp>

#include <bit>
#include <cstring>
#include <set>
#include <string_view>

#include "lib/partition/partition_fixture.h"

namespace cambium {
namespace {

TEST_CASE("stats: every field is described once, in order, under a name of its own") {
  constexpr std::size_t kFields = sizeof(Stats) / sizeof(std::uint64_t);
  const std::span<const StatDescription> descriptions = describe_stats();
  REQUIRE(descriptions.size() == kFields);
  std::set<std::string_view> names;
  Stats stats;
  for (std::size_t i = 0; i < kFields; ++i) stats.*descriptions[i].field = i + 1;
  std::uint64_t fields[kFields];
  std::memcpy(fields, &stats, sizeof fields);
  for (std::size_t i = 0; i < kFields; ++i) {
    const StatDescription& description = descriptions[i];
    CAPTURE(description.name);
    CHECK(fields[i] == i + 1);
    CHECK(names.insert(description.name).second);
    CHECK(description.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
    CHECK(!description.unit.empty());
    CHECK(!description.help.empty());
  }
}

TEST_CASE("stats: a partition counts what is done to it") {
  CAMBIUM_BOTH_KINDS(kind);
  test::PartitionFixture f(kind);
  f.put("a", "1");
  f.put("b", "2");
  f.del("a");
  const Stats buffered = f.db->stats();
  CHECK(buffered.puts == 2);
  CHECK(buffered.deletes == 1);
  CHECK(buffered.buffer_entries == 3);
  CHECK(buffered.entries == 0);
  f.flush();
  f.scan();
  const Snapshot snapshot = f.db->snapshot();
  const Stats flushed = f.db->stats();
  CHECK(flushed.buffer_entries == 0);
  CHECK(flushed.entries == 1);
  CHECK(flushed.flushes == 1);
  CHECK(flushed.scans == 1);
  CHECK(flushed.snapshots == 1);
  CHECK(flushed.generation > buffered.generation);
  CHECK(flushed.file_pages == flushed.used_pages + flushed.held_pages + flushed.free_pages);
  CHECK(flushed.file_pages * kPageBytes == f.disk.file_size("data.cambium"));
}

}  // namespace
}  // namespace cambium
