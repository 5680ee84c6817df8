// SPDX-License-Identifier: MIT OR Apache-2.0
// Who waits for whom when write buffers are full: writers for the flusher, never for themselves.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/kinds.h"

namespace cambium::test {
namespace {

// A scan holds a page of a tree, and of a level store one of each run.
constexpr Options options_of(TableKind kind) {
  return {.path = "pressure.cambium",
          .memory_bytes = 2 * MiB,
          .write_buffer_bytes = 16 * KiB,
          .cache_bytes = kind == TableKind::tree ? 128 * KiB : 1 * MiB};
}

Task<Status> write_while_reading(Core& core, TableKind kind, std::uint64_t& entries_seen, std::string& values_seen) {
  Partition partition = co_await check(Partition::open(core, options_of(kind)));
  OneTable db = co_await check(OneTable::open(partition, kind));
  const std::string filling(500, 'f');
  std::vector<Scan> scans;
  std::vector<Value> values;
  for (int round = 0; round < 12; ++round) {
    const std::string key = rt::str("key ", 10 + round);
    co_await check(db.put(key, key));
    Value value = co_await check(db.get(key));
    values.push_back(std::move(value));
    scans.push_back(db.scan());
    for (int i = 0; i < 40; ++i) {
      co_await check(db.put(rt::str(key, " filling ", i), filling));
    }
    if (round % 3 == 0) {
      co_await check(db->flush());
    }
  }
  for (Scan& scan : scans) {
    for (;;) {
      auto page = co_await check(scan.next_page());
      if (page.empty()) break;
      entries_seen += page.size();
    }
  }
  for (const Value& value : values) values_seen += value.view().substr(4);
  scans.clear();
  values.clear();
  Status closed = co_await db->close();
  co_return closed;
}

// A scan or value that reads from a write buffer keeps it. Three of them kept all there were, and the next put by the
// same coroutine waited for ever.
TEST_CASE("back-pressure: a writer that holds values and scans of every write buffer still gets a new one",
          "[S19][S21]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 3});
  std::uint64_t entries_seen = 0;
  std::string values_seen;
  const Status done = core->run(write_while_reading(*core, kind, entries_seen, values_seen));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(values_seen == "101112131415161718192021");
  CHECK(entries_seen == 12 * 1 + 41 * (11 * 12 / 2));
}

}  // namespace
}  // namespace cambium::test
