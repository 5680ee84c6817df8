// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/sorted_run.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/assert.h"

namespace cambium {

RefArray::RefArray(std::size_t count) : block_(MemoryBlock::make(count * sizeof(SortedRef))) {
  if (count > 0 && !block_) throw std::bad_alloc();
}

SortedRun::SortedRun(RefArray refs, std::size_t count, std::vector<TableRange> tables)
    : storage_(std::make_shared<Storage>(Storage{std::move(refs), count, std::move(tables)})) {
  CAMBIUM_ASSERT(storage_->tables.empty() ? count == 0 : storage_->tables.back().end == count);
}

const TableRange* SortedRun::range(TableId table) const noexcept {
  const std::span<const TableRange> rows = tables();
  const auto row =
      std::lower_bound(rows.begin(), rows.end(), table, [](const TableRange& a, TableId b) { return a.table < b; });
  return row != rows.end() && row->table == table ? &*row : nullptr;
}

std::size_t SortedRun::bound(const TableRange& range, Bytes key, bool past_equal) const noexcept {
  const SortedRef* const refs = storage_->refs.data();
  const std::size_t depth = range.prefix_bytes;
  // Keys that do not share the range's prefix are below or above all of it; they have no head here.
  const Bytes prefix(refs[range.begin].entry->key().data(), depth);
  const int side = compare(Bytes(key.data(), std::min(key.size(), depth)), prefix);
  if (side != 0) return side < 0 ? range.begin : range.end;

  const std::uint64_t head = key_head(key, depth);
  const Bytes tail = key_tail(key, depth);
  std::size_t low = range.begin;
  std::size_t high = range.end;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const SortedRef& ref = refs[middle];
    bool below = ref.head < head;
    if (ref.head == head) {
      const int order = compare(key_tail(ref.entry->key(), depth), tail);
      below = order < 0 || (past_equal && order == 0);
    }
    (below ? low : high) = below ? middle + 1 : middle;
  }
  return low;
}

}  // namespace cambium
