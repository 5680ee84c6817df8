// SPDX-License-Identifier: MIT OR Apache-2.0
// A full device: what makes room still works there, by the reserve that ordinary flushes may not take.
#include <catch2/catch.hpp>

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr Options kOptions{
    .path = "full.cambium", .memory_bytes = 1 * MiB, .write_buffer_bytes = 128 * KiB, .cache_bytes = 128 * KiB};
constexpr std::uint64_t kReservePages = 16;  // of a file of a few hundred pages

using Contents = std::map<std::string, std::string>;

std::string key_of(std::size_t i) { return rt::str("key ", 100'000 + i); }
std::string value_of(std::size_t i) { return rt::str("value ", i, std::string(i % 50 == 0 ? 5000 : 200, 'v')); }

// Writes until a flush is refused; `durable` is what the flushes before it held. The device ends `spare` bytes later
// than it is now.
Task<Status> fill(Core& core, SimDisk& disk, std::uint64_t spare, Contents& durable) {
  Partition db = co_await check(Partition::open(core, kOptions));
  disk.set_capacity_bytes(disk.allocated_bytes() + spare);
  Status flushed;
  for (std::size_t i = 0; flushed && i < 100'000;) {
    Contents part;
    for (std::size_t n = 0; n < 60; ++n, ++i) {
      const std::string key = key_of(i * 7919 % 100'000);
      part[key] = value_of(i);
      co_await check(db.put(key, part[key]));
    }
    flushed = co_await db.flush({.trim = false});
    if (flushed) durable.merge(part);
  }
  if (flushed.code() != Errc::no_space) co_return Error(Errc::io, "the device did not fill up");
  const Stats stats = db.stats();
  if (stats.free_pages < kReservePages) co_return Error(Errc::io, "the reserve was taken");
  co_await check(db.check());
  const Status closed = co_await db.close();  // says once more what could not be written
  if (closed.code() != Errc::no_space) co_return Error(Errc::io, "close() forgot what was not written");
  co_return Status();
}

Task<Status> expect_contents(Partition& db, const Contents& expected) {
  std::size_t found = 0;
  Scan scan = db.scan();
  for (;;) {
    auto page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) {
      const auto it = expected.find(entry.key.str());
      if (it == expected.end() || it->second != entry.value.view()) {
        co_return Error(Errc::corruption, rt::str("a wrong value of ", entry.key.view()));
      }
      ++found;
    }
  }
  if (found != expected.size()) co_return Error(Errc::corruption, "entries are missing");
  co_return Status();
}

void run(Core& core, Task<Status> workload) {
  const Status done = core.run(std::move(workload));
  core.drain();
  INFO(done.error().message());
  REQUIRE(done);
}

// Deletes all but each `keep`-th key, all over the tree: far more pages than the reserve has.
Task<Status> delete_all_but(Partition& db, std::size_t keep, Contents& contents) {
  std::size_t i = 0;
  for (auto it = contents.begin(); it != contents.end(); ++i) {
    if (i % keep == 0) {
      ++it;
      continue;
    }
    co_await check(db.del(it->first));
    it = contents.erase(it);
  }
  Status flushed = co_await db.flush({.trim = false});
  co_return flushed;
}

Task<Status> delete_most(Core& core, std::size_t keep, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  co_await check(expect_contents(db, contents));
  co_await check(delete_all_but(db, keep, contents));
  co_await check(expect_contents(db, contents));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

Task<Status> write_again(Core& core, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  for (std::size_t i = 0; i < 100; ++i) {
    const std::string key = rt::str("again ", i);
    contents[key] = value_of(i);
    co_await check(db.put(key, contents[key]));
  }
  co_await check(db.flush());
  co_await check(expect_contents(db, contents));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: ordinary flushes leave the reserve, deletes go through with it, and then there is room again",
          "[S02][S11]") {
  for (const std::uint64_t spare : {256 * KiB, 1 * MiB + 20 * KiB, 3 * MiB}) {
    for (const std::size_t keep : {std::size_t{2}, std::size_t{50}}) {
      CAPTURE(spare, keep);
      SimDisk disk;
      const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(4)});
      Contents contents;
      run(*core, fill(*core, disk, spare, contents));
      REQUIRE(contents.size() >= 60);
      run(*core, delete_most(*core, keep, contents));
      run(*core, write_again(*core, contents));
    }
  }
}

Task<Status> compact(Core& core, Contents& contents, std::uint64_t& before, std::uint64_t& after) {
  Partition db = co_await check(Partition::open(core, kOptions));
  co_await check(delete_all_but(db, 20, contents));
  before = db.stats().file_pages;
  co_await check(db.compact());
  after = db.stats().file_pages;
  co_await check(db.check());
  co_await check(expect_contents(db, contents));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: compaction works there and gives space back", "[S11]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(5)});
  Contents contents;
  run(*core, fill(*core, disk, 3 * MiB, contents));
  disk.set_capacity_bytes(disk.allocated_bytes());
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  run(*core, compact(*core, contents, before, after));
  CHECK(after < before / 2);
}

// One key, and the tightest device: nothing but the file itself, with as little free in it as flushes can leave.
Task<Status> delete_one(Core& core, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  co_await check(db.del(contents.begin()->first));
  contents.erase(contents.begin());
  co_await check(db.flush());
  co_await check(expect_contents(db, contents));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: keys can be deleted one by one until there is nothing left", "[S11]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(6)});
  Contents contents;
  run(*core, fill(*core, disk, 256 * KiB, contents));
  disk.set_capacity_bytes(disk.allocated_bytes());
  while (!contents.empty()) run(*core, delete_one(*core, contents));
  run(*core, write_again(*core, contents));
}

// ---- a table is dropped to make room ------------------------------------------------------------------------------

Task<Status> drop_to_write(Core& core, SimDisk& disk) {
  Partition db = co_await check(Partition::open(core, kOptions));
  const Table big = co_await check(db.table("big"));
  disk.set_capacity_bytes(disk.allocated_bytes() + 2 * MiB);
  Status flushed;
  for (std::size_t i = 0; flushed && i < 100'000;) {
    for (std::size_t n = 0; n < 60; ++n, ++i) {
      co_await check(db.put(big, key_of(i), value_of(i)));
    }
    flushed = co_await db.flush({.trim = false});
  }
  if (flushed.code() != Errc::no_space) co_return Error(Errc::io, "the device did not fill up");
  disk.set_capacity_bytes(disk.allocated_bytes());
  const std::uint64_t used = db.stats().used_pages;
  Contents contents;
  for (std::size_t i = 0; i < 50; ++i) {
    contents[key_of(i)] = value_of(i);
    co_await check(db.put(key_of(i), contents[key_of(i)]));
  }
  co_await check(db.drop_table("big"));
  Status written = co_await db.flush({.trim = false});
  for (int tries = 0; !written && tries < 100; ++tries) {  // the pages come back in the background
    if (written.code() != Errc::no_space) co_return written;
    co_await core.sleep_ns(100'000'000);
    written = co_await db.flush({.trim = false});
  }
  co_await check(written);
  co_await core.sleep_ns(2'000'000'000);
  if (db.stats().used_pages > used / 2) co_return Error(Errc::io, "the table's pages are still in use");
  co_await check(expect_contents(db, contents));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: dropping a table goes through with the reserve, and what it frees is written to",
          "[S02][S11]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(20 + seed)});
    run(*core, drop_to_write(*core, disk));
  }
}

// ---- a quota is a full device --------------------------------------------------------------------------------------

Task<Status> meet_quota(Core& core, SimDisk& disk, Contents& contents) {
  Partition db = co_await check(Partition::open(core, kOptions));
  disk.plan({.error = EDQUOT, .kind = rt::IoKind::resize, .sticky = true});
  for (std::size_t i = 0; i < 400; ++i) {
    contents[key_of(i)] = value_of(i);
    const Status put = co_await db.put(key_of(i), contents[key_of(i)]);
    if (!put) contents.erase(key_of(i));
  }
  const Status refused = co_await db.flush();
  if (refused.code() != Errc::no_space) co_return Error(Errc::io, "a quota is not a lack of space");
  co_await check(expect_contents(db, contents));  // from the buffers
  disk.clear_faults();
  co_await core.sleep_ns(1'000'000'000);
  co_await check(db.put("more", "room"));  // accepted again without being asked
  contents["more"] = "room";
  co_await check(db.flush());
  co_await check(expect_contents(db, contents));
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("full device: a quota refuses the flush, loses nothing, and work resumes when it is raised", "[S02]") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(7)});
  Contents contents;
  run(*core, meet_quota(*core, disk, contents));
}

}  // namespace
}  // namespace cambium::test
