// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/creation.h"

#include <algorithm>

#include "space/superblock_store.h"

namespace cambium {
namespace {

using format::kSuperblockPages;

// What is written before the mark goes: superblocks, and the first group's bitmap and table.
constexpr std::uint64_t kPagesWritten = kSuperblockPages + format::group_own_pages(0);
static_assert(kPagesWritten % kSuperblockPages == 0 && kFirstFilePages % kSuperblockPages == 0);

bool zeros(const char* data, std::size_t bytes) noexcept {
  return std::all_of(data, data + bytes, [](char byte) { return byte == 0; });
}

}  // namespace

Task<Status> begin_creation(BlockDevice& device) {
  Status done = co_await device.resize(0);  // what an earlier attempt wrote
  if (done) done = co_await device.resize(kUnfinishedBytes);
  if (done) done = co_await device.sync();
  co_return done;
}

Task<Status> end_creation(BlockDevice& device) {
  Status cut = co_await device.resize(kFirstFilePages * kPageBytes);
  co_return cut;
}

Task<Result<bool>> creation_interrupted(BlockDevice& device, char* page_buffer) {
  const std::uint64_t bytes = device.size_bytes();
  const bool marked = bytes == kUnfinishedBytes;
  if (bytes > kUnfinishedBytes || (bytes % kPageBytes != 0 && !marked)) co_return false;
  const std::uint64_t pages = bytes / kPageBytes;
  for (std::uint64_t page = 0; page < pages; page += kSuperblockPages) {
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(pages - page, kSuperblockPages));
    Status read = co_await device.read(page * kPageBytes, page_buffer, count * std::uint32_t{kPageBytes});
    if (!read) co_return read.error();
    if (marked && page == 0 && holds_superblock(page_buffer)) co_return false;
    const bool may_be_written = marked && page < kPagesWritten;
    if (!may_be_written && !zeros(page_buffer, count * kPageBytes)) co_return false;
  }
  co_return true;
}

}  // namespace cambium
