// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/compactor.h"

#include <catch2/catch.hpp>

#include <optional>

#include "lib/partition/partition_fixture.h"

namespace cambium {
namespace {

using test::Model;
using test::PartitionFixture;

std::string key_of(unsigned i) { return "key" + std::to_string(100'000 + i); }

// A file of which one page in ten is still of use, spread all over it.
void fill_and_thin(PartitionFixture& f, std::optional<Snapshot>& before_thinning, Model& then) {
  for (unsigned i = 0; i < 4000; ++i) f.put(key_of(i), std::string(600, static_cast<char>('a' + i % 26)));
  f.put("overflow", std::string(50'000, 'o'));
  f.flush(false);
  before_thinning.emplace(f.db->snapshot());
  then = f.model;
  for (unsigned i = 0; i < 4000; ++i) {
    if (i / 40 % 10 != 0) f.del(key_of(i));
  }
  f.flush(false);
}

TEST_CASE("compactor: the file shrinks to little more than its contents, which stay the same") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  {
    std::optional<Snapshot> snapshot;
    Model then;
    fill_and_thin(f, snapshot, then);
  }
  const std::uint64_t before = f.disk.file_size("data.cambium");
  f.merge();
  f.run(test::compact_partition(*f.db)).value();
  const Stats stats = f.db->stats();
  CHECK(f.disk.file_size("data.cambium") == stats.file_pages * kPageBytes);
  CHECK(stats.file_pages * kPageBytes < before / 3);
  CHECK(stats.file_pages <= stats.used_pages + stats.used_pages / 8 + 64);
  f.require_contents(f.model);
  f.run(test::check_partition(*f.db)).value();
  f.reopen();
  f.require_contents(f.model);
  f.run(test::check_partition(*f.db)).value();
}

TEST_CASE("compactor: a reader that holds a snapshot sees its own state, and the rest comes back when it lets go") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  std::optional<Snapshot> snapshot;
  Model then;
  fill_and_thin(f, snapshot, then);
  f.merge();
  f.run(test::compact_partition(*f.db)).value();
  const std::uint64_t held = f.db->stats().file_pages;
  f.require_contents(f.model);
  f.require_contents(then, {.snapshot = &*snapshot});
  f.run(test::check_partition(*f.db)).value();

  snapshot.reset();
  f.run(test::compact_partition(*f.db)).value();
  CHECK(f.db->stats().file_pages < held / 3);
  f.require_contents(f.model);
}

TEST_CASE("compactor: a file without excess is left alone") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture f(kind);
  f.put("a", "1");
  f.flush();
  f.run(test::compact_partition(*f.db)).value();
  const Stats before = f.db->stats();
  f.run(test::compact_partition(*f.db)).value();
  CHECK(f.db->stats().device_writes == before.device_writes);
  CHECK(f.db->stats().generation == before.generation);
}

}  // namespace
}  // namespace cambium
