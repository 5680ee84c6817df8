// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/blocked_filter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "levels/filter_bits.h"

namespace cambium {

FilterShape FilterShape::for_keys(std::uint64_t keys, double bits_per_key) noexcept {
  if (!(bits_per_key >= kFilterBitsMin)) return {.keys = keys};  // also when it is no number
  const double bits = std::min(bits_per_key, kFilterBitsMax) * static_cast<double>(keys);
  const double pages = std::ceil(bits / static_cast<double>(format::kFilterBitsPerPage));
  FilterShape shape{.keys = keys};
  shape.pages = static_cast<std::uint32_t>(std::clamp(pages, 1.0, static_cast<double>(format::kFilterPagesMax)));
  shape.probes = best_probes(shape.bits_per_key());
  return shape;
}

double FilterShape::bits_per_key() const noexcept {
  const double bits = static_cast<double>(pages) * static_cast<double>(format::kFilterBitsPerPage);
  return bits / static_cast<double>(std::max<std::uint64_t>(keys, 1));
}

double FilterShape::expected_false_positive_rate() const noexcept {
  if (empty()) return 1;
  return keys == 0 ? 0 : blocked_false_positive_rate(bits_per_key(), probes);
}

Result<FilterShape> FilterShape::decode(const format::FilterRecord& record) {
  const auto damaged = [](const char* what) { return Error(Errc::corruption, what); };
  if (record.reserved != 0) return damaged("filter record with unknown fields");
  if (record.pages == 0) {
    if (record.probes != 0 || record.scheme != 0) return damaged("probes of a filter without pages");
    return FilterShape{.keys = record.keys};
  }
  if (record.scheme != format::kFilterScheme) return damaged("filter of an unknown scheme");
  if (record.pages > format::kFilterPagesMax) return damaged("filter of too many pages");
  if (record.probes == 0 || record.probes > format::kFilterProbesMax) return damaged("filter with too many probes");
  return FilterShape{.keys = record.keys, .pages = record.pages, .probes = record.probes};
}

format::FilterRecord FilterShape::encode() const noexcept {
  return {.keys = keys,
          .pages = pages,
          .probes = static_cast<std::uint8_t>(probes),
          .scheme = empty() ? std::uint8_t{0} : format::kFilterScheme,
          .reserved = 0};
}

const char* validate_filter_page(const char* page, const FilterShape& shape, std::uint32_t index) noexcept {
  format::FilterPageHeader header;
  std::memcpy(&header, page, sizeof header);
  if (header.page.type != format::PageType::filter) return "not a filter page";
  if (header.page.level != format::kFilterLevel || header.page.count != format::kFilterBlocksPerPage)
    return "filter page of another make";
  const format::FilterRecord wanted = shape.encode();
  if (std::memcmp(&header.filter, &wanted, sizeof wanted) != 0) return "page of another filter";
  if (header.index != index) return "another page of the filter";
  if (header.reserved0 != 0 || header.reserved1 != 0) return "filter page with unknown fields";
  return nullptr;
}

FilterBuilder::FilterBuilder(const FilterShape& shape) : shape_(shape) {
  CAMBIUM_ASSERT(!shape.empty() && shape.pages <= format::kFilterPagesMax);
  CAMBIUM_ASSERT(shape.probes >= 1 && shape.probes <= format::kFilterProbesMax);
  // calloc, since large zeroed memory comes from the system page by page as it is touched: no long step here.
  pages_.reset(static_cast<char*>(std::calloc(shape.pages, kPageBytes)));
  if (pages_ == nullptr) throw std::bad_alloc();
}

void FilterBuilder::write_page(std::uint32_t index, const node::NodeIdentity& identity, char* page) const noexcept {
  CAMBIUM_ASSERT(index < shape_.pages);
  const format::FilterPageHeader header{.page = {.checksum = 0,
                                                 .type = format::PageType::filter,
                                                 .level = static_cast<std::uint8_t>(format::kFilterLevel),
                                                 .count = format::kFilterBlocksPerPage,
                                                 .page_id = raw(identity.page),
                                                 .generation = raw(identity.generation),
                                                 .file_id = identity.file_id},
                                        .filter = shape_.encode(),
                                        .index = index,
                                        .reserved0 = 0,
                                        .reserved1 = 0};
  std::memcpy(page, pages_.get() + std::size_t{index} * kPageBytes, kPageBytes);
  std::memcpy(page, &header, sizeof header);
}

}  // namespace cambium
