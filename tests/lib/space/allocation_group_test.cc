// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/allocation_group.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/random.h"

namespace cambium {
namespace {

using format::kGroupPages;
using Run = AllocationGroup::Run;

enum class Page : unsigned char { free, used, held };

// find(), bit by bit.
Run find_slowly(const std::vector<Page>& pages, std::uint32_t from, std::uint32_t end, std::uint32_t wanted,
                std::uint32_t least) {
  for (std::uint32_t page = from; page < end;) {
    Run run{page, 0};
    while (page < end && pages[page] == Page::free) ++page, ++run.pages;
    if (run.pages >= least) return {run.first, std::min(run.pages, wanted)};
    if (page < end) ++page;
  }
  return {};
}

// Random runs of pages in one state.
Run random_run(const std::vector<Page>& pages, rt::Random& random, Page state) {
  for (unsigned tries = 0; tries < 50; ++tries) {
    auto first = static_cast<std::uint32_t>(random.below(pages.size()));
    if (pages[first] != state) continue;
    Run run{first, 0};
    const auto most = random.chance(0.2) ? 1000 : random.between(1, 70);
    while (run.first + run.pages < pages.size() && run.pages < most && pages[run.first + run.pages] == state)
      ++run.pages;
    return run;
  }
  return {};
}

TEST_CASE("allocation group: every operation equals a model's, page by page") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 7)));
  CAPTURE(seed);
  rt::Random random(seed);
  const auto limit = static_cast<std::uint32_t>(seed == 1 ? kGroupPages : random.between(100, 5000));
  constexpr std::uint32_t kOwn = 4;
  AllocationGroup group(limit, kOwn);
  std::vector<Page> pages(limit, Page::free);
  std::fill_n(pages.begin(), kOwn, Page::used);
  const auto paint = [&](Run run, Page state) { std::fill_n(pages.begin() + run.first, run.pages, state); };
  for (unsigned round = 0; round < 4000; ++round) {
    const std::uint64_t kind = random.below(7);
    if (kind <= 1) {
      const auto wanted = static_cast<std::uint32_t>(random.between(1, random.chance(0.1) ? 2000 : 80));
      const auto least = static_cast<std::uint32_t>(random.between(1, wanted));
      const auto now = static_cast<std::uint32_t>(pages.size());
      const auto from = static_cast<std::uint32_t>(random.chance(0.5) ? 0 : random.below(now));
      const auto end = static_cast<std::uint32_t>(random.chance(0.7) ? now : random.between(from, now));
      const Run run = group.find(from, end, wanted, least);
      const Run expected = find_slowly(pages, from, end, wanted, least);
      REQUIRE(run.pages == expected.pages);
      if (run.pages == 0) continue;
      REQUIRE(run.first == expected.first);
      group.use(run);
      paint(run, Page::used);
    } else if (kind == 2) {
      const Run run = random_run(pages, random, Page::used);
      group.hold(run);
      paint(run, Page::held);
    } else if (kind == 3) {
      const Run run = random_run(pages, random, Page::held);
      group.release(run);
      paint(run, Page::free);
    } else if (kind == 4) {
      const Run run = random_run(pages, random, Page::used);
      group.unuse(run);
      paint(run, Page::free);
    } else if (kind == 5) {
      const Run run = random_run(pages, random, Page::held);
      group.unhold(run);
      paint(run, Page::used);
    } else {
      const std::uint32_t tail = group.free_tail();
      std::uint32_t expected = 0;
      while (expected < pages.size() && pages[pages.size() - 1 - expected] == Page::free) ++expected;
      REQUIRE(tail == expected);
      const auto now = static_cast<std::uint32_t>(
          random.chance(0.5) ? pages.size() - random.below(tail + 1)
                             : std::min<std::size_t>(pages.size() + random.below(200), kGroupPages));
      if (now < 100) continue;
      group.set_limit(now);
      pages.resize(now, Page::free);
    }
    std::uint32_t counts[3] = {};
    for (std::uint32_t page = 0; page < pages.size(); ++page) {
      ++counts[static_cast<unsigned>(pages[page])];
      if (round % 64 != 0) continue;
      REQUIRE(group.used(page) == (pages[page] == Page::used));
      REQUIRE(group.held(page) == (pages[page] == Page::held));
    }
    REQUIRE(group.limit() == pages.size());
    REQUIRE(group.free_pages() == counts[0]);
    REQUIRE(group.used_pages() == counts[1]);
    REQUIRE(group.held_pages() == counts[2]);
  }
}

TEST_CASE("allocation group: the bitmap page brings back what is used, and held pages as free") {
  rt::Random random(5);
  AllocationGroup group(20'000, 2);
  std::vector<Run> runs;
  for (unsigned i = 0; i < 300; ++i) {
    const Run run = group.find(static_cast<std::uint32_t>(random.below(20'000)), 20'000,
                               static_cast<std::uint32_t>(random.between(1, 100)), 1);
    if (run.pages == 0) continue;
    group.use(run);
    runs.push_back(run);
  }
  for (std::size_t i = 0; i < runs.size(); i += 3) group.hold(runs[i]);
  const auto page = std::make_unique<format::GroupBitmapPage>();
  std::memset(page.get(), 0, sizeof *page);
  group.write_to(*page);
  const AllocationGroup again(20'000, *page);
  CHECK(!again.dirty);
  CHECK(again.used_pages() == group.used_pages());
  CHECK(again.held_pages() == 0);
  for (std::uint32_t at = 0; at < 20'000; ++at) REQUIRE(again.used(at) == group.used(at));
}

TEST_CASE("allocation group: only what changes the bitmap on disk makes it dirty") {
  AllocationGroup group(1000, 2);
  CHECK(group.dirty);
  const auto clean = [&] { group.dirty = false; };
  clean();
  group.use({10, 5});
  CHECK(group.dirty);
  clean();
  group.hold({10, 5});
  CHECK(group.dirty);
  clean();
  group.release({10, 5});  // on disk it has been free since the hold
  CHECK(!group.dirty);
}

}  // namespace
}  // namespace cambium
