// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/space_map.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <cambium/rt/check.h>

#include "base/random.h"
#include "lib/space/device_fixture.h"
#include "space/superblock_store.h"

namespace cambium {
namespace {

using test::DeviceFixture;

Task<Status> commit_space(SpaceMap& space, BlockDevice& device, WriteGroup& pages, format::Superblock& superblock,
                          unsigned slot, char* buffer) {
  co_await check(space.write_changes(Generation{superblock.page.generation}, superblock, pages));
  Status synced = co_await device.sync();
  if (!synced) co_return synced;
  co_await check(write_superblock(device, superblock, slot, buffer));
  synced = co_await device.sync();
  co_return synced;
}
Task<Status> write_bitmaps(SpaceMap& space, format::Superblock& superblock, WriteGroup& pages) {
  Status written = co_await space.write_changes(Generation{superblock.page.generation}, superblock, pages);
  co_return written;
}
Task<Status> grow_space(SpaceMap& space, std::uint64_t pages) {
  Status grown = co_await space.grow(pages);
  co_return grown;
}

struct Fixture : DeviceFixture {
  explicit Fixture(std::uint64_t pages, const SimOptions& options = {.seed = 1, .eager = true})
      : DeviceFixture(pages, options),
        buffer(memory(4)),
        staging(device(), memory(4), 4, kPageBytes),
        space(SpaceMap::format(device(), pages, test::kFileId)) {
    superblock.page.type = format::PageType::superblock;
    superblock.page.file_id = test::kFileId;
    superblock.magic = format::kMagic;
    superblock.version = format::kFormatVersion;
    superblock.page_bytes = kPageBytes;
    commit();
  }
  void commit() {
    superblock.page.generation = generation;
    run(commit_space(*space, device(), staging, superblock, slot, buffer)).value();
    space->committed(Generation{generation}, slot);
    slot = 1 - slot;
    ++generation;
  }
  Result<std::unique_ptr<SpaceMap>> load(std::size_t staging_pages = 4) {
    const Result<LoadedSuperblock> loaded = run(load_superblock(device(), buffer));
    if (!loaded) return loaded.error();
    LoadedSuperblock copy = Result<LoadedSuperblock>(loaded).value();
    Result<std::unique_ptr<SpaceMap>> map =
        run(SpaceMap::load(device(), copy.record, {buffer, staging_pages * kPageBytes}));
    if (map) (*map)->opened(Generation{copy.record.page.generation}, copy.slot, copy.other);
    return map;
  }
  char* buffer;
  WriteGroup staging;
  std::unique_ptr<SpaceMap> space;
  format::Superblock superblock{};
  std::uint64_t generation = 1;
  unsigned slot = 0;
};

// What each page of the file is, from the outside.
std::vector<char> states(const SpaceMap& space) {
  std::vector<char> result;
  for (std::uint64_t page = format::kSuperblockPages; page < space.file_pages(); ++page) {
    result.push_back(space.used(PageId{page}) ? 'u' : (space.held(PageId{page}) ? 'h' : '.'));
  }
  return result;
}
void require_counts(const SpaceMap& space) {
  const std::vector<char> all = states(space);
  REQUIRE(space.used_pages() ==
          format::kSuperblockPages + static_cast<std::uint64_t>(std::count(all.begin(), all.end(), 'u')));
  REQUIRE(space.held_pages() == static_cast<std::uint64_t>(std::count(all.begin(), all.end(), 'h')));
  REQUIRE(space.free_pages() == static_cast<std::uint64_t>(std::count(all.begin(), all.end(), '.')));
}
std::vector<char> without_held(std::vector<char> all) {
  std::replace(all.begin(), all.end(), 'h', '.');
  return all;
}

TEST_CASE(
    "space map: allocations, frees, commits, aborts, growth and snapshots equal a model, and load() brings it back") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 13)));
  CAPTURE(seed);
  rt::Random random(seed);
  Fixture f(seed % 3 == 0 ? 40'000 : random.between(40, 2000), {.seed = seed, .eager = random.chance(0.5)});
  struct Run {
    PageRun run;
    std::uint64_t birth;
  };
  std::vector<Run> committed;  // in use by the newest version
  std::vector<Run> current;    // in use by the one being built
  std::set<std::uint64_t> snapshots;
  std::uint64_t superblocks[2] = {0, f.generation - 1};
  std::map<std::uint64_t, std::vector<Run>> versions;  // what each live generation can see
  versions[f.generation - 1] = {};
  for (unsigned round = 0; round < 120; ++round) {
    CAPTURE(round);
    const std::vector<char> before = states(*f.space);
    for (std::uint64_t steps = random.below(30); steps != 0; --steps) {
      if (random.chance(0.55)) {
        const auto wanted = static_cast<std::uint32_t>(random.between(1, 40));
        const auto least = static_cast<std::uint32_t>(random.between(1, wanted));
        Result<PageRun> run = f.space->allocate(wanted, least);
        if (!run) {
          REQUIRE(run.code() == Errc::no_space);
          f.run(grow_space(*f.space, wanted)).value();
          run = f.space->allocate(wanted, wanted);
        }
        REQUIRE(run);
        REQUIRE((run->pages >= least && run->pages <= wanted));
        for (const auto& [generation, runs] : versions) {  // nobody else sees these pages
          for (const Run& other : runs) {
            REQUIRE((raw(other.run.first) + other.run.pages <= raw(run->first) ||
                     raw(run->first) + run->pages <= raw(other.run.first)));
          }
        }
        if (run->pages > 1 && random.chance(0.2)) {
          const auto tail = static_cast<std::uint32_t>(random.below(run->pages));
          if (tail != 0) {
            f.space->give_back({PageId{raw(run->first) + run->pages - tail}, tail});
            run->pages -= tail;
          }
        }
        current.push_back({*run, f.generation});
      } else if (!current.empty()) {
        const std::size_t i = random.below(current.size());
        f.space->free(current[i].run, Generation{current[i].birth}).value();
        current.erase(current.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    require_counts(*f.space);
    if (random.chance(0.25)) {
      f.space->aborted();
      current = committed;
      std::vector<char> after = states(*f.space);
      after.resize(before.size());  // it may have grown
      REQUIRE(after == before);
      ++f.generation;  // an aborted commit and its retry never share a generation
    } else {
      f.commit();
      committed = current;
      versions[f.generation - 1] = committed;
      superblocks[0] = superblocks[1];
      superblocks[1] = f.generation - 1;
      Result<std::unique_ptr<SpaceMap>> again = f.load();
      REQUIRE(again);
      REQUIRE(states(**again) == without_held(states(*f.space)));
      REQUIRE((*again)->used_pages() == f.space->used_pages());
      REQUIRE((*again)->file_pages() == f.space->file_pages());
      require_counts(**again);
    }
    if (random.chance(0.2) && snapshots.size() < 3 && !snapshots.contains(superblocks[1])) {
      f.space->retain(Generation{superblocks[1]});
      snapshots.insert(superblocks[1]);
    } else if (random.chance(0.2) && !snapshots.empty()) {
      const std::uint64_t old =
          *std::next(snapshots.begin(), static_cast<std::ptrdiff_t>(random.below(snapshots.size())));
      f.space->release(Generation{old});
      snapshots.erase(old);
    }
    // Live are both superblocks' generations, and those of snapshots.
    std::erase_if(versions, [&](const auto& version) {
      return version.first != superblocks[0] && version.first != superblocks[1] && !snapshots.contains(version.first);
    });
    require_counts(*f.space);
    // Exactly what some live generation or the one being built sees is not free.
    std::set<std::uint64_t> seen;
    for (const auto& [generation, runs] : versions) {
      for (const Run& run : runs) {
        for (std::uint32_t i = 0; i < run.run.pages; ++i) seen.insert(raw(run.run.first) + i);
      }
    }
    std::uint64_t own = 0;
    for (std::uint32_t group = 0; group < f.space->group_count(); ++group) own += format::group_own_pages(group);
    REQUIRE(f.space->file_pages() - f.space->free_pages() == format::kSuperblockPages + own + seen.size());
  }
}

TEST_CASE("space map: a damaged page of the space map is corruption, wherever the damage is") {
  rt::Random random(3);
  Fixture f(70'000);  // three groups
  for (unsigned i = 0; i < 50; ++i) CHECK(f.space->allocate(static_cast<std::uint32_t>(random.between(1, 900)), 1));
  f.commit();
  REQUIRE(f.load());
  REQUIRE(f.space->group_count() == 3);
  for (std::uint32_t group = 0; group < 3; ++group) {
    const std::uint64_t first = raw(format::group_first_page(group));
    for (std::uint64_t page = first; page < first + format::group_own_pages(group); ++page) {
      const std::string good = f.disk().peek(test::kFile, page * kPageBytes, kPageBytes);
      // A page in use is found damaged at any of its bytes; one of the two slots of each is not in use.
      unsigned refused = 0;
      for (unsigned i = 0; i < 40; ++i) {
        f.disk().flip_bit(test::kFile, page * kPageBytes + random.below(kPageBytes),
                          static_cast<unsigned>(random.below(8)));
        const Result<std::unique_ptr<SpaceMap>> loaded = f.load();
        if (!loaded) {
          ++refused;
          CHECK(loaded.code() == Errc::corruption);
          CHECK(std::string(loaded.error().message()).find(std::to_string(page)) != std::string::npos);
        }
        f.disk().poke(test::kFile, page * kPageBytes, good);
      }
      CAPTURE(group, page);
      CHECK((refused == 0 || refused == 40));
      // An older copy in its place, whole as it is, is not the one that the superblock means.
      if (refused != 0) {
        const std::uint64_t other = page == first || page == first + 2 ? page + 1 : page - 1;
        f.disk().copy_page(test::kFile, other, page);
        CHECK(f.load().code() == Errc::corruption);
        f.disk().poke(test::kFile, page * kPageBytes, good);
      }
    }
  }
  REQUIRE(f.load());
}

// The group's own pages must fit: growing to one page beyond a group's end once ended in an assertion.
TEST_CASE("space map: many groups are loaded several at a time, whatever the staging has room for") {
  Fixture f(10 * format::kGroupPages);
  rt::Random random(7);
  for (unsigned i = 0; i < 400; ++i) {
    const auto pages = static_cast<std::uint32_t>(random.between(1, 2000));
    const PageRun run = f.space->allocate(pages, pages).value();
    if (random.chance(0.3)) f.space->give_back(run);
  }
  f.commit();
  const std::vector<char> expected = states(*f.space);
  for (const std::size_t staging_pages : {1u, 3u, 4u}) {
    CAPTURE(staging_pages);
    CHECK(states(*f.load(staging_pages).value()) == expected);
  }
}

TEST_CASE("space map: the file may grow to any length around the end of a group") {
  for (std::uint64_t end = format::kGroupPages - 6; end <= format::kGroupPages + 6; ++end) {
    Fixture f(5000);
    // grow() adds eight pages of slack to what is asked.
    const std::uint64_t wanted = format::kSuperblockPages + end - 5000 - 8;
    f.run(grow_space(*f.space, wanted)).value();
    CAPTURE(end);
    CHECK(f.space->file_pages() >= format::kSuperblockPages + end);
    CHECK(f.device().size_bytes() >= f.space->file_pages() * kPageBytes);
    CHECK(f.space->allocate(20'000, 20'000));
    f.commit();
    const Result<std::unique_ptr<SpaceMap>> loaded = f.load();
    REQUIRE(loaded);
    require_counts(*f.space);
  }
}

// Growth needs no sync of its own: nothing refers to new pages before the commit that syncs them and the length
// together.
TEST_CASE(
    "space map: growth is allocated before a page of it is handed out, and durable with the commit that uses it") {
  Fixture f(64);
  f.run(grow_space(*f.space, 500)).value();
  CHECK(f.device().size_bytes() >= f.space->file_pages() * kPageBytes);
  REQUIRE(f.space->allocate(200, 200));
  f.commit();
  const SimDisk after = f.disk().crash_image(PowerCutPolicy::none, 1);
  CHECK(after.file_size(test::kFile) >= f.space->file_pages() * kPageBytes);
}

TEST_CASE("space map: a device without room answers no_space and stays as it was") {
  Fixture f(64);
  f.disk().set_capacity_bytes(80 * kPageBytes);
  const std::uint64_t pages = f.space->file_pages();
  CHECK(f.run(grow_space(*f.space, 500)).code() == Errc::no_space);
  CHECK(f.space->file_pages() == pages);
  CHECK(f.space->allocate(10, 10));
  f.commit();
  CHECK(f.load());
}

TEST_CASE("space map: the free tail goes, down to the minimum, and what is used or held stays") {
  Fixture f(40'000);
  const Result<PageRun> low = f.space->allocate(100, 100);
  REQUIRE(low);
  f.commit();
  CHECK(f.space->shrink_free_tail(1000) == 1000);
  f.commit();
  f.commit();
  CHECK(f.load());
  CHECK(f.space->group_count() == 1);
  const std::uint64_t end = raw(low.value().first) + 100;
  CHECK(f.space->shrink_free_tail(0) == end);
  require_counts(*f.space);
  f.space->free(low.value(), Generation{2}).value();
  f.commit();
  CHECK(f.space->shrink_free_tail(0) == end);  // held by the superblock before
  f.commit();
  f.commit();
  CHECK(f.space->shrink_free_tail(0) == format::kSuperblockPages + format::group_own_pages(0));
  f.commit();
  CHECK(f.load());
}

// Power fails while the commit after a shrink, an abort and a growth writes its bitmaps: the newest commit is whole.
TEST_CASE("space map: a group cut off and grown again does not write over the bitmap in use") {
  for (unsigned commits = 1; commits <= 2; ++commits) {
    Fixture f(40'000);
    for (unsigned i = 0; i < commits; ++i) {  // so that either slot of the second group's bitmap is the one in use
      const Result<PageRun> run = f.space->allocate(32'000, 32'000);
      REQUIRE(run);
      f.space->aborted();
      f.commit();
    }
    REQUIRE(f.load());
    CHECK(f.space->shrink_free_tail(1000) == 1000);
    f.space->aborted();
    f.run(grow_space(*f.space, 39'000)).value();
    format::Superblock next = f.superblock;
    next.page.generation = f.generation;
    f.run(write_bitmaps(*f.space, next, f.staging)).value();
    CAPTURE(commits);
    const Result<std::unique_ptr<SpaceMap>> loaded = f.load();  // the superblock was not written
    CHECK(loaded.code() == Errc::ok);
  }
}

// Requests of nearly the same length share a search position: the longer ones pass by runs that would do for the
// shorter.
TEST_CASE("space map: no_space is said only when no run anywhere is long enough") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  CAPTURE(seed);
  rt::Random random(seed);
  Fixture f(3000);
  std::vector<PageRun> runs;
  for (;;) {
    Result<PageRun> run = f.space->allocate(static_cast<std::uint32_t>(random.between(1, 40)), 1);
    if (!run) break;
    runs.push_back(run.value());
  }
  for (const PageRun& run : runs) {
    if (random.chance(0.3)) f.space->free(run, Generation{2}).value();
  }
  f.commit();
  f.commit();
  for (unsigned i = 0; i < 300; ++i) {
    const auto least = static_cast<std::uint32_t>(random.between(1, 40));
    const auto wanted = static_cast<std::uint32_t>(random.between(least, 50));
    std::uint32_t longest = 0;
    std::uint32_t length = 0;
    for (const char state : states(*f.space)) {
      length = state == '.' ? length + 1 : 0;
      longest = std::max(longest, length);
    }
    CAPTURE(i, wanted, least, longest);
    Result<PageRun> run = f.space->allocate(wanted, least);
    REQUIRE(run.has_value() == (longest >= least));
    if (run && run->pages > 1 && random.chance(0.3)) f.space->give_back({PageId{raw(run->first) + 1}, run->pages - 1});
  }
  require_counts(*f.space);
}

TEST_CASE("space map: with a ceiling nothing is allocated at or beyond it, and the file does not grow") {
  Fixture f(2000);
  f.space->set_ceiling(100);
  std::uint64_t pages = 0;
  for (;;) {
    const Result<PageRun> run = f.space->allocate(16, 1);
    if (!run) break;
    pages += run.value().pages;
    REQUIRE(raw(run.value().first) + run.value().pages <= 100);
  }
  CHECK(pages == 100 - format::kSuperblockPages - format::group_own_pages(0));
  CHECK(f.run(grow_space(*f.space, 16)).code() == Errc::no_space);
  CHECK(f.space->file_pages() == 2000);
  f.space->set_ceiling(kFilePagesMax);
  CHECK(f.space->allocate(16, 16));
}

TEST_CASE("space map: pages that only the older superblock still sees are counted as such") {
  Fixture f(2000);
  const Result<PageRun> run = f.space->allocate(30, 30);
  REQUIRE(run);
  f.commit();
  f.commit();
  CHECK(f.space->held_by_fallback() == 0);
  f.space->free(run.value(), Generation{2}).value();
  f.commit();
  CHECK(f.space->held_pages() == 30);
  CHECK(f.space->held_by_fallback() == 30);
  f.commit();
  CHECK(f.space->held_pages() == 0);
}

TEST_CASE("space map: a commit writes only the groups that changed") {
  Fixture f(100'000);
  const std::uint64_t before = f.staging.writes();
  f.commit();
  CHECK(f.staging.writes() == before);
  CHECK(f.space->allocate(5, 5));
  f.commit();
  CHECK(f.staging.writes() == before + 2);  // one bitmap, one table
}

}  // namespace
}  // namespace cambium
