// SPDX-License-Identifier: MIT OR Apache-2.0
// The learned index of an sstable: which leaf may hold a key, from a straight line instead of a path of branches.
//
// Sits on format/learned_index_page.h; made by learned_index_builder.h. The root predicts where in the directory the
// key's leaf stands, within epsilon; the directory page there holds the heads of the leaves' bounds, which settle it,
// and the leaves' checksums, so that a leaf found this way is verified as strictly as one found through a branch.
//
// Why heads, when lines and checksums alone would predict a leaf: a line is off by a few leaves more often than not,
// and every step to a neighbour is a page of data, perhaps a read of the device. Eight bytes per leaf spare it.
//
//   LearnedSearch search = LearnedIndexView(root).search(key);
//   while (!search.done()) search.narrow(<directory page search.directory_page()>);
//   search.range()        one leaf, but for keys whose head is also that of a bound: then the branches decide
//
// Invariants
//   1. The range holds the leaf that the bounds give: the last whose bound is not above the key.
//   2. It has one leaf unless the key's head equals a bound's; never more than format::kSharedHeadMax + 1 leaves.
//   3. On validated pages every answer is in range and nothing is read outside them, whatever their numbers say.
//
// Errors     none; node/learned_page.h and directory_misfit() are the door for bytes from a device.
// Suspends   never: the caller fetches pages, one of the directory for a search, sometimes two, never more.
// Lifetime   a view is a pointer: valid while the root is pinned. A search holds no pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <cambium/rt/bytes.h>

#include "base/assert.h"
#include "base/endian.h"
#include "format/learned_index_page.h"
#include "levels/segment_fitter.h"
#include "node/learned_page.h"

namespace cambium {

// The first eight of `bytes` bytes at `data`, zero-padded: numeric order is bytewise order, ties apart.
inline std::uint64_t wide_head_of(const char* data, std::size_t bytes) noexcept {
  if (bytes >= 8) [[likely]]
    return rt::load_be64(data);
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < bytes; ++i) head |= std::uint64_t{static_cast<unsigned char>(data[i])} << (56 - 8 * i);
  return head;
}

// How many of `count` ascending u64 at `heads` are below `head`. Halving without a branch on what is found, then a
// plain count of the last few, whose comparisons do not wait for each other.
inline std::size_t count_wide_below(const char* heads, std::size_t count, std::uint64_t head) noexcept {
  const char* base = heads;
  std::size_t left = count;
  while (left > 8) {
    const std::size_t half = left / 2;
    base += rt::load_le64(base + 8 * (half - 1)) < head ? 8 * half : 0;
    left -= half;
  }
  std::size_t below = static_cast<std::size_t>(base - heads) / 8;
  for (std::size_t i = 0; i < left; ++i) below += rt::load_le64(base + 8 * i) < head;
  return below;
}

// Ordinals of leaves, both inclusive.
struct LeafRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  friend bool operator==(const LeafRange&, const LeafRange&) = default;
};

// A search on its way through the directory.
class LearnedSearch {
 public:
  bool done() const noexcept { return done_; }
  // Which page narrow() wants next. Requires: !done().
  std::uint32_t directory_page() const noexcept { return (upper_ + 1) / kPerPage; }
  inline void narrow(const char* page) noexcept;
  // The page that knows the first leaf of which it may yet turn out to be; narrow() and what then is asked of the leaf
  // take this page or the one behind it.
  std::uint32_t first_page() const noexcept { return lower_ / kPerPage; }
  // Requires: done().
  LeafRange range() const noexcept {
    CAMBIUM_ASSERT(done_);
    return {whole_ ? upper_ : lower_, upper_};
  }
  // What the line alone says, before the directory was asked: at most 2 x epsilon + 1 leaves.
  LeafRange prediction() const noexcept { return predicted_; }

 private:
  friend class LearnedIndexView;
  static constexpr auto kPerPage = static_cast<std::uint32_t>(format::kDirectoryLeaves);

  // Requires: segment.ordinal <= next_ordinal <= last_leaf, head >= segment.start. The window is not cut off at the
  // segment's ends, though the truth lies between them: windows of one width are searched without mispredictions.
  void predict(const Segment& segment, std::uint32_t next_ordinal, std::uint64_t head, std::uint32_t epsilon,
               std::uint32_t last_leaf) noexcept {
    const std::uint64_t rise = segment_rise(segment.slope, head - segment.start);
    const std::uint64_t room = next_ordinal - segment.ordinal;
    const std::uint32_t place = segment.ordinal + static_cast<std::uint32_t>(rise < room ? rise : room);
    head_ = head;
    last_leaf_ = last_leaf;
    lower_ = upper_ = place > epsilon ? place - epsilon : 0;
    window_ = last_leaf - place > epsilon ? place + epsilon : last_leaf;
    predicted_ = {lower_, window_};
  }

  static LearnedSearch at_leaf(std::uint32_t leaf) noexcept {
    LearnedSearch search;
    search.lower_ = search.upper_ = leaf;
    search.predicted_ = {leaf, leaf};
    search.done_ = true;
    return search;
  }

  std::uint64_t head_ = 0;
  LeafRange predicted_;
  std::uint32_t lower_ = 0;   // bounds known to be below the key's head
  std::uint32_t upper_ = 0;   // bounds known to be not above it
  std::uint32_t window_ = 0;  // no more bounds than these can be below it
  std::uint32_t last_leaf_ = 0;
  std::uint32_t shared_max_ = 0;
  bool counted_ = false;  // lower_ is final
  bool whole_ = false;    // a bound of the same head is not above the key
  bool done_ = false;
};

class LearnedIndexView {
 public:
  explicit LearnedIndexView(const char* root) noexcept : root_(root) {}

  std::uint32_t leaf_count() const noexcept { return header().leaf_count; }
  std::uint32_t directory_pages() const noexcept { return header().directory_pages; }
  std::uint32_t directory_checksum(std::uint32_t index) const noexcept {
    CAMBIUM_ASSERT(index < directory_pages());
    return rt::load_le32(checksums() + 4 * index);
  }
  std::uint32_t epsilon() const noexcept { return header().epsilon; }
  std::size_t segment_count() const noexcept { return header().page.count; }
  Segment segment(std::size_t i) const noexcept {
    return {rt::load_le64(starts() + 8 * i), rt::load_le64(slopes() + 8 * i), ordinal(i)};
  }
  Bytes prefix() const noexcept { return Bytes(checksums() + 4 * directory_pages(), header().prefix_bytes); }

  LearnedSearch search(Bytes key) const noexcept {
    const std::uint32_t last_leaf = leaf_count() - 1;
    const Bytes common = prefix();
    if (!common.empty()) {
      const std::size_t compared = key.size() < common.size() ? key.size() : common.size();
      const int order = std::memcmp(key.data(), common.data(), compared);
      if (order > 0) return LearnedSearch::at_leaf(last_leaf);
      if (order < 0 || compared < common.size()) return LearnedSearch::at_leaf(0);
    }
    const std::size_t suffix_bytes = key.size() - common.size();
    const std::uint64_t head = wide_head_of(key.data() + common.size(), suffix_bytes);
    const std::size_t count = segment_count();
    const std::size_t after = head == ~std::uint64_t{0} ? count : count_wide_below(starts(), count, head + 1);
    if (after == 0) return LearnedSearch::at_leaf(0);

    LearnedSearch search;
    search.predict(segment(after - 1), after < count ? ordinal(after) : last_leaf, head, epsilon(), last_leaf);
    search.shared_max_ = header().shared_max;
    search.whole_ = header().bound_bytes_max != format::kLongBounds && suffix_bytes >= header().bound_bytes_max;
    search.done_ = search.lower_ == last_leaf;
    return search;
  }

 private:
  const format::LearnedRootHeader& header() const noexcept {
    return *reinterpret_cast<const format::LearnedRootHeader*>(root_);
  }
  const char* starts() const noexcept { return root_ + sizeof(format::LearnedRootHeader); }
  const char* slopes() const noexcept { return starts() + 8 * segment_count(); }
  const char* ordinals() const noexcept { return slopes() + 8 * segment_count(); }
  const char* checksums() const noexcept { return ordinals() + 4 * segment_count(); }
  std::uint32_t ordinal(std::size_t i) const noexcept { return rt::load_le32(ordinals() + 4 * i); }

  const char* root_;
};

inline void LearnedSearch::narrow(const char* page) noexcept {
  const std::uint32_t base = directory_page() * kPerPage;  // the page's first leaf
  const char* heads = page + format::kDirectoryHeads;
  if (!counted_) {
    const std::uint32_t end = window_ < base + kPerPage ? window_ + 1 : base + kPerPage;
    const std::uint32_t asked = end - (lower_ + 1);
    const auto below = static_cast<std::uint32_t>(count_wide_below(heads + 8 * (lower_ + 1 - base), asked, head_));
    lower_ += below;
    upper_ = lower_;
    counted_ = below < asked || lower_ == window_;
    if (!counted_) return;  // the window goes on, on the next page
  }
  // From here on the bounds that share the key's head, if any: seldom, and few.
  for (;; ++upper_) {
    done_ = upper_ == last_leaf_ || upper_ - lower_ == shared_max_;
    if (done_ || upper_ + 1 >= base + kPerPage) return;  // done, or to be seen on the next page
    done_ = rt::load_le64(heads + 8 * (upper_ + 1 - base)) != head_;
    if (done_) return;
  }
}

// The directory page that knows leaf `leaf`, and what it knows of it.
inline std::uint32_t directory_page_of(std::uint32_t leaf) noexcept {
  return leaf / static_cast<std::uint32_t>(format::kDirectoryLeaves);
}
inline std::uint32_t leaf_checksum(const char* page, std::uint32_t leaf) noexcept {
  return rt::load_le32(page + format::kDirectoryChecksums + 4 * (leaf % format::kDirectoryLeaves));
}

// Null if the page may be trusted with a view, else what is wrong with it. Of the directory in two halves: what its own
// bytes tell is asked at the door (node/learned_page.h), the rest of a validated page by whoever uses it.
using node::validate_learned_root;
inline const char* directory_misfit(const char* page, std::uint32_t leaf_count, std::uint32_t index) noexcept {
  const auto& header = *reinterpret_cast<const format::LearnedDirectoryHeader*>(page);
  const std::size_t first = std::size_t{index} * format::kDirectoryLeaves;
  if (header.index != index || first >= leaf_count) return "is another page of the directory";
  const std::size_t left = leaf_count - first;
  const bool right = header.page.count == (left < format::kDirectoryLeaves ? left : format::kDirectoryLeaves);
  return right ? nullptr : "is a directory page of a wrong length";
}
inline const char* validate_learned_directory(const char* page, const LearnedIndexView& root,
                                              std::uint32_t index) noexcept {
  const char* const wrong = node::validate_learned_directory(page);
  return wrong != nullptr ? wrong : directory_misfit(page, root.leaf_count(), index);
}

}  // namespace cambium
