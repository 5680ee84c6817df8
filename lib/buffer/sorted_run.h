// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The entries of a stretch of a write buffer in order: by table, then key, then newest version first.
//
// Made by RunSorter and RunMerger, read by BufferCursor and the flusher. Immutable and shared: a scan keeps
// the runs it began with while new ones replace them.
//
// Invariants
//   1. A ref's head is key_head(key, prefix_bytes of its table's range): heads order like the keys, and
//      only equal heads need the keys themselves.
//   2. All keys of a range begin with the same prefix_bytes bytes; without that, keys such as
//      "user00000001" would have equal heads.
//   3. Ranges are ascending by table, adjacent, never empty, and cover all refs.
//
// Units      16 bytes per entry.
// Lifetime   the memory of the refs is shared by all copies; the entries belong to the buffer: hold a pin.
#pragma once

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "buffer/buffer_entry.h"
#include "buffer/memory_block.h"

namespace cambium {

struct SortedRef {
  std::uint64_t head;
  const BufferEntry* entry;
};
static_assert(sizeof(SortedRef) == 16);

/// The refs [begin, end) of one table.
struct TableRange {
  TableId table;
  std::uint32_t prefix_bytes;
  std::size_t begin;
  std::size_t end;
};

/// Uninitialised room for `count` refs. Throws std::bad_alloc, as a container would.
class RefArray {
 public:
  RefArray() noexcept = default;
  explicit RefArray(std::size_t count);

  [[nodiscard]] SortedRef* data() const noexcept { return reinterpret_cast<SortedRef*>(block_.data()); }
  [[nodiscard]] static constexpr std::size_t bytes_for(std::size_t count) noexcept {
    return MemoryBlock::footprint_bytes(count * sizeof(SortedRef));
  }

 private:
  MemoryBlock block_;
};

class SortedRun {
 public:
  /// The empty run.
  SortedRun() noexcept = default;
  SortedRun(RefArray refs, std::size_t count, std::vector<TableRange> tables);

  [[nodiscard]] std::span<const SortedRef> refs() const noexcept {
    return storage_ ? std::span<const SortedRef>(storage_->refs.data(), storage_->count) : std::span<const SortedRef>();
  }
  [[nodiscard]] std::span<const TableRange> tables() const noexcept {
    return storage_ ? std::span<const TableRange>(storage_->tables) : std::span<const TableRange>();
  }
  [[nodiscard]] std::size_t count() const noexcept { return storage_ ? storage_->count : 0; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return RefArray::bytes_for(count()) + tables().size() * sizeof(TableRange);
  }

  /// The range of a table; null if it has no entry here.
  [[nodiscard]] const TableRange* range(TableId table) const noexcept;

  /// The first ref of the range whose key is >= `key` (lower) or > `key` (upper); range.end if none.
  [[nodiscard]] std::size_t lower_bound(const TableRange& range, Bytes key) const noexcept {
    return bound(range, key, false);
  }
  [[nodiscard]] std::size_t upper_bound(const TableRange& range, Bytes key) const noexcept {
    return bound(range, key, true);
  }

 private:
  struct Storage {
    RefArray refs;
    std::size_t count;
    std::vector<TableRange> tables;
  };

  [[nodiscard]] std::size_t bound(const TableRange& range, Bytes key, bool past_equal) const noexcept;

  std::shared_ptr<const Storage> storage_;
};

/// `key` without its first `depth` bytes. Requires: depth <= key.size().
inline Bytes key_tail(Bytes key, std::size_t depth) noexcept { return {key.data() + depth, key.size() - depth}; }

/// How many bytes a and b have in common at their beginnings, at most `most`.
inline std::size_t common_prefix(Bytes a, Bytes b, std::size_t most) noexcept {
  if (a.size() < most) most = a.size();
  if (b.size() < most) most = b.size();
  std::size_t common = 0;
  while (common < most && a.data()[common] == b.data()[common]) ++common;
  return common;
}

}  // namespace cambium
