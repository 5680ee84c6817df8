// SPDX-License-Identifier: MIT OR Apache-2.0
// KeyIndex: where the entries of cached leaves lie, by the hash of their key. A shortcut past the branches for point
// lookups in the newest version of a table; never the truth: what it says is verified in the page itself.
//
// A lookup through the tree waits for four or five lines of memory one after the other (heads and hint of the lowest
// branch, the leaf, the record); through the index for two: a bucket, then leaf and record together. The idea is that
// of the adaptive hash index of InnoDB; being private to one core, it takes no lock, and being verified it needs no
// upkeep when pages are evicted. A leaf is learned whole, at its second visit by a lookup.
//
// Sits beside tree_find.cc (the long way); the read path asks here first.
//
// Invariants
//   1. find() yields an entry of the newest version of its table, or nothing: the leaf's frame must be owned by that
//      table (PageCache::owned), and the entry at the slot's place must have the key.
//   2. Where fewer than three in ten lookups are answered, all but one in sixteen go the long way at once.
//
// Units      8 bytes per entry; memory fixed at construction.
// Lifetime   the bytes in FoundEntry are valid until the next suspension unless their frame is pinned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>

#include "base/endian.h"
#include "base/hash.h"
#include "base/huge_array.h"
#include "cache/page_cache.h"
#include "table_store.h"

namespace cambium {

class KeyIndex {
 public:
  // Requires: bytes >= kBytesMin.
  KeyIndex(PageCache& cache, std::size_t bytes);

  bool find(TableId table, Bytes key, FoundEntry& found) noexcept;
  // Answers those it can: state `found`. Interleaved, as TableStore::find_many(), which takes the others.
  void find_many(TableId table, std::span<MultiLookup> lookups) noexcept;
  // A lookup in the newest version of `table` has just ended in this leaf.
  void visited(TableId table, FrameIndex leaf) noexcept {
    if (cache_.own(leaf, table)) [[unlikely]]
      learn(table, leaf);
  }

  std::uint64_t hits() const noexcept { return hits_ + answered_; }
  static constexpr std::size_t kBytesMin = 4096;

 private:
  static constexpr std::size_t kSlotsPerBucket = 8;
  static constexpr std::size_t kPlaceBytes = 6;
  // A line of memory: 16-bit tags (0: empty), and for each a place of 6 bytes.
  struct alignas(64) Bucket {
    std::uint16_t tags[kSlotsPerBucket] = {};
    char places[kSlotsPerBucket * kPlaceBytes] = {};
  };
  static_assert(sizeof(Bucket) == 64);

  // frame (27 bits) | index in the leaf (9) | offset of the record (12)
  struct Place {
    FrameIndex frame;
    std::uint32_t index;
    std::uint32_t offset;
  };
  static constexpr unsigned kOffsetBits = 12;
  static constexpr unsigned kIndexBits = 9;
  static constexpr FrameIndex kFramesMax = FrameIndex{1} << (8 * kPlaceBytes - kIndexBits - kOffsetBits);
  static_assert(kPageBytes <= 1u << kOffsetBits && format::kNodeCountMax <= 1u << kIndexBits);

  static Place place_in(const Bucket& bucket, unsigned slot) noexcept {
    // Eight bytes that end with the place: they begin inside the bucket.
    const std::uint64_t packed =
        rt::load_le64(reinterpret_cast<const char*>(&bucket) + offsetof(Bucket, places) + kPlaceBytes * slot - 2) >> 16;
    return {static_cast<FrameIndex>(packed >> (kIndexBits + kOffsetBits)),
            static_cast<std::uint32_t>(packed >> kOffsetBits) & ((1u << kIndexBits) - 1),
            static_cast<std::uint32_t>(packed) & ((1u << kOffsetBits) - 1)};
  }
  static std::uint64_t hash_of(TableId table, Bytes key) noexcept {
    return rt::hash64(key.data(), key.size(), static_cast<std::uint64_t>(raw(table)));
  }
  static std::uint16_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint16_t>((hash & 0xffff) | ((hash & 0xffff) == 0 ? 1u : 0u));
  }
  Bucket& bucket_of(std::uint64_t hash) noexcept { return buckets_[((hash >> 32) * buckets_.size()) >> 32]; }
  static unsigned matches(const Bucket& bucket, std::uint16_t tag) noexcept;  // bit i: slot i has the tag
  void warm(Place place) const noexcept;
  bool verify(TableId table, Bytes key, Place place, FoundEntry& found) noexcept;
  void learn(TableId table, FrameIndex leaf) noexcept;
  void insert(std::uint64_t hash, Place place) noexcept;

  // Is it worth asking now?
  bool asks() noexcept { return pause_ == 0 || (--pause_ & (kSampling - 1)) == 0; }
  void count(std::uint32_t asked, std::uint32_t answered) noexcept;
  static constexpr std::uint32_t kSampling = 16;
  static constexpr std::uint32_t kWindow = 1024;  // lookups asked between two decisions

  PageCache& cache_;
  rt::HugeArray<Bucket> buckets_;
  std::uint32_t pause_ = 0;
  std::uint32_t asked_ = 0;     // in this window
  std::uint32_t answered_ = 0;  // in this window
  std::uint64_t hits_ = 0;
  std::uint64_t replaced_ = 0;
};

}  // namespace cambium
