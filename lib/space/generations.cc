// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/generations.h"

#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/planted_bug.h"

namespace cambium {

bool Generations::hold(PageRun run, Generation birth) {
  CAMBIUM_ASSERT(!live_.empty());
  auto newest = std::prev(live_.end());
  if (newest->first < birth) return false;  // born and freed within the same commit
  newest->second.held.push_back({run, birth});
  held_pages_ += run.pages;
  return true;
}

void Generations::unhold(std::size_t count) {
  auto& held = std::prev(live_.end())->second.held;
  CAMBIUM_ASSERT(held.size() >= count);
  for (; count != 0; --count) {
    held_pages_ -= held.back().run.pages;
    held.pop_back();
  }
}

void Generations::release(Generation generation, std::vector<PageRun>& released) {
  auto it = live_.find(generation);
  CAMBIUM_ASSERT(it != live_.end() && it->second.references > 0);
  if (--it->second.references != 0) return;
  const std::vector<HeldRun> held = std::move(it->second.held);
  it = live_.erase(it);
  for (const HeldRun& run : held) {
    const bool seen = it != live_.begin() && std::prev(it)->first >= run.birth;
    if (seen && !CAMBIUM_PLANTED(page_freed_under_snapshot)) {
      std::prev(it)->second.held.push_back(run);
    } else {
      held_pages_ -= run.run.pages;
      released.push_back(run.run);
    }
  }
}

std::uint64_t Generations::pinned_pages(Generation generation) const noexcept {
  const auto it = live_.find(generation);
  if (it == live_.end()) return 0;
  const bool has_older = it != live_.begin();
  std::uint64_t pages = 0;
  for (const HeldRun& run : it->second.held) {
    if (!has_older || std::prev(it)->first < run.birth) pages += run.run.pages;
  }
  return pages;
}

}  // namespace cambium
