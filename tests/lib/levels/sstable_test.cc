// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/sstable.h"

#include <catch2/catch.hpp>

#include <cstring>

#include "base/random.h"

namespace cambium {
namespace {

constexpr std::uint64_t kFilePages = 4000;

// 700 leaves, 8 branches, a filter page, 3 directory pages and a root, in two extents.
Sstable made_up(bool learned) {
  Sstable table;
  table.id = SstableId{7};
  table.root.pointer = {2707, 0x1111, 20'000};
  table.root.height = 3;
  table.root.node_pages = 708;
  table.min_key = "a";
  table.max_key = "zebra";
  table.generation = Generation{5};
  table.filter_probes = 6;
  table.filter.push_back({{2708, 0x2222, 0}, kNoFrame});
  table.extents = {{PageId{1000}, 300}, {PageId{2300}, learned ? 413u : 409u}};
  if (learned) table.set_index({2712, 0x3333, 0}, 700);
  return table;
}

TEST_CASE("sstable: a row says all of an sstable, with a learned index and without") {
  const bool learned = GENERATE(false, true);
  const Sstable table = made_up(learned);
  const std::string value = sstable_row_value(table, {3, 9});
  SstablePlace place;
  const Result<SstablePtr> row = read_sstable_row(sstable_row_key(table.id), value, kFilePages, place);
  REQUIRE(row);
  const SstablePtr& at = row.value();
  const Sstable& read = *at;
  CHECK(place == SstablePlace{3, 9});
  CHECK(read.pages() == table.pages());
  CHECK(read.index.leaves == (learned ? 700u : 0u));
  CHECK(read.index.root == table.index.root);
  CHECK(sstable_row_value(read, place) == value);
  if (!learned) return;
  CHECK(read.index.pages() == 4);
  CHECK(read.leaf_page(0) == PageId{1000});
  CHECK(read.leaf_page(299) == PageId{1299});
  CHECK(read.leaf_page(300) == PageId{2300});
  CHECK(read.leaf_page(699) == PageId{2699});
  CHECK(read.directory_page(0) == PageId{2709});
  CHECK(read.directory_page(3) == PageId{2712});  // the root, behind the directory
}

TEST_CASE("sstable: a row with an impossible learned index is corruption", "[F12]") {
  std::string value = sstable_row_value(made_up(true), {1, 1});
  const std::size_t at = value.size() - std::string("azebra").size() - sizeof(format::LearnedIndexRow);
  auto& row = *reinterpret_cast<format::SstableRow*>(value.data());
  format::LearnedIndexRow index;
  std::memcpy(&index, value.data() + at, sizeof index);
  REQUIRE(index.leaves == 700);
  SECTION("no leaves") { index.leaves = 0; }
  SECTION("as many leaves as nodes") { index.leaves = 708; }
  SECTION("more leaves than there can be") { index.leaves = ~std::uint32_t{0}; }
  SECTION("leaves for another number of directory pages") { index.leaves = 300; }
  SECTION("a root that is not the last page") { index.page = 2711; }
  SECTION("a root outside of the extents") { index.page = 5; }
  SECTION("an unknown field") { index.reserved = 1; }
  SECTION("a flag from the future") { row.flags |= 8; }
  SECTION("the record, and no flag") { row.flags = 0; }
  std::memcpy(value.data() + at, &index, sizeof index);
  SstablePlace place;
  CHECK(read_sstable_row(sstable_row_key(SstableId{7}), value, kFilePages, place).code() == Errc::corruption);
}

TEST_CASE("sstable: a row says how many of its leaves are packed, and what they are without") {
  Sstable table = made_up(GENERATE(false, true));
  table.compression = Compression::zstd;
  table.packed = {600, 4'000'000};
  const std::string value = sstable_row_value(table, {3, 9});
  SstablePlace place;
  const Result<SstablePtr> row = read_sstable_row(sstable_row_key(table.id), value, kFilePages, place);
  REQUIRE(row);
  const SstablePtr& read = row.value();
  CHECK(read->compression == Compression::zstd);
  CHECK(read->packed.pages == 600);
  CHECK(read->packed.bytes == 4'000'000);
  CHECK(read->unpacked_pages() == table.pages() - 600 + 977);
  CHECK(read->max_key == "zebra");
  CHECK(sstable_row_value(*read, place) == value);
}

TEST_CASE("sstable: a row with impossible packed leaves is corruption", "[F12]") {
  Sstable table = made_up(true);
  table.compression = Compression::lz4;
  table.packed = {600, 4'000'000};
  std::string value = sstable_row_value(table, {1, 1});
  const std::size_t at = value.size() - std::string("azebra").size() - sizeof(format::PackedLeavesRow);
  auto& row = *reinterpret_cast<format::SstableRow*>(value.data());
  format::PackedLeavesRow packed;
  std::memcpy(&packed, value.data() + at, sizeof packed);
  REQUIRE(packed.pages == 600);
  SECTION("none packed") { packed.pages = 0; }
  SECTION("more packed than there are") { packed.pages = 709; }
  SECTION("no bytes") { packed.bytes = 0; }
  SECTION("more bytes than such pages hold") { packed.bytes = 601 * format::kUnpackedBytesMax; }
  SECTION("bytes out of this world") { packed.bytes = ~std::uint64_t{0}; }
  SECTION("no compression") { packed.compression = Compression::none; }
  SECTION("a compression from the future") { packed.compression = static_cast<Compression>(3); }
  SECTION("an unknown field") { packed.reserved[6] = 1; }
  SECTION("the record, and no flag") { row.flags = format::kSstableLearned; }
  std::memcpy(value.data() + at, &packed, sizeof packed);
  SstablePlace place;
  CHECK(read_sstable_row(sstable_row_key(SstableId{7}), value, kFilePages, place).code() == Errc::corruption);
}

TEST_CASE("sstable: any bytes in a row are refused or lead to pages inside of its extents") {
  rt::Random random(8);
  const std::string whole = sstable_row_value(made_up(true), {1, 1});
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string value = whole;
    for (std::uint64_t n = random.between(1, 3); n != 0; --n) {
      value[random.below(value.size())] = static_cast<char>(random.chance(0.5) ? random.below(256) : 0xff);
    }
    SstablePlace place;
    const Result<SstablePtr> row = read_sstable_row(sstable_row_key(SstableId{7}), value, kFilePages, place);
    if (!row) continue;
    const SstablePtr& at = row.value();
    const Sstable& read = *at;
    if (read.index.leaves == 0) continue;
    ++accepted;
    for (std::uint32_t i = 0; i < read.index.leaves; i += 97) CHECK(raw(read.leaf_page(i)) < kFilePages);
    for (std::uint32_t i = 0; i < read.index.pages(); ++i) CHECK(raw(read.directory_page(i)) < kFilePages);
  }
  CHECK(accepted > 100);  // else this test tests nothing
}

}  // namespace
}  // namespace cambium
