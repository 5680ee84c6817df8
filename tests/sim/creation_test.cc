// SPDX-License-Identifier: MIT OR Apache-2.0
// The power is cut at every step of making a partition: what is left is made anew, and nothing else ever is.
#include <catch2/catch.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "space/creation.h"
#include "support/kinds.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr std::string_view kFile = "new.cambium";

Options options_for(OpenMode mode) { return {.path = kFile, .mode = mode, .memory_bytes = 1 * MiB}; }

// A batch over both kinds of tables.
Task<Status> open_and_use(Core& core, const Options& options) {
  Partition db = co_await check(Partition::open(core, options));
  co_await check(db.check());
  const Table levels = co_await check(table_of(db, TableKind::levels));
  WriteBatch batch;
  batch.put("key", "value").put(levels, "key", "value");
  co_await check(db.write(batch));
  co_await check(db.flush());
  const Table tables[] = {db.default_table(), levels};
  for (const Table& table : tables) {
    const Value value = co_await check(db.get(table, "key"));
    if (!value) co_return Error(Errc::corruption, "what was put is not there");
  }
  Status closed = co_await db.close();
  co_return closed;
}

Status use(SimDisk& disk, OpenMode mode, std::uint64_t seed, bool read_only = false) {
  const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
  Options options = options_for(mode);
  options.read_only = read_only;
  const Status done = core->run(open_and_use(*core, options));
  core->drain();
  return done;
}

std::string content(const SimDisk& disk) {
  return disk.peek(kFile, 0, static_cast<std::size_t>(disk.file_size(kFile)));
}

// ---- cuts ---------------------------------------------------------------------------------------------------------

// Cuts `disk` at each step, by every policy, and hands the images on.
struct Cutter {
  SimDisk* disk;
  std::uint64_t seeds;  // images by each policy at each step
  void (*look)(Cutter& cutter, const SimDisk& image, std::uint64_t seed);
  Cutter* outer = nullptr;
  std::uint64_t images = 0;
  std::uint64_t made_anew = 0;
  std::string violation = {};  // the first

  static void cut(void* self, const SimStep& step) {
    auto& cutter = *static_cast<Cutter*>(self);
    if (!step.changed || !cutter.violation.empty()) return;
    for (const PowerCutPolicy policy : kPowerCutPolicies) {
      for (std::uint64_t i = 0; i < cutter.seeds; ++i) {
        const std::uint64_t seed = test_seed(77) * 1'000'003 + step.index * 4099 + i;
        ++cutter.images;
        cutter.look(cutter, cutter.disk->crash_image(policy, seed), seed);
        if (cutter.violation.empty()) continue;
        cutter.violation =
            rt::str("step ", step.index, ", policy ", to_string(policy), ", seed ", seed, ": ", cutter.violation);
        return;
      }
    }
  }
  void fail(std::string_view what, const Status& status) {
    violation = rt::str(what, ": ", status ? "no error" : status.error().message());
  }
};

// Every way to open what is left: it is a partition, or it is made one where that was asked for.
void open_in_every_mode(Cutter& cutter, const SimDisk& image, std::uint64_t seed) {
  SimDisk opened = image.clone();
  const Status open = use(opened, OpenMode::open, seed);
  if (!open && open.code() != Errc::unsupported) return cutter.fail("open", open);
  if (!open && content(opened) != content(image)) return cutter.fail("a refused open() changed the file", open);
  SimDisk created = image.clone();
  const Status create = use(created, OpenMode::create, seed);
  if (open ? create.code() != Errc::exists : !create) return cutter.fail("create", create);
  if (!create && content(created) != content(image)) return cutter.fail("a refused create changed the file", create);
  SimDisk either = image.clone();
  const Status done = use(either, OpenMode::open_or_create, seed);
  if (!done) return cutter.fail("open_or_create", done);
  if (either.file_size(kFile) != kFirstFilePages * kPageBytes) return cutter.fail("the file's length", done);
  if (!open) ++cutter.made_anew;
}

void open_or_create_once(Cutter& cutter, const SimDisk& image, std::uint64_t seed) {
  SimDisk disk = image.clone();
  const Status done = use(disk, OpenMode::open_or_create, seed);
  if (!done) cutter.fail("open_or_create after a second cut", done);
}

// The making anew is cut at every step as well.
void cut_again(Cutter& cutter, const SimDisk& image, std::uint64_t seed) {
  SimDisk disk = image.clone();
  Cutter inner{&disk, 1, &open_or_create_once};
  disk.on_step(&Cutter::cut, &inner);
  const Status done = use(disk, OpenMode::open_or_create, seed);
  disk.on_step(nullptr, nullptr);
  cutter.made_anew += inner.images;
  if (!done) return cutter.fail("open_or_create", done);
  cutter.violation = inner.violation;
}

Cutter cut_creation(std::uint64_t seeds, void (*look)(Cutter&, const SimDisk&, std::uint64_t), OpenMode mode) {
  SimDisk disk;
  Cutter cutter{&disk, seeds, look};
  disk.on_step(&Cutter::cut, &cutter);
  const Status done = use(disk, mode, 5);
  disk.on_step(nullptr, nullptr);
  if (!done) cutter.fail("the run that is cut", done);
  cutter.disk = nullptr;
  return cutter;
}

TEST_CASE("creation: cut at any step, what is left is a partition or is made one, by create and open_or_create",
          "[S02]") {
  const OpenMode mode = GENERATE(OpenMode::create, OpenMode::open_or_create);
  const Cutter cutter = cut_creation(40, &open_in_every_mode, mode);
  INFO("replay: " << replay_command("test_sim", test_seed(77)));
  CHECK(cutter.violation == "");
  std::printf("creation: %llu images, %llu made anew\n", static_cast<unsigned long long>(cutter.images),
              static_cast<unsigned long long>(cutter.made_anew));
  CHECK(cutter.made_anew > 500);
}

TEST_CASE("creation: cut while what an earlier cut left is made anew, it is made anew once more", "[S02]") {
  const Cutter cutter = cut_creation(2, &cut_again, OpenMode::create);
  CHECK(cutter.violation == "");
  CHECK(cutter.made_anew > 500);
}

// ---- what is not ours ---------------------------------------------------------------------------------------------

SimDisk disk_with(std::uint64_t bytes, std::uint64_t offset, std::string_view what) {
  SimDisk disk;
  disk.create(kFile);
  disk.truncate(kFile, bytes);
  if (!what.empty()) disk.poke(kFile, offset, what);
  return disk;
}

void require_refused(SimDisk& disk) {
  const std::string before = content(disk);
  for (const OpenMode mode : {OpenMode::open, OpenMode::open_or_create, OpenMode::create}) {
    for (const bool read_only : {false, true}) {
      if (read_only && mode == OpenMode::create) continue;
      const Status refused = use(disk, mode, 3, read_only);
      CHECK(!refused);
      CHECK((mode == OpenMode::create) == (refused.code() == Errc::exists));
      REQUIRE(content(disk) == before);
    }
  }
}

TEST_CASE("creation: a file with anything foreign in it is refused in every mode, and stays as it is") {
  constexpr std::uint64_t kPages64 = kFirstFilePages * kPageBytes;
  for (const std::uint64_t bytes : {std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{512}, std::uint64_t{4095},
                                    std::uint64_t{4096}, std::uint64_t{10'000}, 4 * kPageBytes, 8 * kPageBytes,
                                    kPages64 - 1, kPages64, kPages64 + 1, kPages64 + kPageBytes, 3 * kPages64}) {
    for (const std::uint64_t offset : {std::uint64_t{0}, bytes / 2, bytes - 1}) {
      CAPTURE(bytes, offset);
      SimDisk disk = disk_with(bytes, offset, "x");
      require_refused(disk);
    }
  }
}

TEST_CASE("creation: the length of an unfinished file excuses nothing outside the pages that creation writes") {
  for (std::uint64_t page = 8; page < kFirstFilePages; ++page) {
    CAPTURE(page);
    SimDisk disk = disk_with(kUnfinishedBytes, page * kPageBytes + page * 61, "x");
    require_refused(disk);
  }
}

TEST_CASE("creation: random bytes, of whatever length, are refused and stay as they are") {
  const std::uint64_t seed = test_seed(9);
  INFO("replay: " << replay_command("test_sim", seed));
  rt::Random random(seed);
  for (int round = 0; round < 60; ++round) {
    std::string bytes(random.between(1, 2 * kUnfinishedBytes), '\0');
    random.bytes(bytes.data(), bytes.size());
    SimDisk disk = disk_with(bytes.size(), 0, bytes);
    require_refused(disk);
  }
}

TEST_CASE("creation: zeros in whole pages, no more than a new partition has, are made a partition; others are not") {
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{1} * kPageBytes, std::uint64_t{5} * kPageBytes,
                                    kFirstFilePages * kPageBytes, kUnfinishedBytes}) {
    for (const OpenMode mode : {OpenMode::create, OpenMode::open_or_create}) {
      CAPTURE(bytes);
      SimDisk disk = disk_with(bytes, 0, "");
      CHECK(use(disk, OpenMode::open, 1).code() == Errc::unsupported);
      CHECK(use(disk, OpenMode::open_or_create, 1, true).code() == Errc::unsupported);
      CHECK(disk.file_size(kFile) == bytes);
      CHECK(use(disk, mode, 1));
      CHECK(use(disk, OpenMode::open, 2));
    }
  }
  for (const std::uint64_t bytes : {std::uint64_t{1}, std::uint64_t{4097}, (kFirstFilePages + 1) * kPageBytes}) {
    CAPTURE(bytes);
    SimDisk disk = disk_with(bytes, 0, "");
    require_refused(disk);
  }
}

TEST_CASE("creation: a finished partition is never made anew, however its superblocks are damaged") {
  SimDisk made;
  REQUIRE(use(made, OpenMode::create, 1));
  for (unsigned pages = 1; pages < 16; ++pages) {
    CAPTURE(pages);
    SimDisk disk = made.clone();
    for (unsigned page = 0; page < 4; ++page) {
      if (((pages >> page) & 1) != 0) disk.zero(kFile, page * kPageBytes, kPageBytes);
    }
    if (pages == 15) {
      require_refused(disk);
    } else {
      CHECK(use(disk, OpenMode::create, 1).code() == Errc::exists);
      CHECK(use(disk, OpenMode::open_or_create, 1));
    }
  }
}

}  // namespace
}  // namespace cambium::test
