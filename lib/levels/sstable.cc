// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/sstable.h"

#include <cstring>

#include <cambium/limits.h>

#include "base/endian.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "format/space_page.h"
#include "levels/compaction_picker.h"

namespace cambium {

using format::FilterPageRow;
using format::SstableExtent;
using format::SstableRow;

std::string sstable_row_key(SstableId id) {
  std::string key(format::kSstableRowKeyBytes, '\0');
  rt::store_be64(key.data(), static_cast<std::uint64_t>(id));
  return key;
}

std::string sstable_row_value(const Sstable& table, SstablePlace place) {
  SstableRow row{};
  row.level = static_cast<std::uint8_t>(place.level);
  row.height = static_cast<std::uint8_t>(table.root.height);
  row.min_key_bytes = static_cast<std::uint16_t>(table.min_key.size());
  row.max_key_bytes = static_cast<std::uint16_t>(table.max_key.size());
  row.flags = table.trimmed && !CAMBIUM_PLANTED(trim_not_written) ? format::kSstableTrimmed : 0;
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
  return value.append(table.min_key).append(table.max_key);
}

namespace {

bool inside(const std::vector<PageRun>& extents, std::uint32_t page) noexcept {
  for (const PageRun& run : extents) {
    if (page >= raw(run.first) && page < raw(run.first) + run.pages) return true;
  }
  return false;
}

// Every length is compared with what is left of the row before it is believed.
const char* parse(Bytes value, std::uint64_t file_pages, const SstableRow& row, Sstable& table) {
  const std::uint64_t needed = sizeof row + std::uint64_t{row.extent_count} * sizeof(SstableExtent) +
                               std::uint64_t{row.filter_pages} * sizeof(FilterPageRow) + row.min_key_bytes +
                               row.max_key_bytes;
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
  if ((row.flags & ~format::kSstableTrimmed) != 0) return "has unknown flags";
  table.trimmed = row.flags != 0;
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
  if (pages != row.node_pages + row.filter_pages) return "has another number of pages than its extents";
  if (!inside(table.extents, row.root.page)) return "has its root outside of its extents";
  for (std::uint32_t i = 0; i < row.filter_pages; ++i, at += sizeof(FilterPageRow)) {
    FilterPageRow page;
    std::memcpy(&page, at, sizeof page);
    if (!inside(table.extents, page.page)) return "has a filter page outside of its extents";
    table.filter.push_back({{page.page, page.checksum, 0}, kNoFrame});
  }
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
