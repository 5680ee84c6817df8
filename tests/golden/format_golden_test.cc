// SPDX-License-Identifier: MIT OR Apache-2.0
// The bytes on disk of format version 1, against stored ones. See README.md before changing any.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "format/node_page.h"
#include "format/overflow_reference.h"
#include "format/space_page.h"
#include "format/superblock.h"
#include "format/table_row.h"
#include "format/wal_group.h"
#include "format/wal_segment.h"
#include "levels/blocked_filter.h"
#include "levels/compaction_picker.h"
#include "levels/learned_index.h"
#include "levels/learned_index_builder.h"
#include "levels/sstable.h"
#include "node/leaf_unpacker.h"
#include "node/node_builder.h"
#include "node/node_view.h"
#include "space/allocation_group.h"
#include "support/codecs.h"
#include "support/skip.h"

namespace cambium {
namespace {

constexpr std::size_t kLineBytes = 32;

std::string to_hex(std::string_view page) {
  std::string text;
  for (std::size_t at = 0; at < page.size(); at += kLineBytes) {
    const std::string_view line = page.substr(at, kLineBytes);
    if (line.find_first_not_of('\0') == std::string_view::npos) continue;
    const std::string offset = rt::hex_bytes({std::string{static_cast<char>(at >> 8), static_cast<char>(at & 0xff)}});
    text += offset + "  " + rt::hex_bytes(line) + "\n";
  }
  return text;
}

void compare(const std::string& name, std::string_view page) {
  const std::string path = std::string(CAMBIUM_GOLDEN_DIRECTORY) + "/" + name + ".hex";
  const std::string text = to_hex(page);
  if (std::getenv("CAMBIUM_GOLDEN_WRITE") != nullptr) {
    std::ofstream(path) << text;
    WARN("wrote " << path);
    return;
  }
  std::ifstream file(path);
  REQUIRE(file.good());
  const std::string stored((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(stored == text);  // else the format has changed: see README.md
}

// What compare() has written once, for bytes that a library makes, and may make otherwise in its next version.
std::string stored(const std::string& name) {
  std::ifstream file(std::string(CAMBIUM_GOLDEN_DIRECTORY) + "/" + name + ".hex");
  REQUIRE(file.good());
  std::string page(kPageBytes, '\0');
  for (std::string offset, bytes; file >> offset >> bytes;) {
    for (std::size_t i = 0; i < bytes.size() / 2; ++i) {
      page[std::stoul(offset, nullptr, 16) + i] = static_cast<char>(std::stoul(bytes.substr(2 * i, 2), nullptr, 16));
    }
  }
  return page;
}

constexpr std::uint64_t kFileId = 0x0123456789abcdef;

std::string seal(std::string page) {
  format::seal_page(page.data());
  return page;
}

std::string build(unsigned level, const std::vector<node::NodeEntry>& entries) {
  std::string page(kPageBytes, '\x77');
  node::build_node(page.data(), {PageId{0x1234}, Generation{0x99}, kFileId, level}, entries);
  return seal(page);
}

TEST_CASE("golden: a leaf with every kind of entry, short and long keys, with and without expiry") {
  struct Extents {
    format::OverflowReference record{9000, 0xfeedbeef, 0x98};
    format::OverflowExtent extents[2] = {{0x500, 2}, {0x700, 1}};
  } reference;
  static_assert(sizeof(Extents) == 32);
  std::vector<node::NodeEntry> entries(6);
  entries[0].key = "apple";
  entries[0].value = "red";
  entries[1].key = "applet";
  entries[1].kind = format::EntryKind::value;
  entries[2].key = "apples are sour";
  entries[2].value = "a value of some length";
  entries[2].expiry = 0x1122334455667788;
  entries[3].key = Bytes("appl\xff", 5);
  entries[3].value = Bytes(reinterpret_cast<const char*>(&reference), sizeof reference);
  entries[3].kind = format::EntryKind::overflow;
  entries[4].key = Bytes("appl\xff\x00", 6);
  entries[4].kind = format::EntryKind::tombstone;
  entries[5].key = Bytes(
      "appl\xff\xff"
      "beyond the head",
      21);
  entries[5].kind = format::EntryKind::merge;
  entries[5].value = "+1";
  std::swap(entries[1], entries[2]);  // "apples are sour" < "applet"
  const std::string page = build(0, entries);
  REQUIRE(node::validate_node(page.data()) == nullptr);
  compare("leaf", page);
}

TEST_CASE("golden: a leaf with one entry") {
  std::vector<node::NodeEntry> entries(1);
  entries[0].key = "only";
  entries[0].value = "one";
  compare("leaf_one", build(0, entries));
}

TEST_CASE("golden: a branch with separators in the heads and beyond them") {
  std::vector<node::NodeEntry> entries(4);
  entries[1].key = "user1";
  entries[2].key = "user1000";
  entries[3].key = "user2000 and more";
  for (std::uint32_t i = 0; i < 4; ++i) entries[i].child = {0x2000 + i, 0xc0ffee00 + i, 100 + i};
  const std::string page = build(2, entries);
  REQUIRE(node::validate_node(page.data()) == nullptr);
  compare("branch", page);
}

TEST_CASE("golden: a superblock") {
  std::string page(kPageBytes, '\0');
  auto& superblock = *reinterpret_cast<format::Superblock*>(page.data());
  superblock.page = {.checksum = 0,
                     .type = format::PageType::superblock,
                     .level = 0,
                     .count = 0,
                     .page_id = 2,
                     .generation = 0x99,
                     .file_id = kFileId};
  superblock.magic = format::kMagic;
  superblock.version = format::kFormatVersion;
  superblock.page_bytes = kPageBytes;
  superblock.features_needed = format::kFeatureLog;
  superblock.features_optional = 0x8000000000000001;
  superblock.file_pages = 70'000;
  superblock.sequence = 0x1111;
  superblock.catalog = {0x3333, 0x44444444, 5};
  superblock.catalog_height = 2;
  superblock.next_table_id = 7;
  superblock.wal_log_id = 0x8888;
  superblock.wal_position = 0x9999;
  superblock.wal_segment_count = 2;
  superblock.wal_segment_pages = 0xbbbb;
  superblock.table_count = 2;
  superblock.tables[0] = {0xcccccccc, 1};
  superblock.tables[1] = {0xdddddddd, 0};
  superblock.wal_flags = format::kWalClean;
  superblock.wal_segments[0] = 0xeeee;
  superblock.wal_segments[1] = 0xffff;
  compare("superblock", seal(page));
  CHECK(page.substr(32, 8) == std::string("CAMBIUM\x01"));
}

TEST_CASE("golden: a group bitmap") {
  AllocationGroup group(format::kGroupPages, 4);
  group.use({100, 5});
  group.use({63 + 64, 2});
  group.use({format::kGroupPages - 1, 1});
  group.use({1000, 1});
  group.hold({1000, 1});  // free on disk
  std::string page(kPageBytes, '\0');
  auto& bitmap = *reinterpret_cast<format::GroupBitmapPage*>(page.data());
  bitmap.page = {.checksum = 0,
                 .type = format::PageType::group_bitmap,
                 .level = 0,
                 .count = 0,
                 .page_id = 5,
                 .generation = 0x99,
                 .file_id = kFileId};
  bitmap.group = 3;
  group.write_to(bitmap);
  compare("group_bitmap", seal(page));
}

TEST_CASE("golden: a group table") {
  std::string page(kPageBytes, '\0');
  auto& table = *reinterpret_cast<format::GroupTablePage*>(page.data());
  table.page = {.checksum = 0,
                .type = format::PageType::group_table,
                .level = 0,
                .count = 2,
                .page_id = 6,
                .generation = 0x99,
                .file_id = kFileId};
  table.region = 1;
  table.groups[0] = {0x12121212, 32'000, 1};
  table.groups[1] = {0x34343434, 5, 0};
  compare("group_table", seal(page));
}

TEST_CASE("golden: a table's row in the catalog") {
  format::TableRow row{};
  row.kind = format::TableKind::levels;
  row.height = 3;
  row.name_bytes = 6;
  row.root = {0x3333, 0x44444444, 5'000'000'000};
  row.node_pages = 0x1234;
  row.overflow_pages = 0x5678;
  const std::string bytes = std::string(reinterpret_cast<const char*>(&row), sizeof row) + "events";
  compare("table_row", bytes);
}

TEST_CASE("golden: a segment of the log, with its header and a group of two records") {
  std::string blocks(2 * format::kWalBlockBytes, '\0');
  auto& segment = *reinterpret_cast<format::WalSegmentHeader*>(blocks.data());
  segment.segment_pages = 1024;
  segment.magic = format::kWalMagic;
  segment.log_id = kFileId;
  segment.ordinal = 3;
  segment.previous_end = 3 * 1024 * 4096;
  segment.checksum = format::wal_checksum(segment);
  CHECK(blocks.substr(8, 8) == std::string("CAMBWAL\x01"));
  CHECK(format::intact(segment, kFileId, 1024));

  // The example of wal_group.h, and a batch of two.
  const std::string one("\x0e\0\0\0\x01\0\0\0\x05\0\0\0\0\0\0\0\x01\0\x01\0\x01\0\0\0\x01\0\0\0kv", 30);
  const std::string two(
      "\x25\0\0\0\x02\0\0\0\x06\0\0\0\0\0\0\0"
      "\x02\0\x04\0\0\0\0\0\x07\0\0\0gone"
      "\x03\0\x07\0\x02\0\0\0\x07\0\0\0counter+1",
      53);
  char* group = blocks.data() + format::kWalBlockBytes;
  auto& header = *reinterpret_cast<format::WalGroupHeader*>(group);
  header.payload_bytes = static_cast<std::uint32_t>(one.size() + two.size());
  header.log_id = kFileId;
  header.position = segment.previous_end + format::kWalBlockBytes;
  header.synced_position = segment.previous_end - 8192;
  header.first_sequence = 5;
  header.last_sequence = 7;
  header.flags = format::kWalGroupResumed;
  const std::string payload = one + two;
  std::memcpy(group + format::kWalGroupHeaderBytes, payload.data(), payload.size());
  header.checksum = format::wal_group_checksum(group);
  CHECK(format::plausible(header, kFileId, header.position, format::kWalBlockBytes));
  CHECK(format::intact_group(group));
  compare("wal_segment", blocks);
}

TEST_CASE("golden: a page of a filter") {
  const FilterShape shape = FilterShape::for_keys(4'000, 10);
  REQUIRE(shape.pages == 2);
  FilterBuilder builder(shape);
  // Few of the keys that it was made for, so that the file stays short.
  for (const char* key : {"apple", "pear", "plum", "quince"}) builder.add(filter_hash(key));
  std::string page(kPageBytes, '\x77');
  builder.write_page(1, {PageId{0x1234}, Generation{0x99}, kFileId, 0}, page.data());
  REQUIRE(validate_filter_page(page.data(), shape, 1) == nullptr);
  compare("filter", seal(page));
}

TEST_CASE("golden: a leaf of an sstable, its filter, and the rows of it and of what is left when it is trimmed") {
  std::vector<node::NodeEntry> entries(3);
  entries[0].key = "event 0001";
  entries[0].value = "begun";
  entries[1].key = "event 0002";
  entries[1].kind = format::EntryKind::tombstone;
  entries[2].key = "event 0007";
  entries[2].value = "ended";
  const std::string leaf = build(0, entries);
  REQUIRE(node::validate_node(leaf.data()) == nullptr);

  FilterBuilder builder(FilterShape::for_keys(entries.size(), 10));
  for (const node::NodeEntry& entry : entries) builder.add(filter_hash(entry.key));
  std::string filter(kPageBytes, '\x77');
  builder.write_page(0, {PageId{0x1235}, Generation{0x99}, kFileId, 0}, filter.data());
  filter = seal(filter);
  CHECK(format::header_of(filter.data()).level == format::kFilterLevel);

  Sstable table;
  table.id = SstableId{0x0102030405060708};
  table.root.pointer = {0x1234, format::header_of(leaf.data()).checksum, entries.size()};
  table.root.height = 1;
  table.root.node_pages = 1;
  table.root.overflow_pages = 0x5678;
  table.min_key = "event 0001";
  table.max_key = "event 0007";
  table.generation = Generation{0x99};
  table.tombstones = 1;
  table.content_bytes = 40;
  table.filter_probes = builder.shape().probes;
  table.filter.push_back({{0x1235, format::header_of(filter.data()).checksum, 0}, kNoFrame});
  table.extents.push_back({PageId{0x1234}, 2});
  std::string rows = sstable_row_key(table.id) + sstable_row_value(table, {3, 0x11});
  table.trimmed = true;
  table.min_key = "event 0002";
  const std::string trimmed = sstable_row_value(table, {kBottomLevel, 1});
  rows += trimmed;

  SstablePlace place;
  const Result<SstablePtr> read = read_sstable_row(sstable_row_key(table.id), trimmed, 0x10000, place);
  REQUIRE(read);
  CHECK(place == SstablePlace{kBottomLevel, 1});
  CHECK(read.value()->trimmed);
  CHECK(sstable_row_value(*read.value(), place) == trimmed);
  compare("sstable_leaf", leaf);
  compare("sstable_filter", filter);
  compare("sstable_rows", rows);
}

std::string pack(Compression compression, const std::string& leaves) {
  Compressor codec(compression);
  std::string packed(codec.bound(leaves.size()), '\0');
  packed.resize(codec.compress(leaves, packed.data()));
  std::string page(kPageBytes, '\x77');
  node::build_packed_leaf(page.data(), {PageId{0x1234}, Generation{0x99}, kFileId, 0}, compression,
                          leaves.size() / kPageBytes, packed);
  return seal(page);
}

TEST_CASE("golden: pages of packed leaves unpack to what was packed, and the row of an sstable of them") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  CAPTURE(name_of(compression));
  CAMBIUM_NEEDS_CODEC(compression);
  std::vector<std::vector<node::NodeEntry>> entries(2);
  std::vector<std::string> keys;
  for (int i = 0; i < 6; ++i) keys.push_back("event 000" + std::to_string(i));
  std::string leaves(2 * kPageBytes, '\x77');
  for (std::size_t leaf = 0; leaf < 2; ++leaf) {
    entries[leaf].resize(3);
    for (std::size_t i = 0; i < 3; ++i) {
      entries[leaf][i].key = keys[3 * leaf + i];
      entries[leaf][i].value = "a value that comes again and again";
    }
    entries[leaf][1].value = Bytes();
    entries[leaf][1].kind = format::EntryKind::tombstone;
    node::build_node(leaves.data() + leaf * kPageBytes, {PageId{}, Generation{}, 0, 0}, entries[leaf]);
  }
  const std::string name = "packed_leaf_" + std::string(name_of(compression));
  if (std::getenv("CAMBIUM_GOLDEN_WRITE") != nullptr) compare(name, pack(compression, leaves));
  const std::string page = stored(name);
  REQUIRE(format::header_of(page.data()).checksum == format::page_checksum(page.data()));
  node::LeafUnpacker unpacker;
  REQUIRE(unpacker.validate(page.data()) == nullptr);
  const node::NodeSpan shown = unpacker.nodes(page.data());
  REQUIRE(shown.count() == 2);
  for (std::size_t leaf = 0; leaf < 2; ++leaf) {
    std::string bytes(shown[leaf].page(), kPageBytes);
    CHECK(format::header_of(bytes.data()).page_id == 0x1234);
    CHECK(format::header_of(bytes.data()).checksum == format::header_of(page.data()).checksum);
    CHECK(format::header_of(bytes.data()).generation == 0x99);
    CHECK(format::header_of(bytes.data()).file_id == kFileId);
    format::PageHeader& header = format::header_of(bytes.data());
    header.checksum = 0;
    header.page_id = header.generation = header.file_id = 0;
    CHECK(bytes == leaves.substr(leaf * kPageBytes, kPageBytes));
  }
}

TEST_CASE("golden: the row of a compressed sstable, and of its table in the catalog") {
  Sstable table;
  table.id = SstableId{0x0102030405060708};
  table.root.pointer = {0x1234, 0x44444444, 6};
  table.root.height = 1;
  table.root.node_pages = 1;
  table.min_key = "event 0000";
  table.max_key = "event 0005";
  table.generation = Generation{0x99};
  table.tombstones = 2;
  table.content_bytes = 196;
  table.extents.push_back({PageId{0x1234}, 1});
  table.compression = Compression::zstd;
  table.packed = {1, 0x5678};
  const std::string row = sstable_row_value(table, {3, 0x11});
  SstablePlace place;
  const Result<SstablePtr> read = read_sstable_row(sstable_row_key(table.id), row, 0x10000, place);
  REQUIRE(read);
  CHECK(read.value()->compression == Compression::zstd);
  CHECK(sstable_row_value(*read.value(), place) == row);
  format::TableRow of_table{};
  of_table.kind = format::TableKind::levels;
  of_table.height = 1;
  of_table.name_bytes = 6;
  of_table.compression = Compression::lz4;
  of_table.root = {0x3333, 0x44444444, 1};
  of_table.node_pages = 2;
  compare("compressed_rows", row + std::string(reinterpret_cast<const char*>(&of_table), sizeof of_table) + "events");
}

TEST_CASE("golden: a learned index, its root and a page of its directory") {
  LearnedIndexBuilder builder;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const std::uint64_t number = i < 10 ? i * 1000 : (std::uint64_t{1} << 40) + i * i;
    builder.add("user" + Bytes(u64_key(number)).str(), static_cast<std::uint32_t>(0xc0ffee00 + i));
  }
  while (!builder.plan_some(1000)) continue;
  REQUIRE(builder.fit() == LearnedFit::good);
  std::string page(kPageBytes, '\x77');
  builder.write_directory_page(0, {PageId{0x1234}, Generation{0x99}, kFileId, 0}, page.data());
  page = seal(page);
  const std::uint32_t checksum = format::header_of(page.data()).checksum;
  std::string root(kPageBytes, '\x77');
  builder.write_root({&checksum, 1}, {PageId{0x1235}, Generation{0x99}, kFileId, 0}, root.data());
  root = seal(root);
  REQUIRE(validate_learned_root(root.data()) == nullptr);
  REQUIRE(validate_learned_directory(page.data(), LearnedIndexView(root.data()), 0) == nullptr);
  compare("learned_directory", page);
  compare("learned_root", root);
}

}  // namespace
}  // namespace cambium
