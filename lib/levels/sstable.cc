// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/sstable.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include <cambium/limits.h>

#include "base/assert.h"
#include "base/endian.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "format/learned_index_page.h"
#include "format/space_page.h"
#include "levels/compaction_picker.h"

namespace cambium {

using format::FilterPageRow;
using format::LearnedIndexRow;
using format::PackedLeavesRow;
using format::SstableExtent;
using format::SstableRow;

std::string sstable_row_key(SstableId id) {
  std::string key(format::kSstableRowKeyBytes, '\0');
  rt::store_be64(key.data(), static_cast<std::uint64_t>(id));
  return key;
}

PageId Sstable::page_at(std::uint64_t rank) const noexcept {
  const auto after = std::upper_bound(index.ranks.begin(), index.ranks.end(), rank);
  CAMBIUM_ASSERT(after != index.ranks.begin());
  const auto extent = static_cast<std::size_t>(after - index.ranks.begin()) - 1;
  CAMBIUM_ASSERT(rank - index.ranks[extent] < extents[extent].pages);
  return PageId{raw(extents[extent].first) + (rank - index.ranks[extent])};
}

void Sstable::set_index(const format::ChildPointer& root_of_index, std::uint32_t leaves) {
  index.root = root_of_index;
  index.leaves = leaves;
  index.directory_frames.assign(format::directory_pages(leaves), kNoFrame);
  std::uint32_t rank = 0;
  for (const PageRun& run : extents) {
    index.ranks.push_back(rank);
    rank += run.pages;
  }
}

std::string sstable_row_value(const Sstable& table, SstablePlace place) {
  SstableRow row{};
  row.level = static_cast<std::uint8_t>(place.level);
  row.height = static_cast<std::uint8_t>(table.root.height);
  row.min_key_bytes = static_cast<std::uint16_t>(table.min_key.size());
  row.max_key_bytes = static_cast<std::uint16_t>(table.max_key.size());
  row.flags = static_cast<std::uint16_t>(
      (table.trimmed && !CAMBIUM_PLANTED(trim_not_written) ? format::kSstableTrimmed : 0) |
      (table.index.leaves != 0 ? format::kSstableLearned : 0) | (table.packed.pages != 0 ? format::kSstablePacked : 0));
  row.run = place.run;
  row.extent_count = static_cast<std::uint32_t>(table.extents.size());
  row.filter_pages = static_cast<std::uint32_t>(table.filter.size());
  row.filter_probes = table.filter_probes;
  row.root = table.root.pointer;
  row.generation = raw(table.generation);
  row.tombstones = table.tombstones;
  row.node_pages = table.root.node_pages;
  row.overflow_pages = table.root.overflow_pages;
  row.content_bytes = table.content_bytes;
  std::string value(reinterpret_cast<const char*>(&row), sizeof row);
  for (const PageRun& run : table.extents) {
    const SstableExtent extent{static_cast<std::uint32_t>(raw(run.first)), run.pages};
    value.append(reinterpret_cast<const char*>(&extent), sizeof extent);
  }
  for (const FilterPage& page : table.filter) {
    const FilterPageRow filter{page.pointer.page, page.pointer.checksum};
    value.append(reinterpret_cast<const char*>(&filter), sizeof filter);
  }
  if (table.index.leaves != 0) {
    const LearnedIndexRow index{table.index.root.page, table.index.root.checksum, table.index.leaves, 0};
    value.append(reinterpret_cast<const char*>(&index), sizeof index);
  }
  if (table.packed.pages != 0) {
    const PackedLeavesRow packed{table.compression, {}, table.packed.pages, table.packed.bytes};
    value.append(reinterpret_cast<const char*>(&packed), sizeof packed);
  }
  return value.append(table.min_key).append(table.max_key);
}

namespace {

bool inside(const std::vector<PageRun>& extents, std::uint32_t page) noexcept {
  for (const PageRun& run : extents) {
    if (page >= raw(run.first) && page < raw(run.first) + run.pages) return true;
  }
  return false;
}

// `pages`: of all extents. A tree of several leaves has at least one branch.
const char* parse_index(const char* at, const SstableRow& row, std::uint64_t pages, Sstable& table) {
  LearnedIndexRow index;
  std::memcpy(&index, at, sizeof index);
  if (index.reserved != 0) return "has unknown fields";
  if (index.leaves == 0 || index.leaves >= row.node_pages || row.node_pages > pages) {
    return "has a learned index of another number of leaves";
  }
  table.set_index({index.page, index.checksum, 0}, index.leaves);
  if (raw(table.page_at(pages - 1)) != index.page) return "has its learned index elsewhere than at its end";
  return nullptr;
}

const char* parse_packed(const char* at, const SstableRow& row, Sstable& table) {
  PackedLeavesRow packed;
  std::memcpy(&packed, at, sizeof packed);
  if (std::any_of(std::begin(packed.reserved), std::end(packed.reserved),
                  [](std::uint8_t byte) { return byte != 0; })) {
    return "has unknown fields";
  }
  if (packed.compression != Compression::lz4 && packed.compression != Compression::zstd) {
    return "has leaves packed in an unknown way";
  }
  const bool possible = packed.pages != 0 && packed.pages <= row.node_pages && packed.bytes >= packed.pages &&
                        packed.bytes / format::kUnpackedBytesMax <= packed.pages;
  if (!possible) return "has an impossible number of packed leaves";
  table.compression = packed.compression;
  table.packed = {packed.pages, packed.bytes};
  return nullptr;
}

// Every length is compared with what is left of the row before it is believed.
const char* parse(Bytes value, std::uint64_t file_pages, const SstableRow& row, Sstable& table) {
  constexpr std::uint16_t kFlags = format::kSstableTrimmed | format::kSstableLearned | format::kSstablePacked;
  if ((row.flags & ~kFlags) != 0) return "has unknown flags";
  const bool learned = (row.flags & format::kSstableLearned) != 0;
  const bool packed = (row.flags & format::kSstablePacked) != 0;
  const std::uint64_t needed = sizeof row + std::uint64_t{row.extent_count} * sizeof(SstableExtent) +
                               std::uint64_t{row.filter_pages} * sizeof(FilterPageRow) + row.min_key_bytes +
                               row.max_key_bytes + (learned ? sizeof(LearnedIndexRow) : 0) +
                               (packed ? sizeof(PackedLeavesRow) : 0);
  if (value.size() != needed) return "has another length than it says";
  if (row.level > kBottomLevel || row.run == ~std::uint32_t{0}) return "has an impossible place";
  if (row.root.entries == 0 || row.tombstones > row.root.entries) return "has impossible counts";
  if (row.height == 0 || row.height > 16 || row.root.empty()) return "has a root that does not fit its height";
  if (row.min_key_bytes == 0 || row.min_key_bytes > kKeyBytesMax || row.max_key_bytes == 0 ||
      row.max_key_bytes > kKeyBytesMax) {
    return "has keys of impossible lengths";
  }
  if (row.filter_pages != 0 && (row.filter_probes == 0 || row.filter_probes > format::kFilterProbesMax))
    return "has an impossible filter";
  table.trimmed = (row.flags & format::kSstableTrimmed) != 0;
  const char* at = value.data() + sizeof row;
  std::uint64_t pages = 0;
  for (std::uint32_t i = 0; i < row.extent_count; ++i, at += sizeof(SstableExtent)) {
    SstableExtent extent;
    std::memcpy(&extent, at, sizeof extent);
    if (extent.pages == 0 || !format::holds_data(PageId{extent.first_page}, extent.pages, file_pages)) {
      return "has an extent that cannot hold data";
    }
    table.extents.push_back({PageId{extent.first_page}, extent.pages});
    pages += extent.pages;
  }
  if (pages > file_pages) return "has more pages than the file";
  if (!inside(table.extents, row.root.page)) return "has its root outside of its extents";
  for (std::uint32_t i = 0; i < row.filter_pages; ++i, at += sizeof(FilterPageRow)) {
    FilterPageRow page;
    std::memcpy(&page, at, sizeof page);
    if (!inside(table.extents, page.page)) return "has a filter page outside of its extents";
    table.filter.push_back({{page.page, page.checksum, 0}, kNoFrame});
  }
  if (learned) {
    const char* const wrong = parse_index(at, row, pages, table);
    if (wrong != nullptr) return wrong;
    at += sizeof(LearnedIndexRow);
  }
  if (packed) {
    const char* const wrong = parse_packed(at, row, table);
    if (wrong != nullptr) return wrong;
    at += sizeof(PackedLeavesRow);
  }
  if (pages != row.node_pages + row.filter_pages + table.index.pages())
    return "has another number of pages than its extents";
  table.min_key.assign(at, row.min_key_bytes);
  table.max_key.assign(at + row.min_key_bytes, row.max_key_bytes);
  return Bytes(table.max_key) < Bytes(table.min_key) ? "has its keys in the wrong order" : nullptr;
}

}  // namespace

Result<SstablePtr> read_sstable_row(Bytes key, Bytes value, std::uint64_t file_pages, SstablePlace& place) {
  SstableRow row;
  const char* wrong = nullptr;
  auto table = std::make_shared<Sstable>();
  if (key.size() != format::kSstableRowKeyBytes || value.size() < sizeof row) {
    wrong = "is too short";
  } else if (rt::load_be64(key.data()) == ~std::uint64_t{0}) {
    wrong = "has the last number there is";
  } else {
    std::memcpy(&row, value.data(), sizeof row);
    wrong = parse(value, file_pages, row, *table);
  }
  if (wrong != nullptr) return Error(Errc::corruption, rt::str("a row of a manifest ", wrong));
  table->id = SstableId{rt::load_be64(key.data())};
  table->root.pointer = row.root;
  table->root.height = row.height;
  table->root.node_pages = row.node_pages;
  table->root.overflow_pages = row.overflow_pages;
  table->generation = Generation{row.generation};
  table->tombstones = row.tombstones;
  table->content_bytes = row.content_bytes;
  table->filter_probes = row.filter_probes;
  place = {row.level, row.run};
  return SstablePtr(std::move(table));
}

}  // namespace cambium
