// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/superblock_store.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/planted_bug.h"
#include "base/text.h"
#include "compress/codec.h"

namespace cambium {
namespace {

using format::kSuperblockCopies;
using format::kSuperblockPages;
using format::Superblock;

constexpr std::uint32_t kHeightMax = 16;
// No file gets near it in the life of a device, and counting on from it never wraps round.
constexpr std::uint64_t kCountMax = std::uint64_t{1} << 62;

const Superblock& copy_at(const char* buffer, unsigned page) noexcept {
  return *reinterpret_cast<const Superblock*>(buffer + page * kPageBytes);
}

}  // namespace

bool intact_superblock(const Superblock& record, unsigned page) noexcept {
  return record.magic == format::kMagic && record.page.type == format::PageType::superblock &&
         record.page.page_id == page &&
         record.page.checksum == format::page_checksum(reinterpret_cast<const char*>(&record));
}

namespace {

// Bounds everything that the record says of the log. What is in its segments is for the replay to believe or not.
bool sane_log(const Superblock& record) {
  if ((record.wal_log_id != 0) != ((record.features_needed & format::kFeatureLog) != 0)) return false;
  if (record.wal_log_id == 0) return record.wal_segment_count == 0 && record.wal_flags == 0;
  if (record.wal_segment_count == 0 || record.wal_segment_count > format::kWalSegmentsMax) return false;
  if (record.wal_segment_pages < format::kWalSegmentPagesMin || record.wal_segment_pages > format::kWalSegmentPagesMax)
    return false;
  if (record.wal_position > format::kWalPositionMax || record.wal_position % format::kWalBlockBytes != 0) return false;
  if ((record.wal_flags & ~format::kWalFlags) != 0) return false;
  std::uint32_t pages[format::kWalSegmentsMax];
  std::uint32_t* const end = std::copy_n(record.wal_segments, record.wal_segment_count, pages);
  std::sort(pages, end);
  std::uint64_t free_from = 0;
  return std::all_of(pages, end, [&](std::uint32_t page) {
    const bool apart = page >= free_from;
    free_from = std::uint64_t{page} + record.wal_segment_pages;
    return apart && format::holds_data(PageId{page}, record.wal_segment_pages, record.file_pages);
  });
}

// A record that is intact may still be one that this version must not open.
Status openable(const BlockDevice& device, const Superblock& record) {
  if (record.version != format::kFormatVersion || record.page_bytes != kPageBytes) {
    return Error(Errc::unsupported,
                 rt::str(device.name(), " has format version ", record.version, " with pages of ", record.page_bytes,
                         " bytes; this build reads version ", format::kFormatVersion),
                 "open it with the version of Cambium that wrote it, or a newer one");
  }
  if (Status known = knows_features(device, record); !known) return known;
  const bool sane = record.file_pages >= kSuperblockPages && record.file_pages <= kFilePagesMax &&
                    record.table_count <= format::kTablesMax && record.catalog_height <= kHeightMax &&
                    record.page.generation <= kCountMax && record.sequence <= kCountMax;
  if (!sane) return Error(Errc::corruption, rt::str("superblock of ", device.name(), " holds impossible values"));
  if (!sane_log(record)) {
    return Error(
        Errc::corruption,
        rt::str("superblock of ", device.name(), " holds impossible values for the log: ", record.wal_segment_count,
                " segments of ", record.wal_segment_pages, " pages, start at ", record.wal_position),
        "restore the file from a backup, or use `cambium salvage`");
  }
  if (record.catalog_height != 0 && !format::holds_data(record.catalog.id(), 1, record.file_pages)) {
    return Error(
        Errc::corruption,
        rt::str("superblock of ", device.name(), " names page ", record.catalog.page, " as the catalog's root, ",
                "which lies outside of the data of the file (", record.file_pages, " pages)"),
        "restore the file from a backup, or use `cambium salvage`");
  }
  if (device.size_bytes() < record.file_pages * kPageBytes) {
    return Error(Errc::corruption,
                 rt::str(device.name(), " is ", device.size_bytes(), " bytes long, its superblock says ",
                         record.file_pages * kPageBytes),
                 "the file was cut short: restore it from a backup");
  }
  return {};
}

}  // namespace

Status knows_features(const BlockDevice& device, const Superblock& record) {
  if ((record.features_needed & ~format::kFeaturesKnown) != 0) {
    return Error(Errc::unsupported, rt::str(device.name(), " uses features this build does not know"),
                 "open it with a newer version of Cambium");
  }
  for (const Compression compression : {Compression::lz4, Compression::zstd}) {
    if ((record.features_needed & format::feature_of(compression)) == 0 || has_codec(compression)) continue;
    return Error(
        Errc::unsupported,
        rt::str(device.name(), " has tables compressed with ", name_of(compression),
                ", and this build of Cambium was made without lib", name_of(compression)),
        rt::str("install lib", name_of(compression), "-dev and build Cambium again; the file was not changed"));
  }
  return {};
}

bool holds_superblock(const char* pages) noexcept {
  for (unsigned page = 0; page < kSuperblockPages; ++page) {
    if (intact_superblock(copy_at(pages, page), page)) return true;
  }
  return false;
}

Task<Result<LoadedSuperblock>> load_superblock(BlockDevice& device, char* page_buffer) {
  if (device.size_bytes() < kSuperblockPages * kPageBytes) {
    co_return Error(Errc::unsupported, rt::str(device.name(), " is too short to be a Cambium partition (",
                                               device.size_bytes(), " bytes)"));
  }
  Status read = co_await device.read(0, page_buffer, kSuperblockPages * kPageBytes);
  if (!read) co_return read.error();

  LoadedSuperblock loaded{};
  bool found = false;
  bool any_magic = false;
  Generation newest_of_slot[format::kSuperblockSlots] = {};
  for (unsigned page = 0; page < kSuperblockPages; ++page) {
    const Superblock& copy = copy_at(page_buffer, page);
    const unsigned slot = page / kSuperblockCopies;
    any_magic = any_magic || copy.magic == format::kMagic;
    if (!intact_superblock(copy, page)) {
      loaded.damaged = true;
      continue;
    }
    const Generation generation{copy.page.generation};
    newest_of_slot[slot] = std::max(newest_of_slot[slot], generation);
    const bool newer = generation > Generation{loaded.record.page.generation};
    if (!found || newer != CAMBIUM_PLANTED(older_superblock_chosen)) {
      loaded.record = copy;
      loaded.slot = slot;
      found = true;
    }
  }
  if (!found) {
    if (any_magic) {
      co_return Error(Errc::corruption, rt::str("both superblocks of ", device.name(), " are damaged"),
                      "restore the file from a backup; it was not changed");
    }
    co_return Error(Errc::unsupported, rt::str(device.name(), " is not a Cambium partition"),
                    "check the path; the file was not changed");
  }
  loaded.other = newest_of_slot[1 - loaded.slot];
  Status usable = openable(device, loaded.record);
  if (!usable) co_return usable.error();
  co_return loaded;
}

Task<Status> write_superblock(BlockDevice& device, const format::Superblock& record, unsigned slot, char* page_buffer) {
  const unsigned first_page = slot * kSuperblockCopies;
  for (unsigned copy = 0; copy < kSuperblockCopies; ++copy) {
    char* page = page_buffer + copy * kPageBytes;
    std::memcpy(page, &record, kPageBytes);
    format::header_of(page).page_id = first_page + copy;
    format::seal_page(page);
  }
  const unsigned copies = CAMBIUM_PLANTED(superblock_copy_missing) ? 1 : kSuperblockCopies;
  Status written = co_await device.write(first_page * kPageBytes, page_buffer, copies * kPageBytes);
  co_return written;
}

}  // namespace cambium
