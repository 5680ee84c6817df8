// SPDX-License-Identifier: MIT OR Apache-2.0
// Which generations somebody can still see, and which freed pages wait for them: the generation-gated freelist. Pure.
//
// A run of pages born in generation b and freed in g can be seen by a live generation s with b <= s < g, and by no
// other. It is filed under the largest such s; when s dies it moves to the next one below that still is >= b, or is
// released. So space between two snapshots comes back while both live, and no pass over all held pages is needed.
//
// Live are: the generations of both superblock slots (the newest commit, and the one before it should the newest
// superblock rot), and every generation a reader, scan or snapshot looks at.
//
// Invariants
//   1. Every held run is filed under a live generation in [birth, freed).
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include <cambium/ids.h>

namespace cambium {

// Contiguous pages.
struct PageRun {
  PageId first{};
  std::uint32_t pages = 0;
};

class Generations {
 public:
  struct HeldRun {
    PageRun run;
    Generation birth{};
  };

  void retain(Generation generation) { ++live_[generation].references; }
  // Drops one reference; when it was the last, appends the runs that nobody can see any more to `released`.
  void release(Generation generation, std::vector<PageRun>& released);

  bool live(Generation generation) const noexcept { return live_.contains(generation); }
  // Is a live generation at or after this one? If not, only a commit that is still being built can have it.
  bool visible_since(Generation birth) const noexcept {
    return !live_.empty() && std::prev(live_.end())->first >= birth;
  }
  // Files a run freed by the commit that follows every live generation. False: nobody can see it.
  bool hold(PageRun run, Generation birth);
  // Takes back the newest `count` runs filed by hold() under the newest generation (an aborted commit).
  void unhold(std::size_t count);

  std::uint64_t held_pages() const noexcept { return held_pages_; }
  std::size_t count() const noexcept { return live_.size(); }
  // Pages that would be released if this generation alone died.
  std::uint64_t pinned_pages(Generation generation) const noexcept;

 private:
  struct Live {
    std::uint64_t references = 0;
    std::vector<HeldRun> held;
  };
  std::map<Generation, Live> live_;
  std::uint64_t held_pages_ = 0;
};

}  // namespace cambium
