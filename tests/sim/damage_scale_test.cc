// SPDX-License-Identifier: MIT OR Apache-2.0
// Damage at rest, at scale: 393,216 flipped bits (every bit of a page of each type, in a
// tree and in a level store), 10,000 lost or misdirected writes,
// and pages that are swapped, zeroed, cut off or older than they should be. No wrong answer, and what is refused names
// file, page and reason.
//
// CAMBIUM_DAMAGE sets how many bits are flipped; the other counts follow in proportion.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "format/page_header.h"
#include "format/space_page.h"
#include "sim/damage_probe.h"
#include "support/figures.h"
#include "support/kinds.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr int kKeys = 60;  // in a file this small an answer costs little; it has a page of every type all the same
constexpr std::uint64_t kPageBits = kPageBytes * 8;
constexpr std::uint64_t kBits = 262'144;
constexpr std::uint64_t kLostWrites = 10'000;
constexpr std::uint64_t kSuperblockPages = format::kSuperblockPages;

std::uint64_t bits_wanted() { return number_from_environment("CAMBIUM_DAMAGE", kBits); }
std::uint64_t in_proportion(std::uint64_t count) { return std::max<std::uint64_t>(count * bits_wanted() / kBits, 20); }

// Of a level store one flush, so that its sstable has a branch.
SimDisk small_file(TableKind kind) { return filled_disk(kKeys, kind == TableKind::tree ? 20 : kKeys, kind); }
std::uint64_t pages_of(const SimDisk& disk) { return disk.file_size(kDamagedFile.view()) / kPageBytes; }
std::string page_at(const SimDisk& disk, std::uint64_t page) {
  return disk.peek(kDamagedFile.view(), page * kPageBytes, kPageBytes);
}

// Every refusal says which file, where and why.
bool says_where(const Answers& answers, const std::string& where) {
  return std::all_of(answers.refusals.begin(), answers.refusals.end(), [&](const std::string& message) {
    return message.find(kDamagedFile.view()) != std::string::npos && message.find(where) != std::string::npos;
  });
}

void no_wrong_answer(const Answers& answers) {
  INFO(answers.first_wrong << (answers.refusals.empty() ? "" : answers.refusals.front()));
  REQUIRE(answers.wrong == 0);
  REQUIRE((answers.open == Errc::ok || answers.open == Errc::corruption));
  if (answers.open != Errc::ok) REQUIRE_FALSE(answers.changed);
}

// What every damaged file is asked for. 1 when the damage was noticed, 0 when it was of no account.
std::uint64_t judged(SimDisk& disk, const Expectation& expectation, std::uint64_t seed) {
  const Answers answers = ask_disk(disk, expectation);
  INFO("replay: " << replay_command("test_sim", seed));
  no_wrong_answer(answers);
  REQUIRE(says_where(answers, "page "));
  return answers.unharmed(expectation) ? 0u : 1u;
}

// ---- every bit ----------------------------------------------------------------------------------------------------

struct Sample {
  std::string kind;
  std::uint64_t page;
  std::string where;  // what a refusal has to say
  bool shared;        // pages of this kind are the same whatever kind the tables are of
};

// One page of each kind that is in use: it is noticed when it is zeroed.
std::vector<Sample> pages_of_every_kind(const SimDisk& origin, const Expectation& expectation) {
  std::vector<Sample> samples;
  for (std::uint64_t page = 0; page < pages_of(origin); ++page) {
    SimDisk disk = origin.clone();
    disk.zero(kDamagedFile.view(), page * kPageBytes, kPageBytes);
    const Answers answers = ask_disk(disk, expectation);
    CAPTURE(page);
    no_wrong_answer(answers);
    if (answers.unharmed(expectation)) continue;
    const std::string bytes = page_at(origin, page);
    const format::PageHeader& header = format::header_of(bytes.data());
    const bool has_header = header.checksum == format::page_checksum(bytes.data());
    std::string kind = "value";
    std::string where = answers.refusals.empty() ? "" : rt::str("page ", page, " ");
    if (header.type == format::PageType::superblock) {
      kind = "superblock";
    } else if (has_header) {
      const char* const needed = answers.open != Errc::ok ? ", needed to open" : ", needed by every key";
      kind = rt::str("type ", static_cast<int>(header.type), answers.right == 0 ? needed : "");
    } else {
      REQUIRE(!answers.refusals.empty());
      // A value has no header: what is named is its first page.
      const std::size_t named = answers.refusals.front().find("page ");
      where = answers.refusals.front().substr(named, answers.refusals.front().find(' ', named + 5) - named + 1);
      kind = where == rt::str("page ", page, " ") ? "first page of a value" : "last page of a value";
    }
    const bool known = std::any_of(samples.begin(), samples.end(), [&](const Sample& s) { return s.kind == kind; });
    const bool of_table = has_header && answers.open == Errc::ok && header.type != format::PageType::superblock;
    if (!known) samples.push_back({kind, page, where, !of_table});
  }
  return samples;
}

TEST_CASE("damage: every bit of a page of each kind, flipped alone, is a right answer or corruption that names it",
          "[S05][F12]") {
  CAMBIUM_BOTH_KINDS(kind);
  const SimDisk origin = small_file(kind);
  const Expectation expectation(kKeys, kind);
  std::vector<Sample> samples = pages_of_every_kind(origin, expectation);
  // Superblock, table, bitmap, catalog leaf, leaf, branch, first and last page of a value; of a level store also the
  // manifest and a page of a filter.
  REQUIRE(samples.size() == (kind == TableKind::tree ? 8 : 10));
  if (kind == TableKind::levels) {
    std::erase_if(samples, [](const Sample& sample) { return sample.shared; });
    REQUIRE(samples.size() == 4);  // manifest, leaf and branch of an sstable, filter
  }
  const std::uint64_t seed = test_seed(1);
  rt::Random random(seed);
  const std::uint64_t bits = bits_wanted() * samples.size() / 8;
  const std::uint64_t bits_all = samples.size() * kPageBits;
  std::uint64_t refused = 0;
  std::uint64_t mended = 0;
  std::uint64_t harmless = 0;
  for (std::uint64_t i = 0; i < bits; ++i) {
    const std::uint64_t bit = bits >= bits_all ? i % bits_all : random.below(bits_all);
    const Sample& sample = samples[bit / kPageBits];
    const std::uint64_t offset = sample.page * kPageBytes + bit % kPageBits / 8;
    SimDisk disk = origin.clone();
    disk.flip_bit(kDamagedFile.view(), offset, static_cast<unsigned>(bit % 8));
    const Answers answers = ask_disk(disk, expectation);
    if (answers.wrong == 0 && !answers.refusals.empty() && says_where(answers, sample.where) &&
        (answers.open == Errc::ok || (answers.open == Errc::corruption && !answers.changed))) {
      ++refused;
      continue;
    }
    INFO(sample.kind << ", page " << sample.page << ", offset " << offset << ", bit " << bit % 8);
    INFO("replay: " << replay_command("test_sim", seed));
    no_wrong_answer(answers);
    INFO((answers.refusals.empty() ? "nothing was refused" : answers.refusals.front()));
    REQUIRE(answers.refusals.empty());
    if (answers.superblock_damaged) {
      ++mended;
    } else {
      // Only the rest of a value's last page belongs to nobody.
      REQUIRE((answers.unharmed(expectation) && sample.kind == "last page of a value"));
      ++harmless;
    }
  }
  std::printf(
      "damage: %s: %llu bits flipped in pages of %zu kinds: %llu refused, %llu survived by the other superblock "
      "copy, %llu in the unused end of a page\n",
      name_of(kind), static_cast<unsigned long long>(bits), samples.size(), static_cast<unsigned long long>(refused),
      static_cast<unsigned long long>(mended), static_cast<unsigned long long>(harmless));
  report_figure("bit flips", bits);
  CHECK(refused > bits * 6 / 10);
  if (kind == TableKind::tree) CHECK(mended > bits / 10);
}

// ---- lost and misdirected writes ----------------------------------------------------------------------------------

// Two rounds of writes with a flush each. An error ends them: a page that was lost may be met at once.
Task<void> write_two_rounds(Core& core, std::uint64_t seed, Expectation& expectation) {
  Result<Partition> opened = co_await Partition::open(core, kDamageOptions);
  if (!opened) co_return;
  Partition db = std::move(*opened);
  const Result<Table> table = co_await table_of(db, expectation.kind(), TableMode::open);
  if (!table) co_return;
  rt::Random random(seed);
  for (int round = 1; round <= 2; ++round) {
    Status done;
    for (int i = 0; i < kKeys && done; ++i) {
      if (random.below(3) != 0) continue;
      expectation.written(i, round);
      done = co_await db.put(table.value(), key_of(i), value_of(i, round));
    }
    if (done) done = co_await db.flush();
    if (!done) break;
    expectation.acknowledged();
  }
  const Status closed = co_await db.close();
  if (closed) expectation.acknowledged();
}

std::uint64_t run_two_rounds(SimDisk& disk, std::uint64_t seed, Expectation& expectation) {
  std::uint64_t writes = 0;
  disk.on_step(
      [](void* count, const SimStep& step) {
        const bool counts = step.kind == rt::IoKind::write && step.offset >= kSuperblockPages * kPageBytes;
        *static_cast<std::uint64_t*>(count) += counts ? 1 : 0;
      },
      &writes);
  {
    const std::unique_ptr<Core> core = disk.make_core({.seed = seed, .eager = true});
    core->run(write_two_rounds(*core, seed, expectation));
    core->drain();
  }
  disk.on_step(nullptr, nullptr);
  return writes;
}

// Writes of superblocks are left out: where both copies of the newest are lost, the file is the version before, and
// nothing in it can tell.
TEST_CASE("damage: a write that was lost or went elsewhere is a right answer or corruption", "[S05]") {
  CAMBIUM_BOTH_KINDS(kind);
  const SimDisk origin = small_file(kind);
  const std::uint64_t runs = in_proportion(kind == TableKind::tree ? kLostWrites : kLostWrites / 2);
  const std::uint64_t seed = test_seed(5);
  std::uint64_t struck = 0;
  std::uint64_t noticed = 0;
  for (std::uint64_t run = 0; run < runs; ++run) {
    rt::Random random(seed * 1'000'003 + run);
    const std::uint64_t run_seed = random.below(50);  // some workloads, each with many different faults
    SimDisk rehearsal = origin.clone();
    Expectation ignored(kKeys, kind);
    const std::uint64_t writes = run_two_rounds(rehearsal, run_seed, ignored);
    SimDisk disk = origin.clone();
    SimFault fault{.action = random.below(2) == 0 ? FaultAction::drop : FaultAction::misdirect,
                   .kind = rt::IoKind::write,
                   .operation = random.below(writes),
                   .region_offset = kSuperblockPages * kPageBytes};
    fault.argument = (kSuperblockPages + random.below(pages_of(origin) - kSuperblockPages)) * kPageBytes;
    disk.plan(fault);
    Expectation expectation(kKeys, kind);
    run_two_rounds(disk, run_seed, expectation);
    struck += disk.faults_struck();
    SimDisk after = disk.clone();
    INFO("run " << run << ", write " << fault.operation << " of " << writes
                << (fault.action == FaultAction::drop ? " was lost" : " went to page ") << fault.argument / kPageBytes);
    noticed += judged(after, expectation, seed);
  }
  std::printf("damage: %s: %llu writes lost or misdirected, %llu of them noticed, the others were of no account\n",
              name_of(kind), static_cast<unsigned long long>(struck), static_cast<unsigned long long>(noticed));
  report_figure("lost or misdirected writes", struck);
  CHECK(struck == runs);
  CHECK(noticed > runs / 4);
}

// ---- whole pages --------------------------------------------------------------------------------------------------

// The same file later: every page of it that is another one now.
struct TwoVersions {
  SimDisk before;
  SimDisk after;
  Expectation expectation;
  std::vector<std::uint64_t> changed;  // superblocks excepted: both copies of an older one are an older version

  explicit TwoVersions(TableKind kind) : before(small_file(kind)), after(before.clone()), expectation(kKeys, kind) {
    run_two_rounds(after, 3, expectation);
    after = after.clone();
    for (std::uint64_t page = kSuperblockPages; page < std::min(pages_of(before), pages_of(after)); ++page) {
      if (page_at(before, page) != page_at(after, page)) changed.push_back(page);
    }
  }
};

TEST_CASE("damage: pages that return to an older content are a right answer or corruption", "[S05]") {
  CAMBIUM_BOTH_KINDS(kind);
  const TwoVersions versions(kind);
  REQUIRE(versions.changed.size() > 5);
  const std::uint64_t seed = test_seed(6);
  rt::Random random(seed);
  std::uint64_t noticed = 0;
  const std::uint64_t runs = in_proportion(2000);
  for (std::uint64_t run = 0; run < runs; ++run) {
    // Each page alone, then several at once: parent and child may both be old.
    std::vector<std::uint64_t> pages = {versions.changed[run % versions.changed.size()]};
    while (run >= versions.changed.size() && random.below(3) != 0) {
      pages.push_back(versions.changed[random.below(versions.changed.size())]);
    }
    SimDisk disk = versions.after.clone();
    for (const std::uint64_t page : pages) {
      disk.poke(kDamagedFile.view(), page * kPageBytes, page_at(versions.before, page));
    }
    INFO("page " << pages.front() << " and " << pages.size() - 1 << " more");
    noticed += judged(disk, versions.expectation, seed);
  }
  CHECK(noticed > runs / 4);
}

TEST_CASE("damage: pages that change places, are copied or zeroed are a right answer or corruption", "[S05]") {
  CAMBIUM_BOTH_KINDS(kind);
  const TwoVersions versions(kind);
  const SimDisk& origin = versions.after;
  const std::uint64_t pages = pages_of(origin);
  const std::uint64_t seed = test_seed(7);
  rt::Random random(seed);
  std::uint64_t noticed = 0;
  const std::uint64_t runs = in_proportion(4000);
  for (std::uint64_t run = 0; run < runs; ++run) {
    const std::uint64_t one = run % pages;
    const std::uint64_t other = random.below(pages);
    const std::uint64_t how = run / pages % 3;
    // Both copies of a superblock in each other's place are both lost: that is the version before, rightly.
    if (how == 2 && one < kSuperblockPages && other < kSuperblockPages) continue;
    SimDisk disk = origin.clone();
    if (how == 0) disk.zero(kDamagedFile.view(), one * kPageBytes, kPageBytes);
    if (how != 0) disk.copy_page(kDamagedFile.view(), other, one);
    if (how == 2) disk.poke(kDamagedFile.view(), other * kPageBytes, page_at(origin, one));
    constexpr const char* kWhat[] = {" is zeroed", " holds a copy of page ", " changed places with page "};
    INFO("page " << one << kWhat[how] << other);
    noticed += judged(disk, versions.expectation, seed);
  }
  CHECK(noticed > runs / 10);
}

TEST_CASE("damage: a file that was cut short anywhere is refused, or whole, and not changed", "[S05][S17]") {
  CAMBIUM_BOTH_KINDS(kind);
  const SimDisk origin = small_file(kind);
  const Expectation expectation(kKeys, kind);
  const std::uint64_t bytes = pages_of(origin) * kPageBytes;
  const std::uint64_t seed = test_seed(8);
  rt::Random random(seed);
  const std::uint64_t runs = in_proportion(1000);
  for (std::uint64_t run = 0; run < runs; ++run) {
    const std::uint64_t left = run < pages_of(origin) ? run * kPageBytes : random.below(bytes);
    SimDisk disk = origin.clone();
    disk.truncate(kDamagedFile.view(), left);
    const Answers answers = ask_disk(disk, expectation);
    INFO("cut to " << left << " of " << bytes << " bytes: " << answers.open_message);
    INFO("replay: " << replay_command("test_sim", seed));
    const bool foreign = left < kSuperblockPages * kPageBytes;
    REQUIRE(answers.open == (foreign ? Errc::unsupported : Errc::corruption));
    REQUIRE(answers.open_message.find(kDamagedFile.view()) != std::string::npos);
    REQUIRE_FALSE(answers.changed);
    REQUIRE(disk.file_size(kDamagedFile.view()) == left);
  }
}

}  // namespace
}  // namespace cambium::test
