// SPDX-License-Identifier: MIT OR Apache-2.0
// What the static_asserts of lib/format cannot say: arithmetic between pages and groups, checksums, the magic.
#include <catch2/catch.hpp>

#include <cstring>
#include <string>

#include "base/random.h"
#include "format/node_page.h"
#include "format/overflow_reference.h"
#include "format/space_page.h"
#include "format/superblock.h"
#include "format/table_row.h"

namespace cambium {
namespace {

using namespace format;

static_assert(sizeof(PageHeader) == 32 && sizeof(NodeHeader) == 40 && sizeof(ChildPointer) == 16);
static_assert(sizeof(Superblock) == kPageBytes && sizeof(GroupBitmapPage) == kPageBytes &&
              sizeof(GroupTablePage) == kPageBytes);
static_assert(sizeof(OverflowReference) == 16 && sizeof(OverflowExtent) == 8 && sizeof(GroupRecord) == 12 &&
              sizeof(TableRow) == 40);
static_assert(offsetof(Superblock, file_pages) == 64 && offsetof(Superblock, sequence) == 72);
static_assert(offsetof(Superblock, catalog_height) == 96 && offsetof(Superblock, next_table_id) == 100);
static_assert(offsetof(Superblock, wal_position) == 112 && offsetof(Superblock, wal_segment_count) == 120);
static_assert(offsetof(Superblock, table_count) == 128);

TEST_CASE("format: the magic spells CAMBIUM and the version of the spelling") {
  char text[8];
  std::memcpy(text, &kMagic, sizeof text);
  CHECK(std::string(text, 8) == std::string("CAMBIUM\x01"));
}

TEST_CASE("format: pages map to groups and back without a gap or an overlap") {
  CHECK(group_of(PageId{kSuperblockPages}) == 0);
  for (const std::uint32_t group : {0u, 1u, 2u, 335u, 336u, 337u, 33'286u}) {
    const std::uint64_t first = raw(group_first_page(group));
    CHECK(group_of(PageId{first}) == group);
    CHECK(group_of(PageId{first + kGroupPages - 1}) == group);
    CHECK(group_of(PageId{first + kGroupPages}) == group + 1);
    CHECK(group_own_pages(group) == (group % 336 == 0 ? 4 : 2));
  }
}

TEST_CASE("format: tables and groups reach the largest file") {
  CHECK(group_of(PageId{kFilePagesMax - 1}) / kGroupsPerTable < kTablesMax);
}

TEST_CASE("format: a page's checksum covers every byte but its own four") {
  rt::Random random(1);
  std::string page(kPageBytes, '\0');
  random.bytes(page.data(), page.size());
  const std::uint32_t checksum = seal_page(page.data());
  CHECK(header_of(page.data()).checksum == checksum);
  CHECK(page_checksum(page.data()) == checksum);
  for (std::size_t at = 0; at < kPageBytes; ++at) {
    page[at] = static_cast<char>(page[at] ^ 1);
    REQUIRE((page_checksum(page.data()) == checksum) == (at < 4));
    page[at] = static_cast<char>(page[at] ^ 1);
  }
}

TEST_CASE("format: overflow pages of a value, and a value of the largest size fits the extents of a reference") {
  CHECK(overflow_pages(1) == 1);
  CHECK(overflow_pages(kPageBytes) == 1);
  CHECK(overflow_pages(kPageBytes + 1) == 2);
  CHECK(overflow_pages(kValueBytesMax) == 262'144);
  CHECK(std::uint64_t{kOverflowExtentsMax} * (kGroupPages - 4) >= overflow_pages(kValueBytesMax));
}

TEST_CASE("format: the arrays of a node begin aligned, right behind the prefix") {
  for (std::size_t prefix = 0; prefix <= kKeyBytesMax; ++prefix) {
    CHECK(heads_offset(prefix) % 4 == 0);
    CHECK(heads_offset(prefix) >= sizeof(NodeHeader) + prefix);
    CHECK(heads_offset(prefix) < sizeof(NodeHeader) + prefix + 4);
  }
}

}  // namespace
}  // namespace cambium
