// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/key_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "node/node_view.h"

namespace cambium {

using node::NodeView;

KeyIndex::KeyIndex(PageCache& cache, std::size_t bytes)
    : cache_(cache),
      buckets_(rt::HugeArray<Bucket>::zeroed(std::min<std::size_t>(bytes / sizeof(Bucket), ~std::uint32_t{0}))) {
  CAMBIUM_ASSERT(bytes >= kBytesMin);
}

unsigned KeyIndex::matches(const Bucket& bucket, std::uint16_t tag) noexcept {
#if defined(__SSE2__)
  const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags));
  const __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<short>(tag)));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())));
#else
  unsigned found = 0;
  for (unsigned i = 0; i < kSlotsPerBucket; ++i) found |= unsigned{bucket.tags[i] == tag} << i;
  return found;
#endif
}

// Everything a verification reads, asked for at once.
void KeyIndex::warm(Place place) const noexcept {
  if (place.frame >= cache_.frames()) return;
  const char* page = cache_.bytes(place.frame);
  cache_.warm_leaf(place.frame);
  PageCache::prefetch_record(page, place.offset);
}

bool KeyIndex::verify(TableId table, Bytes key, Place place, FoundEntry& found) noexcept {
  if (place.frame >= cache_.frames() || !cache_.owned(place.frame, table)) return false;
  if (!NodeView(cache_.bytes(place.frame)).leaf_entry_at(place.index, place.offset, key, found.entry)) return false;
  cache_.touch(place.frame);
  found.frame = place.frame;
  return true;
}

bool KeyIndex::find(TableId table, Bytes key, FoundEntry& found) noexcept {
  if (!asks()) return false;
  const std::uint64_t hash = hash_of(table, key);
  const Bucket& bucket = bucket_of(hash);
  unsigned candidates = matches(bucket, tag_of(hash));
  bool answered = false;
  for (; candidates != 0 && !answered; candidates &= candidates - 1) {
    const Place place = place_in(bucket, static_cast<unsigned>(std::countr_zero(candidates)));
    warm(place);
    answered = verify(table, key, place, found);
  }
  count(1, answered ? 1 : 0);
  return answered;
}

void KeyIndex::find_many(TableId table, std::span<MultiLookup> lookups) noexcept {
  if (!asks()) return;
  constexpr std::size_t kGroup = 16;
  std::uint32_t answered = 0;
  for (std::size_t first = 0; first < lookups.size(); first += kGroup) {
    const std::span<MultiLookup> group = lookups.subspan(first, std::min(kGroup, lookups.size() - first));
    std::uint64_t hashes[kGroup];
    unsigned candidates[kGroup];
    for (std::size_t i = 0; i < group.size(); ++i) {
      hashes[i] = hash_of(table, group[i].key);
      __builtin_prefetch(&bucket_of(hashes[i]));
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
      const Bucket& bucket = bucket_of(hashes[i]);
      candidates[i] = matches(bucket, tag_of(hashes[i]));
      if (candidates[i] != 0) warm(place_in(bucket, static_cast<unsigned>(std::countr_zero(candidates[i]))));
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
      for (; candidates[i] != 0; candidates[i] &= candidates[i] - 1) {
        const Place place = place_in(bucket_of(hashes[i]), static_cast<unsigned>(std::countr_zero(candidates[i])));
        if (!verify(table, group[i].key, place, group[i].found)) continue;
        group[i].state = FindState::found;
        ++answered;
        break;
      }
    }
  }
  count(static_cast<std::uint32_t>(lookups.size()), answered);
}

void KeyIndex::count(std::uint32_t asked, std::uint32_t answered) noexcept {
  asked_ += asked;
  answered_ += answered;
  if (asked_ < kWindow) [[likely]]
    return;
  hits_ += answered_;
  pause_ = answered_ < asked_ * 3 / 10 ? kWindow * kSampling : 0;
  asked_ = answered_ = 0;
}

// Hashes first, so that the lines of all buckets are on their way when the first is written to.
void KeyIndex::learn(TableId table, FrameIndex frame) noexcept {
  if (frame >= kFramesMax) return;
  const NodeView leaf(cache_.bytes(frame));
  const NodeView::LeafReader reader(leaf);
  constexpr std::size_t kGroup = 32;
  char key[kKeyBytesMax + NodeView::kKeySlack];
  for (std::size_t first = 0; first < leaf.count(); first += kGroup) {
    const std::size_t end = std::min(first + kGroup, leaf.count());
    std::uint64_t hashes[kGroup];
    for (std::size_t i = first; i < end; ++i) {
      node::LeafEntry entry;
      const std::size_t key_bytes = reader.read(i, key, entry);
      hashes[i - first] = hash_of(table, Bytes(key, key_bytes));
      __builtin_prefetch(&bucket_of(hashes[i - first]), 1);
    }
    for (std::size_t i = first; i < end; ++i) {
      insert(hashes[i - first],
             {frame, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(leaf.leaf_record_offset(i))});
    }
  }
}

// Over a slot with the same tag, most likely an older place of the same key; else an empty one; else any.
void KeyIndex::insert(std::uint64_t hash, Place place) noexcept {
  Bucket& bucket = bucket_of(hash);
  const std::uint16_t tag = tag_of(hash);
  unsigned at = matches(bucket, tag);
  if (at == 0) at = matches(bucket, 0);
  const std::size_t slot = at != 0 ? static_cast<std::size_t>(std::countr_zero(at)) : ++replaced_ % kSlotsPerBucket;
  bucket.tags[slot] = tag;
  char packed[8];
  rt::store_le64(packed, std::uint64_t{place.frame} << (kIndexBits + kOffsetBits) |
                             std::uint64_t{place.index} << kOffsetBits | place.offset);
  std::memcpy(bucket.places + kPlaceBytes * slot, packed, kPlaceBytes);
}

}  // namespace cambium
