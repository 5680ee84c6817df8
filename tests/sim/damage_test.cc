// SPDX-License-Identifier: MIT OR Apache-2.0
// Damage at rest: whatever happened to a closed file, the answers are the right value or an error, never a wrong value,
// an absent key, or the end of the process; and a file that is refused is not changed.
#include <catch2/catch.hpp>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "format/space_page.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr Bytes kFile = "damaged.cambium";
constexpr Options kSmall{.path = kFile, .mode = OpenMode::open, .memory_bytes = 1 * MiB, .cache_bytes = 128 * KiB};
constexpr int kKeys = 400;

std::string key_of(int i) { return rt::str("key ", 1000 + i); }
std::string value_of(int i) {
  const auto bytes = static_cast<std::size_t>(i % 20 == 0 ? 5000 : 50 + i % 300);
  std::string value = rt::str("value ", i, " ");
  return value.append(bytes, static_cast<char>('a' + i % 26));
}

Task<Status> fill(Core& core) {
  Options options = kSmall;
  options.mode = OpenMode::create;
  Partition db = co_await check(Partition::open(core, options));
  for (int i = 0; i < kKeys; ++i) {
    co_await check(db.put(key_of(i), value_of(i)));
    if (i % 100 == 99) {
      co_await check(db.flush());
    }
  }
  Status closed = co_await db.close();
  co_return closed;
}

SimDisk filled_disk() {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core();
  REQUIRE(core->run(fill(*core)));
  return disk.clone();
}

struct Answers {
  Errc open = Errc::ok;
  std::string open_message;
  Errc check = Errc::ok;
  bool superblock_damaged = false;
  int right = 0;
  int refused = 0;  // an error, which says corruption
  int wrong = 0;    // another value, or none, or another error
  bool scan_whole = false;
  std::string first_wrong;

  void expect(bool right_answer, std::string_view what, int at) {
    if (right_answer) return;
    if (wrong++ == 0) first_wrong = rt::str(what, " at entry ", at);
  }
};

Task<void> ask(Core& core, Answers& answers) {
  Result<Partition> opened = co_await Partition::open(core, kSmall);
  answers.open = opened.code();
  if (!opened) {
    answers.open_message = opened.error().message();
    co_return;
  }
  Partition db = std::move(*opened);
  for (int i = 0; i < kKeys; ++i) {
    Result<Value> value = co_await db.get(key_of(i));
    if (!value) {
      ++answers.refused;
      answers.expect(value.code() == Errc::corruption, value.error().message(), i);
    } else {
      const bool right = *value && (*value).view() == value_of(i);
      answers.right += right ? 1 : 0;
      answers.expect(right, *value ? "another value" : "no value", i);
    }
  }
  {
    Scan scan = db.scan();
    int seen = 0;
    for (;;) {
      const Result<const Entry*> entry = co_await scan.next();
      if (!entry) {
        const Result<const Entry*> again = co_await scan.next();  // it stays failed
        answers.expect(entry.code() == Errc::corruption, entry.error().message(), seen);
        answers.expect(again.code() == Errc::corruption, "a scan went on after an error", seen);
        break;
      }
      const Entry* const shown = entry.value();
      if (shown == nullptr) {
        answers.scan_whole = seen == kKeys;
        answers.expect(answers.scan_whole, "the scan ends", seen);
        break;
      }
      answers.expect(shown->key == Bytes(key_of(seen)) && shown->value == Bytes(value_of(seen)),
                     "a scan shows another entry", seen);
      ++seen;
    }
  }
  Result<CheckReport> report = co_await db.check();
  answers.check = report.code();
  answers.superblock_damaged = report && report->superblock_damaged;
  const Status closed = co_await db.close();
  static_cast<void>(closed);
}

Answers ask_disk(SimDisk& disk) {
  Answers answers;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 2});
  core->run(ask(*core, answers));
  core->drain();
  return answers;
}

std::string content(const SimDisk& disk) { return disk.peek(kFile.view(), 0, disk.file_size(kFile.view())); }

// ---- superblocks --------------------------------------------------------------------------------------------------

TEST_CASE("damage: with both superblocks gone the file is refused and not changed", "[S02][S17]") {
  SimDisk disk = filled_disk();
  for (std::uint64_t page = 0; page < 4; ++page) disk.flip_bit(kFile.view(), page * kPageBytes + 90, 3);
  const std::string before = content(disk);
  const Answers answers = ask_disk(disk);
  CHECK(answers.open == Errc::corruption);
  CHECK(answers.open_message.find("superblock") != std::string::npos);
  CHECK(content(disk) == before);
}

TEST_CASE("damage: one superblock, or one copy of each, is enough to open, and the damage is reported", "[S02]") {
  const std::vector<std::vector<std::uint64_t>> losses = {{0},    {1},    {2},    {3},    {0, 1},
                                                          {2, 3}, {0, 2}, {1, 3}, {0, 3}, {1, 2}};
  for (const std::vector<std::uint64_t>& pages : losses) {
    SimDisk disk = filled_disk();
    for (const std::uint64_t page : pages) disk.zero(kFile.view(), page * kPageBytes, kPageBytes);
    const Answers answers = ask_disk(disk);
    CAPTURE(pages[0], pages.size());
    CHECK(answers.open == Errc::ok);
    CHECK(answers.superblock_damaged);
    CHECK(answers.check == Errc::ok);
    // Both copies of the newest one gone: the file is as of the commit before, which lacks the last hundred keys.
    const bool slot_gone = pages.size() == 2 && pages[0] / 2 == pages[1] / 2;
    CHECK((answers.right == kKeys || (slot_gone && answers.right == kKeys - 100)));
    // Opening has written one slot; the next open mends the other.
    ask_disk(disk);
    CHECK_FALSE(ask_disk(disk).superblock_damaged);
  }
}

// ---- the whole file -----------------------------------------------------------------------------------------------

TEST_CASE("damage: a file that was cut short, is foreign, empty or of another version is refused and not changed",
          "[S17][F01]") {
  SimDisk disk = filled_disk();
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
  const Answers answers = ask_disk(disk);
  CHECK(answers.open == expected);
  CHECK(!answers.open_message.empty());
  CHECK(content(disk) == before);
}

TEST_CASE("damage: a flipped bit in any page of a file is a right answer or corruption, never anything else",
          "[S05][F12]") {
  const SimDisk origin = filled_disk();
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
      const std::string before = content(disk);
      const Answers answers = ask_disk(disk);
      INFO("page " << page << ", offset " << offset << ", bit " << bit << ", seed " << seed);
      REQUIRE((answers.open == Errc::ok || answers.open == Errc::corruption));
      if (answers.open != Errc::ok) REQUIRE(content(disk) == before);
      INFO(answers.first_wrong);
      REQUIRE(answers.wrong == 0);
      const bool unharmed = answers.right == kKeys && answers.scan_whole;
      if (answers.open == Errc::ok) REQUIRE((unharmed || answers.check == Errc::corruption));
      ++(unharmed && !answers.superblock_damaged ? harmless : noticed);
    }
  }
  std::printf("damage: %llu bits flipped in %llu pages: %llu noticed, %llu in free space\n",
              static_cast<unsigned long long>(noticed + harmless), static_cast<unsigned long long>(pages),
              static_cast<unsigned long long>(noticed), static_cast<unsigned long long>(harmless));
  CHECK(noticed > harmless / 10);
}

// A page that is whole but not the one its parent meant: an older one left by a lost write, or a neighbour's copy.
TEST_CASE("damage: a page that holds another page's bytes is noticed by its parent", "[S05]") {
  const SimDisk origin = filled_disk();
  const std::uint64_t pages = origin.file_size(kFile.view()) / kPageBytes;
  rt::Random random(test_seed(3));
  std::uint64_t noticed = 0;
  for (std::uint64_t page = 4; page < pages; ++page) {
    SimDisk disk = origin.clone();
    disk.copy_page(kFile.view(), 4 + random.below(pages - 4), page);
    const Answers answers = ask_disk(disk);
    CAPTURE(page, answers.first_wrong);
    REQUIRE(answers.wrong == 0);
    noticed += answers.open != Errc::ok || answers.refused != 0 ? 1 : 0;
  }
  CHECK(noticed > pages / 10);
}

}  // namespace
}  // namespace cambium::test
