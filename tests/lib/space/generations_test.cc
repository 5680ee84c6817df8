// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/generations.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/random.h"

namespace cambium {
namespace {

struct Held {
  std::uint64_t page;
  std::uint64_t birth;
  std::uint64_t freed;
};

// A run is kept exactly while a live generation lies in [birth, freed).
bool visible(const Held& run, const std::map<std::uint64_t, unsigned>& live) {
  const auto it = live.lower_bound(run.birth);
  return it != live.end() && it->first < run.freed;
}

TEST_CASE("generations: a run comes free with the last live generation that sees it, and not before") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 21)));
  CAPTURE(seed);
  rt::Random random(seed);
  Generations generations;
  std::map<std::uint64_t, unsigned> live;  // generation -> references
  std::vector<Held> held;
  std::uint64_t newest = 1;
  std::uint64_t page = 10;
  generations.retain(Generation{newest});
  live[newest] = 1;
  for (unsigned round = 0; round < 3000; ++round) {
    const std::uint64_t kind = random.below(4);
    if (kind == 0) {  // a commit
      newest += random.between(1, 3);
      generations.retain(Generation{newest});
      ++live[newest];
    } else if (kind == 1) {  // the commit being built frees something
      const std::uint64_t birth = random.chance(0.1) ? newest + 1 : random.between(1, newest);
      const bool kept = generations.hold({PageId{page}, 3}, Generation{birth});
      const Held run{page, birth, newest + 1};
      ++page;
      // Filed when the newest generation sees it; every live one before that may see it too.
      REQUIRE(kept == (birth <= newest));
      if (kept) held.push_back(run);
    } else if (kind == 2) {  // one more reader of something live
      auto it = live.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(random.below(live.size())));
      generations.retain(Generation{it->first});
      ++it->second;
    } else {
      auto it = live.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(random.below(live.size())));
      if (it->first == newest && it->second == 1) continue;  // the superblock's own
      std::vector<PageRun> released;
      const std::uint64_t generation = it->first;
      std::uint64_t pinned = 0;
      auto without = live;
      without.erase(generation);
      for (const Held& run : held) pinned += visible(run, without) ? 0u : 3u;
      REQUIRE(generations.pinned_pages(Generation{generation}) == pinned);
      generations.release(Generation{generation}, released);
      if (--it->second == 0) live.erase(it);
      std::set<std::uint64_t> expected;
      std::erase_if(held, [&](const Held& run) {
        if (visible(run, live)) return false;
        expected.insert(run.page);
        return true;
      });
      REQUIRE(released.size() == expected.size());
      for (const PageRun& run : released) REQUIRE(expected.contains(raw(run.first)));
    }
    REQUIRE(generations.held_pages() == held.size() * 3);
    REQUIRE(generations.count() == live.size());
    for (const auto& [generation, references] : live) REQUIRE(generations.live(Generation{generation}));
  }
}

TEST_CASE("generations: space between two snapshots comes back while both live") {
  Generations generations;
  std::vector<PageRun> released;
  generations.retain(Generation{1});
  generations.retain(Generation{2});
  // Born by commit 2, freed by commit 3, seen by 2 alone.
  CHECK(generations.hold({PageId{50}, 1}, Generation{2}));
  generations.retain(Generation{3});
  CHECK(generations.pinned_pages(Generation{2}) == 1);
  generations.release(Generation{2}, released);
  REQUIRE(released.size() == 1);
  CHECK(raw(released[0].first) == 50);
}

TEST_CASE("generations: unhold takes back the newest holds") {
  Generations generations;
  generations.retain(Generation{1});
  CHECK(generations.hold({PageId{50}, 2}, Generation{1}));
  CHECK(generations.hold({PageId{60}, 3}, Generation{1}));
  CHECK(generations.hold({PageId{70}, 4}, Generation{1}));
  generations.unhold(2);
  CHECK(generations.held_pages() == 2);
  std::vector<PageRun> released;
  generations.release(Generation{1}, released);
  REQUIRE(released.size() == 1);
  CHECK(raw(released[0].first) == 50);
}

}  // namespace
}  // namespace cambium
