// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/leaf_packer.h"

#include <algorithm>

#include "base/assert.h"
#include "node/leaf_unpacker.h"

namespace cambium {

using node::NodeEntry;
using node::NodeIdentity;
using node::NodeSize;

namespace {

constexpr double kShareAtFirst = 0.5;
constexpr double kRoom = static_cast<double>(format::kPackedBytesMax);

}  // namespace

LeafPacker::LeafPacker(Compression compression)
    : codec_(compression),
      leaves_(std::make_unique_for_overwrite<char[]>(format::kUnpackedBytesMax)),
      compressed_(std::make_unique_for_overwrite<char[]>(codec_.bound(format::kUnpackedBytesMax))) {
  expect(kShareAtFirst);
}

// What a page will hold, a good part more in case it gets smaller than that, and a leaf in case it does not.
void LeafPacker::expect(double share) noexcept {
  share_ = std::clamp(share, 0.02, 1.5);
  const auto wanted = static_cast<std::uint64_t>(kRoom / share_ * 1.3) + 2 * kPageBytes;
  wanted_bytes_ = std::min<std::uint64_t>(wanted, format::kUnpackedBytesMax);
}

void LeafPacker::add(const NodeEntry& entry) {
  entries_.push_back(entry);
  pending_bytes_ += content(entry);
  ++added_;
}

void LeafPacker::pop() {
  for (std::size_t i = 0; i < built_; ++i) pending_bytes_ -= content(pending(i));
  first_ += built_;
  built_ = 0;
  if (first_ == entries_.size()) {
    entries_.clear();
    first_ = 0;
  } else if (first_ >= 1024) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

// As many full leaves as a page may hold; the last one is full only if entries are left behind it.
void LeafPacker::divide() {
  ends_.clear();
  sums_.assign(1, 0);
  NodeSize open(true);
  const std::size_t count = entries_.size() - first_;
  for (std::size_t i = 0; i < count; ++i) {
    NodeSize grown = open;
    grown.add(pending(i));
    if (open.count() != 0 && grown.bytes() > kPageBytes) {
      ends_.push_back(i);
      if (ends_.size() == format::kPackedLeavesMax) return;
      grown = NodeSize(true);
      grown.add(pending(i));
    }
    open = grown;
    sums_.push_back(sums_.back() + content(pending(i)));
  }
  ends_.push_back(count);
}

// How many of the pending entries have that much content.
std::size_t LeafPacker::entries_of(double content_bytes) const noexcept {
  const auto above = std::upper_bound(sums_.begin(), sums_.end(), static_cast<std::uint64_t>(content_bytes));
  return static_cast<std::size_t>(above - sums_.begin()) - 1;
}

// The first `count` entries as leaves, compressed; returns the bytes they take. 0: they could not be.
std::size_t LeafPacker::compress(std::size_t count) {
  std::size_t from = 0;
  std::size_t leaves = 0;
  for (; from < count; ++leaves) {
    const std::size_t to = std::min(ends_[leaves], count);
    node::build_node(leaves_.get() + leaves * kPageBytes, {PageId{}, Generation{}, 0, 0},
                     std::span(entries_).subspan(first_ + from, to - from));
    from = to;
  }
  return codec_.compress(Bytes(leaves_.get(), leaves * kPageBytes), compressed_.get());
}

// Returns how many entries the page holds now; 0: it is not worth it.
std::size_t LeafPacker::pack(char* page, const NodeIdentity& identity) {
  const std::size_t most = ends_.back();
  const std::size_t least = ends_.front() + ends_.front() / 4 + 1;
  if (most < least) return 0;
  std::size_t fits = 0;             // so many do
  std::size_t too_many = most + 1;  // so many do not
  std::size_t count = entries_of(kRoom / share_ * 0.97);
  for (unsigned tried = 0; tried < kTries; ++tried) {
    count = std::clamp(count, std::max(least, fits + 1), too_many - 1);
    const std::size_t bytes = compress(count);
    if (bytes == 0) break;
    expect(static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(sums_[count], 1)));
    if (bytes <= format::kPackedBytesMax) {
      fits = count;
      const std::size_t leaves =
          static_cast<std::size_t>(std::lower_bound(ends_.begin(), ends_.end(), count) - ends_.begin()) + 1;
      node::build_packed_leaf(page, identity, codec_.compression(), leaves, Bytes(compressed_.get(), bytes));
    } else {
      too_many = count;
    }
    count = entries_of(kRoom / share_ * (fits == 0 ? 0.96 : 0.98));
    // Nothing that is worth it can fit; or what another try could add is not worth its time.
    const bool hopeless = fits == 0 && (too_many <= least || count + count / 8 < least);
    if (hopeless || (fits != 0 && std::min(count, too_many - 1) <= fits + fits / 16)) break;
  }
  return fits;
}

std::span<const NodeEntry> LeafPacker::build(char* page, const NodeIdentity& identity) {
  CAMBIUM_ASSERT(ready() && built_ == 0);
  divide();
  const bool all_in_one = ends_.size() == 1;
  if (!all_in_one && left_out_ == 0) {
    built_ = pack(page, identity);
    in_vain_ = built_ != 0 ? 0 : std::min(in_vain_ + 1, 5u);
    left_out_ = std::min((1u << in_vain_) - 1, kLeftOutMax);
  } else if (left_out_ != 0) {
    --left_out_;
  }
  if (built_ != 0) {
    std::size_t from = 0;
    for (std::size_t leaf = 0; from < built_; ++leaf) {
      const std::size_t to = std::min(ends_[leaf], built_);
      NodeSize size(true);
      for (std::size_t i = from; i < to; ++i) size.add(pending(i));
      packed_.bytes += size.bytes();
      from = to;
    }
    ++packed_.pages;
  } else {
    built_ = ends_.front();
    NodeIdentity leaf = identity;
    leaf.level = 0;
    node::build_node(page, leaf, std::span(entries_).subspan(first_, built_));
  }
  return std::span(entries_).subspan(first_, built_);
}

}  // namespace cambium
