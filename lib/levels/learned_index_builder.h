// SPDX-License-Identifier: MIT OR Apache-2.0
// Makes the learned index of an sstable from its leaves' bounds and checksums, or finds that it is not worth one.
//
//   add() for each leaf, in order; plan_some() until true; then, if worth(): write_directory_page() for each page, seal
//   them, write_root() with their checksums.
//
// Only eight bytes of each bound are kept. The prefix common to all bounds is known at the end only and shrinks on the
// way, but what it loses are bytes of the first bound, so the heads taken behind a longer prefix can be made good.
//
// Invariants
//   1. The same leaves give the same bytes.
//   2. Among the epsilons tried the smallest wins whose segments fit the root, so a search never touches a third kind
//   of
//      page.
//
// Units      12 bytes of memory per leaf. plan_some() does about 20 ns of work per leaf that it is allowed.
// Errors     std::bad_alloc from add() and plan_some().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <cambium/rt/bytes.h>

#include "format/learned_index_page.h"
#include "levels/segment_fitter.h"
#include "node/node_builder.h"

namespace cambium {

enum class LearnedFit : std::uint8_t {
  good,
  too_many_leaves,  // the root has no room for the checksums of so many directory pages
  shared_heads,     // too many bounds agree in prefix and eight bytes more
  irregular,        // too many segments, even with the largest epsilon
};

class LearnedIndexBuilder {
 public:
  // The next leaf. `bound` is what a parent branch would hold for it: above all keys of the leaf before, not above
  // the leaf's first; best the shortest such (node::shortest_separator). That of the first leaf is not used.
  void add(Bytes bound, std::uint32_t checksum);
  std::uint32_t leaf_count() const noexcept { return static_cast<std::uint32_t>(checksums_.size()); }

  // Works on the plan for about `leaves_max` leaves, at least one. True: done. Requires: leaf_count() > 0, and no add()
  // after.
  bool plan_some(std::size_t leaves_max);

  // Requires of all below: planned.
  LearnedFit fit() const noexcept { return fit_; }
  std::uint32_t directory_pages() const noexcept {
    return static_cast<std::uint32_t>(format::directory_pages(leaf_count()));
  }
  std::uint32_t pages() const noexcept { return directory_pages() + 1; }
  // Is it smaller than the branch pages that it would spare?
  bool worth(std::uint64_t branch_pages) const noexcept { return fit_ == LearnedFit::good && pages() < branch_pages; }
  std::size_t segment_count() const noexcept { return segments_.size(); }
  std::uint32_t epsilon() const noexcept { return epsilon_; }

  // Fill a page (kPageBytes), all but the checksum; `identity.level` is not used. Require: fit() == good; the root also
  // the checksums of the sealed directory pages, in order.
  void write_directory_page(std::uint32_t index, const node::NodeIdentity& identity, char* page) const noexcept;
  void write_root(std::span<const std::uint32_t> directory_checksums, const node::NodeIdentity& identity,
                  char* page) const noexcept;

 private:
  static constexpr std::uint32_t kEpsilonMin = 8;
  enum class Phase : std::uint8_t { adding, heads, fitting, done };

  // Leaves from `first_leaf` on whose heads were taken behind `prefix_bytes`.
  struct Epoch {
    std::uint32_t first_leaf;
    std::size_t prefix_bytes;
  };

  void begin_planning();
  void finish_head();
  void begin_fitting(std::uint32_t epsilon);
  void fit_head();
  void end(LearnedFit fit) noexcept;

  std::string first_bound_;  // of leaf 1
  std::size_t prefix_bytes_ = 0;
  std::size_t bound_bytes_max_ = 0;
  std::vector<Epoch> epochs_;
  std::vector<std::uint64_t> heads_;
  std::vector<std::uint32_t> checksums_;

  Phase phase_ = Phase::adding;
  LearnedFit fit_ = LearnedFit::good;
  std::size_t next_ = 0;       // leaf that the phase looks at next
  std::size_t epoch_ = 0;      // that of next_, while heads are made good
  std::uint32_t sharing_ = 0;  // leaves up to next_ that have its head
  std::uint32_t sharing_max_ = 0;
  std::uint32_t sharing_leaves_ = 0;  // leaves whose head is not theirs alone
  std::uint32_t epsilon_ = 0;
  std::size_t segments_max_ = 0;
  SegmentFitter fitter_{0};
  std::vector<Segment> segments_;
};

}  // namespace cambium
