// SPDX-License-Identifier: MIT OR Apache-2.0
// Damage at rest: whatever happened to a closed file, the answers are the right value or an error, never a wrong value,
// an absent key, or the end of the process; and a file that is refused is not changed.
#include <catch2/catch.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "sim/damage_probe.h"
#include "support/kinds.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr Bytes kFile = kDamagedFile;
constexpr int kKeys = 400;

SimDisk filled_disk(TableKind kind) { return test::filled_disk(kKeys, 100, kind); }
Answers ask_disk(SimDisk& disk, TableKind kind) { return test::ask_disk(disk, Expectation(kKeys, kind)); }
std::string content(const SimDisk& disk) { return content_of_file(disk); }

// ---- superblocks --------------------------------------------------------------------------------------------------

TEST_CASE("damage: with both superblocks gone the file is refused and not changed", "[S02][S17]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk = filled_disk(kind);
  for (std::uint64_t page = 0; page < 4; ++page) disk.flip_bit(kFile.view(), page * kPageBytes + 90, 3);
  const std::string before = content(disk);
  const Answers answers = ask_disk(disk, kind);
  CHECK(answers.open == Errc::corruption);
  CHECK(answers.open_message.find("superblock") != std::string::npos);
  CHECK(content(disk) == before);
}

TEST_CASE("damage: one superblock, or one copy of each, is enough to open, and the damage is reported", "[S02]") {
  CAMBIUM_BOTH_KINDS(kind);
  const std::vector<std::vector<std::uint64_t>> losses = {{0},    {1},    {2},    {3},    {0, 1},
                                                          {2, 3}, {0, 2}, {1, 3}, {0, 3}, {1, 2}};
  for (const std::vector<std::uint64_t>& pages : losses) {
    SimDisk disk = filled_disk(kind);
    for (const std::uint64_t page : pages) disk.zero(kFile.view(), page * kPageBytes, kPageBytes);
    const Answers answers = ask_disk(disk, kind);
    CAPTURE(pages[0], pages.size());
    CHECK(answers.open == Errc::ok);
    CHECK(answers.superblock_damaged);
    CHECK(answers.check == Errc::ok);
    // Both copies of the newest one gone: the file is as of the commit before, which lacks the last hundred keys.
    const bool slot_gone = pages.size() == 2 && pages[0] / 2 == pages[1] / 2;
    CHECK((answers.right == kKeys || (slot_gone && answers.right == kKeys - 100)));
    // Opening has written one slot; the next open mends the other.
    ask_disk(disk, kind);
    CHECK_FALSE(ask_disk(disk, kind).superblock_damaged);
  }
}

// ---- the whole file -----------------------------------------------------------------------------------------------

TEST_CASE("damage: a file that was cut short, is foreign, empty or of another version is refused and not changed",
          "[S17][F01]") {
  constexpr TableKind kind = TableKind::tree;  // nothing of a table is looked at
  SimDisk disk = filled_disk(kind);
  Errc expected = Errc::corruption;
  SECTION("cut short by a page") { disk.truncate(kFile.view(), disk.file_size(kFile.view()) - kPageBytes); }
  SECTION("cut down to its superblocks") { disk.truncate(kFile.view(), 4 * kPageBytes); }
  SECTION("cut inside the superblocks") {
    disk.truncate(kFile.view(), 6000);
    expected = Errc::unsupported;
  }
  SECTION("empty") {
    disk.truncate(kFile.view(), 0);
    expected = Errc::unsupported;
  }
  SECTION("text") {
    disk.poke(kFile.view(), 0, std::string(4 * kPageBytes, 'x'));
    expected = Errc::unsupported;
  }
  SECTION("zeros") {
    disk.zero(kFile.view(), 0, disk.file_size(kFile.view()));
    expected = Errc::unsupported;
  }
  const std::string before = content(disk);
  const Answers answers = ask_disk(disk, kind);
  CHECK(answers.open == expected);
  CHECK(!answers.open_message.empty());
  CHECK(content(disk) == before);
}

TEST_CASE("damage: a flipped bit in any page of a file is a right answer or corruption, never anything else",
          "[S05][F12]") {
  CAMBIUM_BOTH_KINDS(kind);
  const SimDisk origin = filled_disk(kind);
  const Expectation expectation(kKeys, kind);
  const std::uint64_t pages = origin.file_size(kFile.view()) / kPageBytes;
  const std::uint64_t seed = test_seed(1);
  const std::uint64_t flips_per_page = number_from_environment("CAMBIUM_FLIPS", 6);
  rt::Random random(seed);
  std::uint64_t noticed = 0;
  std::uint64_t harmless = 0;
  for (std::uint64_t page = 0; page < pages; ++page) {
    for (std::uint64_t flip = 0; flip < flips_per_page; ++flip) {
      SimDisk disk = origin.clone();
      const std::uint64_t offset = page * kPageBytes + (flip == 0 ? random.below(32) : random.below(kPageBytes));
      const auto bit = static_cast<unsigned>(random.below(8));
      disk.flip_bit(kFile.view(), offset, bit);
      const Answers answers = test::ask_disk(disk, expectation);
      INFO("page " << page << ", offset " << offset << ", bit " << bit);
      INFO("replay: " << replay_command("test_sim", seed));
      REQUIRE((answers.open == Errc::ok || answers.open == Errc::corruption));
      if (answers.open != Errc::ok) REQUIRE_FALSE(answers.changed);
      INFO(answers.first_wrong);
      REQUIRE(answers.wrong == 0);
      const bool unharmed = answers.right == kKeys && answers.scan_whole;
      if (answers.open == Errc::ok) REQUIRE((unharmed || answers.check == Errc::corruption));
      ++(unharmed && !answers.superblock_damaged ? harmless : noticed);
    }
  }
  std::printf("damage: %s: %llu bits flipped in %llu pages: %llu noticed, %llu in free space\n", name_of(kind),
              static_cast<unsigned long long>(noticed + harmless), static_cast<unsigned long long>(pages),
              static_cast<unsigned long long>(noticed), static_cast<unsigned long long>(harmless));
  CHECK(noticed > harmless / 10);
}

// A page that is whole but not the one its parent meant: an older one left by a lost write, or a neighbour's copy.
TEST_CASE("damage: a page that holds another page's bytes is noticed by its parent", "[S05]") {
  CAMBIUM_BOTH_KINDS(kind);
  const SimDisk origin = filled_disk(kind);
  const std::uint64_t pages = origin.file_size(kFile.view()) / kPageBytes;
  rt::Random random(test_seed(3));
  std::uint64_t noticed = 0;
  for (std::uint64_t page = 4; page < pages; ++page) {
    SimDisk disk = origin.clone();
    disk.copy_page(kFile.view(), 4 + random.below(pages - 4), page);
    const Answers answers = ask_disk(disk, kind);
    CAPTURE(page, answers.first_wrong);
    REQUIRE(answers.wrong == 0);
    noticed += answers.open != Errc::ok || answers.refused != 0 ? 1 : 0;
  }
  CHECK(noticed > pages / 10);
}

}  // namespace
}  // namespace cambium::test
