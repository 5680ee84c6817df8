// SPDX-License-Identifier: MIT OR Apache-2.0
// What survives on a simulated disk: durability, power cuts, clones, damage at rest.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>

#include <cambium/rt/sim.h>

#include "base/random.h"
#include "runtime/rt/sim_driver.h"

namespace cambium {
namespace {

using rt::IoKind;
using test::sectors;
using test::SimDriver;

constexpr std::string_view kFile = SimDriver::kFile;

std::string all_of(const SimDisk& disk) { return disk.peek(kFile, 0, static_cast<std::size_t>(disk.file_size(kFile))); }
std::string durable(const SimDisk& disk) { return all_of(disk.crash_image(PowerCutPolicy::none, 0)); }
std::string sector(const std::string& bytes, std::size_t index) {
  return bytes.substr(index * kSimSectorBytes, kSimSectorBytes);
}

// A file of `count` durable sectors of 'o'.
void prepare(SimDriver& driver, std::size_t count) {
  REQUIRE(driver.write(0, sectors(count, 'o')) == static_cast<std::int32_t>(count * kSimSectorBytes));
  REQUIRE(driver.sync() == 0);
}

TEST_CASE("sim disk: a write is readable at once and durable after a sync") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 8);
  driver.write(kSimSectorBytes, sectors(2, 'n'));
  CHECK(disk.pending_sectors() == 2);
  CHECK(driver.read(0, 4 * kSimSectorBytes) == sectors(1, 'o') + sectors(2, 'n') + sectors(1, 'o'));
  CHECK(durable(disk) == sectors(8, 'o'));
  CHECK(driver.sync() == 0);
  CHECK(disk.pending_sectors() == 0);
  CHECK(durable(disk) == sectors(1, 'o') + sectors(2, 'n') + sectors(5, 'o'));
}

TEST_CASE("sim disk: a sync covers exactly the writes that completed before it was submitted") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 4);
  std::string a = sectors(1, 'a');
  std::string b = sectors(1, 'b');
  std::string c = sectors(1, 'c');
  // a has completed; b is in flight and c is submitted later: both complete before the sync does.
  driver.write(0, a);
  disk.plan({.action = FaultAction::delay, .argument = 10, .kind = IoKind::write});
  disk.plan({.action = FaultAction::delay, .argument = 100, .kind = IoKind::sync});
  auto& in_flight = driver.start(IoKind::write, kSimSectorBytes, b.data(), b.size());
  auto& sync = driver.start(IoKind::sync, 0);
  auto& later = driver.start(IoKind::write, 2 * kSimSectorBytes, c.data(), c.size());
  driver.finish(in_flight);
  driver.finish(later);
  REQUIRE_FALSE(sync.done);
  CHECK(durable(disk) == sectors(4, 'o'));
  CHECK(driver.finish(sync) == 0);
  CHECK(durable(disk) == a + sectors(3, 'o'));
  CHECK(disk.pending_sectors() == 2);
  CHECK(driver.sync() == 0);
  CHECK(durable(disk) == a + b + c + sectors(1, 'o'));
}

TEST_CASE("sim disk: the bytes of a write are those at its completion") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 1);
  std::string bytes = sectors(1, 'x');
  auto& write = driver.start(IoKind::write, 0, bytes.data(), bytes.size());
  bytes.assign(bytes.size(), 'y');
  driver.finish(write);
  CHECK(driver.read(0, kSimSectorBytes) == sectors(1, 'y'));
  driver.sync();
  CHECK(durable(disk) == sectors(1, 'y'));
}

TEST_CASE("sim disk: growth is pending until it is synced") {
  SimDisk disk;
  SimDriver driver(disk);
  REQUIRE(driver.resize(64 * 1024) == 0);
  CHECK(disk.pending_sectors() == 1);
  CHECK(disk.file_size(kFile) == 64 * 1024);
  CHECK(disk.crash_image(PowerCutPolicy::none, 0).file_size(kFile) == 0);
  CHECK(disk.crash_image(PowerCutPolicy::all, 0).file_size(kFile) == 64 * 1024);
  // A write into lost growth is lost with it.
  driver.write(0, sectors(1, 'w'));
  CHECK(disk.crash_image_mask(0b10).file_size(kFile) == 0);
  CHECK(disk.crash_image_mask(0b01).peek(kFile, 0, 1) == std::string(1, '\0'));
  CHECK(disk.crash_image_mask(0b11).peek(kFile, 0, 1) == "w");
  driver.sync();
  CHECK(disk.crash_image(PowerCutPolicy::none, 0).file_size(kFile) == 64 * 1024);
}

TEST_CASE("sim disk: a write beyond the end grows the file, and that growth is pending too") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 1);
  driver.write(700, "abc");
  CHECK(disk.file_size(kFile) == 703);
  CHECK(disk.pending_sectors() == 2);
  CHECK(disk.crash_image(PowerCutPolicy::none, 0).file_size(kFile) == kSimSectorBytes);
  CHECK(disk.crash_image(PowerCutPolicy::all, 0).peek(kFile, 700, 3) == "abc");
}

TEST_CASE("sim disk: shrinking is pending, and what grows again reads as zeros") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 24);
  driver.resize(700);
  CHECK(durable(disk) == sectors(24, 'o'));
  driver.resize(24 * kSimSectorBytes);
  CHECK(all_of(disk) == std::string(700, 'o') + std::string(24 * kSimSectorBytes - 700, '\0'));
  driver.sync();
  CHECK(durable(disk) == all_of(disk));
}

TEST_CASE("sim disk: a punch reads as zeros, is undone by a cut, and gives space back") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 40);
  CHECK(disk.allocated_bytes() == 5 * kSimBlockBytes);
  REQUIRE(driver.punch(1000, 3 * kSimBlockBytes) == 0);
  CHECK(disk.allocated_bytes() == 3 * kSimBlockBytes);
  const std::size_t end = 1000 + 3 * kSimBlockBytes;
  CHECK(all_of(disk) == std::string(1000, 'o') + std::string(end - 1000, '\0') + std::string(40 * 512 - end, 'o'));
  CHECK(durable(disk) == sectors(40, 'o'));
  CHECK(disk.crash_image(PowerCutPolicy::all, 0).allocated_bytes() == 3 * kSimBlockBytes);
  driver.write(kSimBlockBytes, "x");
  CHECK(disk.allocated_bytes() == 4 * kSimBlockBytes);
}

TEST_CASE("sim disk: a write smaller than a sector takes the rest of its sector along") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 2);
  driver.write(10, "first");
  driver.write(100, "second");
  // Only the later one arrives, but the device writes sectors: the earlier bytes lie in the same one.
  const SimDisk after = disk.crash_image_mask(0b10);
  CHECK(after.peek(kFile, 10, 5) == "first");
  CHECK(after.peek(kFile, 100, 6) == "second");
}

TEST_CASE("sim disk: a durable write is on stable storage, and no older pending version comes back over it") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 8);
  driver.write(0, sectors(8, 'p'));
  REQUIRE(driver.write(2 * kSimSectorBytes, sectors(3, 'd'), true) == 3 * 512);
  CHECK(disk.pending_sectors() == 5);
  CHECK(durable(disk) == sectors(2, 'o') + sectors(3, 'd') + sectors(3, 'o'));
  CHECK(all_of(disk.clone()) == sectors(2, 'p') + sectors(3, 'd') + sectors(3, 'p'));
  SECTION("with the growth it needs") {
    driver.write(8 * kSimSectorBytes, sectors(1, 'g'), true);
    CHECK(durable(disk) == sectors(2, 'o') + sectors(3, 'd') + sectors(3, 'o') + sectors(1, 'g'));
  }
  SECTION("and everything before it, where the file was cut meanwhile") {
    driver.resize(6 * kSimSectorBytes);
    driver.write(5 * kSimSectorBytes, sectors(1, 'z'), true);
    CHECK(durable(disk) == sectors(2, 'p') + sectors(3, 'd') + sectors(1, 'z'));
    CHECK(disk.pending_sectors() == 0);
  }
}

TEST_CASE("sim disk: a sync of one file says nothing about another") {
  SimDisk disk;
  disk.create("other");
  SimDriver driver(disk);
  prepare(driver, 1);
  const std::int32_t other = driver.backend().open_file({.path = "other", .direct = false}).value().file;
  std::string bytes = sectors(1, 'x');
  driver.finish(driver.submit({.kind = IoKind::write, .file = other, .bytes = 512, .data = bytes.data()}));
  driver.sync();
  CHECK(disk.crash_image(PowerCutPolicy::none, 0).file_size("other") == 0);
  CHECK(disk.pending_sectors() == 2);
}

// Each pending sector of new content 'n' over old content 'o' is classified by what a cut made of it.
struct Cut {
  std::size_t kept = 0;
  std::size_t dropped = 0;
  std::size_t torn = 0;
  std::string fates;  // per sector: k, d, t
};
Cut classify(const SimDisk& image, std::size_t first, std::size_t count) {
  Cut cut;
  const std::string bytes = all_of(image);
  for (std::size_t i = first; i < first + count; ++i) {
    const std::string one = sector(bytes, i);
    const bool kept = one == sectors(1, 'n');
    const bool dropped = one == sectors(1, 'o');
    cut.kept += kept ? 1 : 0;
    cut.dropped += dropped ? 1 : 0;
    cut.torn += kept || dropped ? 0 : 1;
    cut.fates += kept ? 'k' : (dropped ? 'd' : 't');
  }
  return cut;
}

TEST_CASE("sim disk: each policy cuts as it says, and only where something is pending") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 32);
  driver.write(8 * kSimSectorBytes, sectors(8, 'n'));
  REQUIRE(disk.pending_sectors() == 8);
  std::set<std::string> seen[kPowerCutPolicies.size()];
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    CAPTURE(seed);
    for (const PowerCutPolicy policy : kPowerCutPolicies) {
      INFO(to_string(policy));
      const SimDisk image = disk.crash_image(policy, seed);
      const std::string bytes = all_of(image);
      REQUIRE(bytes.substr(0, 8 * 512) == sectors(8, 'o'));
      REQUIRE(bytes.substr(16 * 512) == sectors(16, 'o'));
      const Cut cut = classify(image, 8, 8);
      seen[static_cast<std::size_t>(policy)].insert(cut.fates);
      if (policy != PowerCutPolicy::random_torn) REQUIRE(cut.torn == 0);
      if (policy == PowerCutPolicy::none) REQUIRE(cut.dropped == 8);
      if (policy == PowerCutPolicy::all) REQUIRE(cut.kept == 8);
      if (policy == PowerCutPolicy::all_but_one) REQUIRE(cut.kept == 7);
      if (policy == PowerCutPolicy::only_one) REQUIRE(cut.kept == 1);
      if (policy == PowerCutPolicy::prefix) REQUIRE(cut.fates.find("dk") == std::string::npos);
      if (policy == PowerCutPolicy::suffix) REQUIRE(cut.fates.find("kd") == std::string::npos);
      REQUIRE(image.pending_sectors() == 0);
    }
  }
  const auto variety = [&seen](PowerCutPolicy policy) { return seen[static_cast<std::size_t>(policy)].size(); };
  CHECK(variety(PowerCutPolicy::all_but_one) == 8);
  CHECK(variety(PowerCutPolicy::only_one) == 8);
  CHECK(variety(PowerCutPolicy::prefix) == 9);
  CHECK(variety(PowerCutPolicy::suffix) == 9);
  CHECK(variety(PowerCutPolicy::random) > 100);
  CHECK(variety(PowerCutPolicy::random_torn) > 200);
}

TEST_CASE("sim disk: a torn sector has a new start or end; a garbled one has neither") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 1);
  driver.write(0, sectors(1, 'n'));
  bool new_start = false;
  bool new_end = false;
  bool old_rest = false;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    const std::string bytes = all_of(disk.crash_image_mask(0, 1, seed));
    REQUIRE(bytes != sectors(1, 'n'));
    REQUIRE(bytes != sectors(1, 'o'));
    REQUIRE((bytes.front() == 'n' || bytes.back() == 'n'));
    new_start |= bytes.front() == 'n';
    new_end |= bytes.back() == 'n';
    old_rest |= bytes.front() == 'o' || bytes.back() == 'o';
  }
  CHECK((new_start && new_end && old_rest));
  bool garbled = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string bytes = all_of(disk.crash_image(PowerCutPolicy::random_torn, seed));
    garbled |= std::count(bytes.begin(), bytes.end(), 'n') < 32 && std::count(bytes.begin(), bytes.end(), 'o') < 32;
  }
  CHECK(garbled);
}

TEST_CASE("sim disk: the masks enumerate every subset of the pending sectors, each once") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 8);
  driver.write(0, sectors(3, 'n'));
  driver.write(5 * kSimSectorBytes, sectors(2, 'n'));
  driver.write(1 * kSimSectorBytes, sectors(1, 'm'));  // a second version of a pending sector
  REQUIRE(disk.pending_sectors() == 6);
  for (std::uint64_t mask = 0; mask < 64; ++mask) {
    std::string expected = sectors(8, 'o');
    constexpr std::size_t kSectorOf[] = {0, 1, 2, 5, 6, 1};
    for (std::size_t unit = 0; unit < 6; ++unit) {
      if ((mask >> unit & 1) == 0) continue;
      expected.replace(kSectorOf[unit] * kSimSectorBytes, kSimSectorBytes, sectors(1, unit == 5 ? 'm' : 'n'));
    }
    REQUIRE(all_of(disk.crash_image_mask(mask)) == expected);
  }
}

TEST_CASE("sim disk: a region cut keeps what lies inside, or outside, and all growth") {
  SimDisk disk;
  SimDriver driver(disk);
  driver.write(0, sectors(4, 'n'));
  const std::string none = sectors(1, '\0');
  CHECK(all_of(disk.crash_image_region(512, 1024, true)) == none + sectors(2, 'n') + none);
  CHECK(all_of(disk.crash_image_region(512, 1024, false)) == sectors(1, 'n') + none + none + sectors(1, 'n'));
}

TEST_CASE("sim disk: what is durable is the same in every crash image") {
  rt::Random random(11);
  SimDisk disk;
  SimDriver driver(disk);
  std::string model(96 * 512, '\0');
  driver.resize(model.size());
  driver.sync();
  for (int round = 0; round < 40; ++round) {
    std::set<std::size_t> touched;
    for (int write = 0; write < 4; ++write) {
      const std::size_t first = static_cast<std::size_t>(random.below(90));
      const std::size_t count = static_cast<std::size_t>(random.between(1, 6));
      std::string bytes(count * 512, '\0');
      random.bytes(bytes.data(), bytes.size());
      driver.write(first * 512, bytes);
      for (std::size_t i = first; i < first + count; ++i) touched.insert(i);
      const std::string image = all_of(disk.crash_image(PowerCutPolicy::random_torn, random.next()));
      for (std::size_t i = 0; i < 96; ++i) {
        if (touched.count(i) == 0) REQUIRE(sector(image, i) == sector(model, i));
      }
    }
    REQUIRE(driver.sync() == 0);
    model = all_of(disk);
    REQUIRE(durable(disk) == model);
  }
}

TEST_CASE("sim disk: clones and their origin go their own ways") {
  SimDisk disk;
  SimDriver driver(disk);
  prepare(driver, 2048);
  SimDisk clone = disk.clone();
  SimDisk second = clone.clone();
  clone.poke(kFile, 100, "clone");
  driver.write(100, "other");
  driver.sync();
  CHECK(disk.peek(kFile, 100, 5) == "other");
  CHECK(durable(disk).substr(100, 5) == "other");
  CHECK(clone.peek(kFile, 100, 5) == "clone");
  CHECK(second.peek(kFile, 100, 5) == "ooooo");
  clone.truncate(kFile, 0);
  SimDriver other(second);  // the lock of the origin is not the clone's
  other.resize(10);
  CHECK(disk.file_size(kFile) == 2048 * 512);
  CHECK(clone.file_size(kFile) == 0);
}

TEST_CASE("sim disk: damage at rest changes what it names and nothing else") {
  SimDisk disk;
  disk.create("f");
  disk.truncate("f", 4 * kSimBlockBytes);
  disk.poke("f", kSimBlockBytes, std::string(kSimBlockBytes, 'b'));
  disk.flip_bit("f", kSimBlockBytes + 7, 0);
  CHECK(disk.peek("f", kSimBlockBytes + 6, 3) == "bcb");
  disk.copy_page("f", 1, 3);
  CHECK(disk.peek("f", 3 * kSimBlockBytes + 6, 3) == "bcb");
  CHECK(disk.peek("f", 2 * kSimBlockBytes, 2) == std::string(2, '\0'));
  disk.zero("f", kSimBlockBytes + 1, 7);
  CHECK(disk.peek("f", kSimBlockBytes, 9) == "b" + std::string(7, '\0') + "b");
  disk.truncate("f", kSimBlockBytes + 9);
  CHECK(disk.file_size("f") == kSimBlockBytes + 9);
  disk.truncate("f", 3 * kSimBlockBytes);
  CHECK(disk.peek("f", kSimBlockBytes + 8, 2) == std::string("b\0", 2));
  CHECK(disk.pending_sectors() == 0);
  CHECK(disk.crash_image(PowerCutPolicy::none, 0).peek("f", kSimBlockBytes, 1) == "b");
  CHECK(disk.files() == std::vector<std::string>{"f"});
}

TEST_CASE("sim disk: a failed sync forgets writes that stay readable, and a later sync does not bring them back") {
  std::size_t forgotten = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    SimDriver driver(disk, {.seed = seed, .eager = true});
    prepare(driver, 8);
    for (std::size_t i = 0; i < 8; ++i) driver.write(i * kSimSectorBytes, sectors(1, 'n'));
    disk.plan({.error = ENOSPC, .kind = IoKind::sync});
    REQUIRE(driver.sync() == -ENOSPC);
    REQUIRE(driver.read(0, 8 * 512) == sectors(8, 'n'));
    REQUIRE(driver.sync() == 0);
    REQUIRE(disk.pending_sectors() == 0);
    forgotten += classify(disk.crash_image(PowerCutPolicy::all, 0), 0, 8).dropped;
  }
  CHECK(forgotten > 80);
  CHECK(forgotten < 160);
}

}  // namespace
}  // namespace cambium
