// SPDX-License-Identifier: MIT OR Apache-2.0
// Which sstables are to have a learned index: what their table asks for, or what was measured. Pure.
//
// The index stands beside the branches, which scans go on using: it costs its own pages, and what it gives is that
// lookups pass fewer different pages, 0.35 % of the leaves instead of 0.6 %. Measured (2-core VM, one get at a time,
// 16-byte keys uniform, sequential, clustered, of syllables; values of 100 bytes; sstables of 16 MiB):
//
//   search alone, pages at hand      17-37 ns against 41-79: 1.2-2.5 x faster, half the size     bench_index
//   gets, everything cached          356-499 ns against 331-457: 2-14 % slower                   bench_learned
//   gets, cache 8 % of the table     as many pages read, to 1 %; as fast, to 2 %                 bench_learned --cache
//   gets, cache 1 %                  15-20 % fewer pages read (3 % for syllables), 7-23 % faster
//   gets, cache 0.5 %                10-12 % fewer (none for syllables), 2 % slower to 34 % faster
//
// Slower although the search is faster: a branch has hints beside it that say in which frame each leaf is, a directory
// page has none, and the way through the page table is two lines of memory more. So the plain index is the better one
// nearly everywhere; the learned one is where branches compete with leaves for the cache.
#pragma once

#include <cstdint>

#include <cambium/ids.h>

namespace cambium {

// The cache holds less than a sixty-fourth of what the file holds: between the ratios measured as a gain and as none.
inline constexpr std::uint64_t kScarceCache = 64;

// Is one to be tried? It is written if it then has fewer pages than the branches it spares a lookup
// (LearnedIndexBuilder::worth()): from some 200 leaves on, if the keys are regular enough.
// Units: pages; `used_pages` of the whole file.
constexpr bool wants_learned(TableIndex chosen, std::uint64_t used_pages, std::uint64_t cache_pages) noexcept {
  if (chosen == TableIndex::automatic) return used_pages / kScarceCache > cache_pages;
  return chosen == TableIndex::learned;
}

}  // namespace cambium
