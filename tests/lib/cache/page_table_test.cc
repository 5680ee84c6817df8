// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_table.h"

#include <catch2/catch.hpp>

#include <iterator>
#include <unordered_map>
#include <vector>

#include "base/random.h"

namespace cambium {
namespace {

TEST_CASE("page table: inserts, erases and finds equal a map's, at the highest load it promises") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 7)));
  CAPTURE(seed);
  rt::Random random(seed);
  const std::size_t frames = random.between(1, 200);
  PageTable table(frames);
  std::unordered_map<std::uint32_t, FrameIndex> model;
  std::vector<std::uint32_t> pages;
  const std::uint64_t spread = random.chance(0.5) ? frames * 3 : 1u << 30;
  for (unsigned round = 0; round < 20'000; ++round) {
    const auto page = static_cast<std::uint32_t>(1 + random.below(spread));
    const auto it = model.find(page);
    REQUIRE(table.find(page) == (it == model.end() ? kNoFrame : it->second));
    if (it == model.end() && model.size() < frames) {
      const auto frame = static_cast<FrameIndex>(random.below(frames));
      table.insert(page, frame);
      model[page] = frame;
      pages.push_back(page);
    } else if (!pages.empty() && random.chance(0.5)) {
      const std::size_t i = random.below(pages.size());
      table.erase(pages[i]);
      model.erase(pages[i]);
      pages[i] = pages.back();
      pages.pop_back();
    }
    REQUIRE(table.size() == model.size());
    if (round % 100 == 0) {
      for (const std::uint32_t known : pages) REQUIRE(table.find(known) == model[known]);
    }
  }
}

}  // namespace
}  // namespace cambium
