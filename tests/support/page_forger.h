// SPDX-License-Identifier: MIT OR Apache-2.0
// Forges the pages of a partition at rest: rewrites bytes, then makes every checksum right again, from the page up to
// the superblock, so that nothing but the meaning of the bytes is wrong. What a careful enemy, or a bug of ours, would
// leave behind.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/crc32c.h"
#include "format/node_page.h"
#include "format/overflow_reference.h"
#include "format/space_page.h"
#include "format/superblock.h"
#include "format/table_row.h"
#include "node/node_view.h"

namespace cambium::test {

// Does an error name the file and the page?
inline bool names(const Status& status, const std::string& file, std::uint64_t page) {
  if (status) return false;
  const std::string text(status.error().message());
  return text.find(file) != std::string::npos && text.find("page " + std::to_string(page)) != std::string::npos;
}
inline bool lists(const CheckReport& report, const std::string& file, std::uint64_t page) {
  return std::any_of(report.damages.begin(), report.damages.end(), [&](const Damage& damage) {
    return damage.page == page && damage.reason.find(file) != std::string::npos;
  });
}

class PageForger {
 public:
  using Page = std::string;

  PageForger(SimDisk& disk, std::string file) : disk_(disk), file_(std::move(file)) {
    for (std::uint64_t at = 0; at < format::kSuperblockPages; ++at) {
      const Page page = read(at);
      if (record_of(page).page.generation > record().page.generation) newest_ = at;
    }
  }

  Page read(std::uint64_t page) const { return disk_.peek(file_, page * kPageBytes, kPageBytes); }
  std::uint64_t file_pages() const { return disk_.file_size(file_) / kPageBytes; }
  format::Superblock record() const { return record_of(read(newest_)); }

  // Where a table's root, or any node, is pointed at from: the chain of pages from the superblock down to it.
  struct Link {
    std::uint64_t page;  // that holds the pointer
    std::size_t offset;  // of the pointer in it
  };
  using Path = std::vector<Link>;

  // The way to the root of the default table (or of the one in row `table` of the catalog: of a level store that is its
  // manifest), then to child `index` of each branch in turn.
  Path path_to(const std::vector<std::size_t>& children = {}, std::size_t table = 0) const {
    Path path{{newest_, offsetof(format::Superblock, catalog)}};
    const std::uint64_t catalog = record().catalog.page;  // a single leaf: these catalogs are small
    const Page rows = read(catalog);
    const Bytes row = node::NodeView(rows.data()).leaf_entry(table).value;
    path.push_back({catalog, static_cast<std::size_t>(row.data() - rows.data()) + offsetof(format::TableRow, root)});
    for (const std::size_t child : children) {
      const std::uint64_t branch = target(path).page;
      path.push_back({branch, child_offset(read(branch), child)});
    }
    return path;
  }
  format::ChildPointer target(const Path& path) const {
    format::ChildPointer pointer;
    std::memcpy(&pointer, read(path.back().page).data() + path.back().offset, sizeof pointer);
    return pointer;
  }
  static std::size_t child_offset(const Page& branch, std::size_t child) {
    const node::NodeView view(branch.data());
    const auto* const children = reinterpret_cast<const char*>(view.heads() + view.count());
    return static_cast<std::size_t>(children - branch.data()) + child * sizeof(format::ChildPointer);
  }

  // Changes the page that the path leads to: `edit(page)`.
  template <class Edit>
  void rewrite(const Path& path, Edit edit) {
    const std::uint64_t page = target(path).page;
    Page bytes = read(page);
    edit(bytes);
    write_below(path, page, std::move(bytes));
  }
  // Changes the pointer that the path ends with, and nothing of what it points at.
  template <class Edit>
  void redirect(Path path, Edit edit) {
    const Link link = path.back();
    path.pop_back();
    Page bytes = read(link.page);
    format::ChildPointer pointer;
    std::memcpy(&pointer, bytes.data() + link.offset, sizeof pointer);
    edit(pointer);
    std::memcpy(bytes.data() + link.offset, &pointer, sizeof pointer);
    write_below(path, link.page, std::move(bytes));
  }
  // Changes the newest superblock: `edit(record)`; all four copies become it, as after an opening.
  template <class Edit>
  void rewrite_superblock(Edit edit) {
    format::Superblock changed = record();
    edit(changed);
    write_superblocks(changed);
  }
  // Changes the bitmap of group 0 in its newest slot: `edit(page)`; its free count follows.
  template <class Edit>
  void rewrite_bitmap(Edit edit) {
    const format::TableRecord table = record().tables[0];
    const std::uint64_t table_at = format::kSuperblockPages + format::kBitmapSlots + table.slot;
    Page table_page = read(table_at);
    auto& groups = *reinterpret_cast<format::GroupTablePage*>(table_page.data());
    const std::uint64_t bitmap_at = format::kSuperblockPages + groups.groups[0].slot;
    Page bitmap_page = read(bitmap_at);
    auto& bitmap = *reinterpret_cast<format::GroupBitmapPage*>(bitmap_page.data());
    const auto limit = static_cast<std::uint32_t>(record().file_pages - format::kSuperblockPages);
    edit(bitmap);
    std::uint32_t used = 0;
    for (const std::uint64_t word : bitmap.words) used += static_cast<std::uint32_t>(__builtin_popcountll(word));
    groups.groups[0].free_pages = limit - used;
    groups.groups[0].checksum = seal(bitmap_at, bitmap_page);
    const std::uint32_t checksum = seal(table_at, table_page);
    rewrite_superblock([&](format::Superblock& changed) { changed.tables[0].checksum = checksum; });
  }
  static void set_used(format::GroupBitmapPage& bitmap, std::uint64_t page, bool used) {
    const std::uint64_t bit = page - format::kSuperblockPages;
    const std::uint64_t mask = std::uint64_t{1} << (bit % 64);
    bitmap.words[bit / 64] = used ? bitmap.words[bit / 64] | mask : bitmap.words[bit / 64] & ~mask;
  }

  // Makes the checksum of a page come out as `wanted`, by four bytes of the header that nothing looks at: CRC-32C is
  // linear, so 32 trials say which bits to set. A page can be made to hold its own checksum that way.
  static void force_checksum(Page& page, std::uint32_t wanted) {
    constexpr std::size_t kFree = offsetof(format::NodeHeader, reserved);
    const auto with = [&](std::uint32_t bits) {
      std::memcpy(page.data() + kFree, &bits, sizeof bits);
      return format::page_checksum(page.data());
    };
    const std::uint32_t base = with(0);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> basis;  // effect, bits: reduced by leading effect bit
    for (unsigned i = 0; i < 32; ++i) {
      std::pair<std::uint32_t, std::uint32_t> row{with(1u << i) ^ base, 1u << i};
      for (const auto& known : basis) {
        if ((row.first ^ known.first) < row.first) row = {row.first ^ known.first, row.second ^ known.second};
      }
      if (row.first != 0) basis.push_back(row);
      std::sort(basis.begin(), basis.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    }
    std::uint32_t missing = wanted ^ base;
    std::uint32_t bits = 0;
    for (const auto& known : basis) {
      if ((missing ^ known.first) >= missing) continue;
      missing ^= known.first;
      bits ^= known.second;
    }
    REQUIRE(missing == 0);
    REQUIRE(with(bits) == wanted);
    format::header_of(page.data()).checksum = wanted;
  }
  // Puts a page down as it is, and the checksum of its header right.
  std::uint32_t seal(std::uint64_t at, Page& page) {
    const std::uint32_t checksum = format::seal_page(page.data());
    disk_.poke(file_, at * kPageBytes, page);
    return checksum;
  }
  void put(std::uint64_t at, const Page& page) { disk_.poke(file_, at * kPageBytes, page); }

  // Writes a page, sealed, and the new checksum into its parent, and so on up.
  void write_below(Path path, std::uint64_t page, Page bytes) {
    std::uint32_t checksum = seal(page, bytes);
    while (path.size() > 1) {
      Page parent = read(path.back().page);
      std::memcpy(parent.data() + path.back().offset + offsetof(format::ChildPointer, checksum), &checksum,
                  sizeof checksum);
      checksum = seal(path.back().page, parent);
      path.pop_back();
    }
    if (path.empty()) return;
    rewrite_superblock([&](format::Superblock& changed) { changed.catalog.checksum = checksum; });
  }

 private:
  static format::Superblock record_of(const Page& page) {
    format::Superblock record;
    std::memcpy(&record, page.data(), sizeof record);
    return record;
  }
  void write_superblocks(format::Superblock changed) {
    for (std::uint64_t at = 0; at < format::kSuperblockPages; ++at) {
      changed.page.page_id = at;
      Page page(reinterpret_cast<const char*>(&changed), sizeof changed);
      seal(at, page);
    }
  }

  SimDisk& disk_;
  std::string file_;
  std::uint64_t newest_ = 0;  // the page of the newest superblock copy
};

}  // namespace cambium::test
