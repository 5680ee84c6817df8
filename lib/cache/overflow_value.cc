// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/overflow_value.h"

#include <algorithm>
#include <string>
#include <vector>

#include <cambium/rt/check.h>
#include <cambium/rt/core.h>

#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "format/space_page.h"

namespace cambium {

namespace {

constexpr const char* kHint = "run `cambium check`; restore the file from a backup, or use `cambium salvage`";

}  // namespace

Status locate_value(const BlockDevice& device, const PageRun* extents, std::size_t count) {
  const std::uint64_t file_pages = device.size_bytes() / kPageBytes;
  std::uint64_t pages = 0;
  bool inside = true;
  for (std::size_t i = 0; i < count; ++i) {
    inside = inside && format::holds_data(extents[i].first, extents[i].pages, file_pages);
    pages += extents[i].pages;
  }
  if (inside && pages <= file_pages) return {};
  return Error(
      Errc::corruption,
      rt::str("value at page ", raw(extents[0].first), " of ", device.name(), " is said to take ", pages, " pages in ",
              count, " extents, which do not lie in the data of the file (", file_pages, " pages)"),
      kHint);
}

Error wrong_value(const BlockDevice& device, PageId first, std::uint32_t value_bytes, std::uint32_t stored,
                  std::uint32_t computed) {
  return Error(Errc::corruption,
               rt::str("value at page ", raw(first), " of ", device.name(), " (", value_bytes,
                       " bytes) fails its checksum (stored ", rt::hex(stored), ", computed ", rt::hex(computed), ")"),
               kHint);
}

Task<Result<OverflowBuffer>> read_overflow(BlockDevice& device, OverflowView reference) {
  // The reference lies in a page that may go while we wait: copy what is needed.
  const std::uint32_t value_bytes = reference.value_bytes();
  const std::uint32_t expected = reference.checksum();
  const std::size_t extent_count = reference.extent_count();
  PageRun extents[format::kOverflowExtentsMax];
  for (std::size_t i = 0; i < extent_count; ++i) extents[i] = reference.extent(i);

  const Status located = locate_value(device, extents, extent_count);
  if (!located) co_return located.error();
  OverflowBuffer buffer = OverflowBuffer::allocate(value_bytes);
  if (!buffer) co_return Error(Errc::resource, rt::str("no memory for a value of ", value_bytes, " bytes"));
  char* at = buffer.data();
  for (std::size_t i = 0; i < extent_count; ++i) {
    const std::uint32_t bytes = extents[i].pages * static_cast<std::uint32_t>(kPageBytes);
    Status read = co_await device.read(raw(extents[i].first) * kPageBytes, at, bytes);
    if (!read) co_return read.error();
    at += bytes;
  }
  constexpr std::uint32_t kStep = 1u << 20;
  std::uint32_t checksum = 0;
  for (std::uint32_t done = 0; done < value_bytes; done += kStep) {
    checksum = rt::crc32c(buffer.data() + done, std::min(kStep, value_bytes - done), checksum);
    if (value_bytes > kStep) co_await device.core().yield();
  }
  if (checksum != expected && !CAMBIUM_PLANTED(value_checksum_unverified)) {
    co_return wrong_value(device, extents[0].first, value_bytes, expected, checksum);
  }
  co_return buffer;
}

}  // namespace cambium
