// SPDX-License-Identifier: MIT OR Apache-2.0
// The filter of an sstable: "is this key perhaps in it?", answered from one cache line of one page.
//
// A blocked Bloom filter (Putze, Sanders, Singler 2007) over format/filter_page.h. A lookup asks the shape for the
// page, fetches it through the cache like any other, and probes it. The writer collects hashes (key_hashes.h) until it
// knows how many keys there are, makes a shape, and fills a FilterBuilder.
//
// Invariants
//   1. A key that was added is found: no false negative, whatever the shape.
//   2. A filter to which nothing was added finds nothing.
//   3. The bytes depend on the shape and the set of hashes only, not on their order.
//
// Units      bits per key, as double; hashes are filter_hash(), the same for ever.
// Errors     corruption from decode(); page validation answers a sentence, as validate_node() does.
// Lifetime   shapes are values; probing needs the page only for the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <cambium/rt/bytes.h>
#include <cambium/rt/result.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/wide.h"
#include "format/filter_page.h"
#include "levels/filter_probe.h"
#include "node/node_builder.h"

namespace cambium {

// Part of the file format: base/hash.h promises that it never changes.
inline std::uint64_t filter_hash(Bytes key) noexcept { return rt::hash64(key.view()); }

struct FilterShape {
  std::uint64_t keys = 0;
  std::uint32_t pages = 0;  // 0: no filter, every key may be in the sstable
  unsigned probes = 0;

  // The smallest whole pages with `bits_per_key` bits for each key. Below one bit per key: no filter; beyond 24, or
  // kFilterPagesMax pages: as many. No keys get one page, which finds nothing.
  static FilterShape for_keys(std::uint64_t keys, double bits_per_key) noexcept;
  static Result<FilterShape> decode(const format::FilterRecord& record);
  format::FilterRecord encode() const noexcept;

  bool empty() const noexcept { return pages == 0; }
  std::uint64_t blocks() const noexcept { return std::uint64_t{pages} * format::kFilterBlocksPerPage; }
  double bits_per_key() const noexcept;  // what there is, after rounding up to pages
  double expected_false_positive_rate() const noexcept;
  friend bool operator==(const FilterShape&, const FilterShape&) = default;
};

// Where a hash belongs: by multiplication instead of division (D. Lemire, "Fast Random Integer Generation in an
// Interval", 2018), of the page first, then of the block with what is left over.
struct FilterPlace {
  std::uint32_t page;
  std::uint32_t offset;  // of the block, in the page's bytes
};
inline FilterPlace filter_place(const FilterShape& shape, std::uint64_t hash) noexcept {
  const rt::uint128 product = static_cast<rt::uint128>(hash) * shape.pages;
  const rt::uint128 rest = static_cast<rt::uint128>(static_cast<std::uint64_t>(product)) * format::kFilterBlocksPerPage;
  const auto block = static_cast<std::uint32_t>(rest >> 64);
  return {static_cast<std::uint32_t>(product >> 64), block * static_cast<std::uint32_t>(format::kFilterBlockBytes) +
                                                         std::uint32_t{sizeof(format::FilterPageHeader)}};
}

// Requires of both: !shape.empty(), and that the second gets the page that the first names. Any bytes are answered:
// the line read is inside the page.
inline std::uint32_t filter_page_of(const FilterShape& shape, std::uint64_t hash) noexcept {
  return filter_place(shape, hash).page;
}
inline bool filter_may_contain(const char* page, const FilterShape& shape, std::uint64_t hash) noexcept {
  return has_filter_bits(page + filter_place(shape, hash).offset, static_cast<std::uint32_t>(hash), shape.probes);
}
// Asks memory for the line that filter_may_contain() will read; worth it where something else can be done meanwhile.
inline void prefetch_filter(const char* page, const FilterShape& shape, std::uint64_t hash) noexcept {
  __builtin_prefetch(page + filter_place(shape, hash).offset);
}

// Null if the page is page `index` of a filter of this shape, else what is wrong. Blocks may hold any bytes.
const char* validate_filter_page(const char* page, const FilterShape& shape, std::uint32_t index) noexcept;

// The blocks of a filter in the making. Memory: 64 bytes per block, taken from the system at the first touch.
class FilterBuilder {
 public:
  explicit FilterBuilder(const FilterShape& shape);  // Requires: !shape.empty(). Throws std::bad_alloc.

  const FilterShape& shape() const noexcept { return shape_; }
  std::size_t memory_bytes() const noexcept { return std::size_t{shape_.pages} * kPageBytes; }

  void add(std::uint64_t hash) noexcept {
    const FilterPlace place = filter_place(shape_, hash);
    set_filter_bits(pages_.get() + std::size_t{place.page} * kPageBytes + place.offset,
                    static_cast<std::uint32_t>(hash), shape_.probes);
  }
  // Fills `page` (kPageBytes) with page `index`, all but the checksum. `identity.level` is not used.
  void write_page(std::uint32_t index, const node::NodeIdentity& identity, char* page) const noexcept;

 private:
  struct Free {
    void operator()(char* memory) const noexcept { std::free(memory); }
  };
  FilterShape shape_;
  std::unique_ptr<char[], Free> pages_;  // whole pages, so that one copy makes a page
};

}  // namespace cambium
