// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/leaf_unpacker.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "lib/node/packed_page.h"
#include "support/codecs.h"
#include "support/node_reader.h"
#include "support/skip.h"

namespace cambium {
namespace {

using format::PackedLeafHeader;
using node::LeafUnpacker;
using node::NodeEntry;
using node::NodeSpan;
using node::NodeView;

constexpr std::size_t kKeyRoom = kKeyBytesMax + NodeView::kKeySlack;

// Ascending keys, cut into leaves.
struct Leaves {
  std::vector<std::string> keys;
  std::vector<std::vector<NodeEntry>> entries;

  explicit Leaves(std::size_t leaves, std::size_t each = 50) {
    for (std::size_t i = 0; i < leaves * each; ++i) keys.push_back(rt::str("key ", 10'000 + 2 * i));
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
      entries.emplace_back();
      for (std::size_t i = 0; i < each; ++i) {
        NodeEntry entry;
        entry.key = keys[leaf * each + i];
        entry.value = keys[(leaf + i) % keys.size()];
        if (i % 7 == 6) {
          entry.kind = format::EntryKind::tombstone;
          entry.value = Bytes();
        }
        entries.back().push_back(entry);
      }
    }
  }
  std::string image() const { return test::image_of(entries); }
};

PackedLeafHeader& header_of(char* page) { return *reinterpret_cast<PackedLeafHeader*>(page); }

// Every accessor stays inside every leaf, and keys ascend through all of them.
const char* fault_in(const NodeSpan& leaves) {
  std::string last;
  for (std::size_t i = 0; i < leaves.count(); ++i) {
    const std::unique_ptr<char[]> copy(new char[kPageBytes]);
    std::memcpy(copy.get(), leaves[i].page(), kPageBytes);
    test::NodeReader reader(copy.get());
    if (const char* const fault = reader.read(); fault != nullptr) return fault;
    char key[kKeyRoom];
    const std::string first(key, NodeView(copy.get()).leaf_key(0, key));
    if (i != 0 && !(last < first)) return "leaves out of order";
    last.assign(key, NodeView(copy.get()).leaf_key(NodeView(copy.get()).count() - 1, key));
  }
  return nullptr;
}

TEST_CASE("leaf unpacker: leaves come back as they were, with the page's number, generation, file and checksum") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  const std::size_t count = GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{8});
  CAPTURE(name_of(compression), count);
  CAMBIUM_NEEDS_CODEC(compression);
  const Leaves made(count);
  const std::unique_ptr<char[]> page = test::pack_image(compression, made.image());
  LeafUnpacker unpacker;
  REQUIRE(unpacker.validate(page.get()) == nullptr);
  const std::unique_ptr<char[]> own(new char[format::kUnpackedBytesMax]);
  for (const NodeSpan& leaves : {unpacker.nodes(page.get()), LeafUnpacker().unpack(page.get(), own.get())}) {
    REQUIRE(leaves.count() == count);
    REQUIRE(leaves.entries() == made.keys.size());
    REQUIRE(leaves.is_leaf());
    std::size_t at = 0;
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(leaves[i].id() == PageId{77});
      CHECK(leaves[i].generation() == Generation{9});
      CHECK(format::header_of(leaves[i].page()).file_id == 0x1234);
      CHECK(format::header_of(leaves[i].page()).checksum == format::header_of(page.get()).checksum);
      for (std::size_t k = 0; k < leaves[i].count(); ++k, ++at) {
        char key[kKeyRoom];
        REQUIRE(Bytes(key, leaves[i].leaf_key(k, key)) == Bytes(made.keys[at]));
        REQUIRE(leaves[i].leaf_entry(k).value == made.entries[i][k].value);
        REQUIRE(leaves[i].leaf_entry(k).kind == made.entries[i][k].kind);
      }
    }
    for (std::size_t i = 0; i < made.keys.size(); ++i) {
      bool equal = false;
      CHECK(leaves.entries_before(leaves.leaf_lower_bound(made.keys[i], equal)) == i);
      CHECK(equal);
      CHECK(leaves.entries_before(leaves.leaf_lower_bound(made.keys[i] + "x", equal)) == i + 1);
      CHECK_FALSE(equal);
    }
    bool equal = true;
    CHECK(leaves.entries_before(leaves.leaf_lower_bound("a", equal)) == 0);
    CHECK(leaves.entries_before(leaves.leaf_lower_bound("z", equal)) == made.keys.size());
  }
}

TEST_CASE("leaf unpacker: a node that is not packed is shown as it is") {
  const Leaves made(1);
  const std::string leaf = made.image();
  LeafUnpacker unpacker;
  CHECK(unpacker.nodes(leaf.data()).front().page() == leaf.data());
  CHECK(unpacker.nodes(leaf.data()).count() == 1);
}

TEST_CASE("leaf unpacker: of two pages each shows its own leaves, in whatever order they are asked for") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  const std::unique_ptr<char[]> one = test::pack_image(compression, Leaves(2).image());
  const std::unique_ptr<char[]> other = test::pack_image(compression, Leaves(5, 20).image());
  LeafUnpacker unpacker;
  REQUIRE(unpacker.validate(one.get()) == nullptr);
  REQUIRE(unpacker.validate(other.get()) == nullptr);  // the same number and generation: the checksum tells
  for (int round = 0; round < 3; ++round) {
    CHECK(unpacker.nodes(one.get()).entries() == 100);
    CHECK(unpacker.nodes(one.get()).count() == 2);
    CHECK(unpacker.nodes(other.get()).count() == 5);
  }
  char broken[kPageBytes];
  std::memcpy(broken, one.get(), kPageBytes);
  broken[sizeof(PackedLeafHeader) + 1] ^= 0x7f;
  static_cast<void>(unpacker.validate(broken));  // which leaves nothing behind that another page could be taken for
  CHECK(unpacker.nodes(one.get()).count() == 2);
  CHECK(fault_in(unpacker.nodes(one.get())) == nullptr);
}

TEST_CASE("leaf unpacker: every changed byte of a page is refused, or what it shows is sound") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  CAPTURE(name_of(compression));
  CAMBIUM_NEEDS_CODEC(compression);
  const Leaves made(3, 20);
  const std::unique_ptr<char[]> page = test::pack_image(compression, made.image());
  LeafUnpacker unpacker;
  std::size_t refused = 0;
  for (std::size_t at = 4; at < kPageBytes; ++at) {
    const char old = page[at];
    for (unsigned bit = 0; bit < 8; ++bit) {
      page[at] = static_cast<char>(old ^ (1 << bit));
      const bool type = at == 4;  // another type is another door's
      if (type || unpacker.validate(page.get()) != nullptr) {
        ++refused;
        continue;
      }
      const char* const fault = fault_in(unpacker.nodes(page.get()));
      if (fault != nullptr) FAIL("byte " << at << ", bit " << bit << ": " << fault);
    }
    page[at] = old;
  }
  CHECK(refused > 8 * (kPageBytes - sizeof(PackedLeafHeader) - header_of(page.get()).packed_bytes));
}

TEST_CASE("leaf unpacker: random changes of what is packed, compressed again, are refused, or sound") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  const std::string good = Leaves(3, 20).image();
  LeafUnpacker unpacker;
  rt::Random random(4);
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string image = good;
    for (std::uint64_t left = random.between(1, 4); left != 0; --left) {
      const std::size_t in_leaf = random.chance(0.5) ? random.below(300) : kPageBytes - 1 - random.below(500);
      char& byte = image[random.below(3) * kPageBytes + in_leaf];
      byte = random.chance(0.5) ? static_cast<char>(byte + 1) : static_cast<char>(random.next());
    }
    const std::unique_ptr<char[]> page = test::pack_image(compression, image);
    if (unpacker.validate(page.get()) != nullptr) continue;
    ++accepted;
    const char* const fault = fault_in(unpacker.nodes(page.get()));
    if (fault != nullptr) FAIL("round " << round << ": " << fault);
  }
  CHECK(accepted > 1000);
}

TEST_CASE("leaf unpacker: forged sizes, counts and fields are refused") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  const std::unique_ptr<char[]> page = test::pack_image(compression, Leaves(3).image());
  LeafUnpacker unpacker;
  REQUIRE(unpacker.validate(page.get()) == nullptr);
  PackedLeafHeader& header = header_of(page.get());
  SECTION("no leaves") { header.page.count = 0; }
  SECTION("another count, of other bytes") { header.page.count = 2; }
  SECTION("another count and size than is packed") {
    header.page.count = 2;
    header.leaf_bytes = 2 * kPageBytes;
  }
  SECTION("one more leaf than is packed") {
    header.page.count = 4;
    header.leaf_bytes = 4 * kPageBytes;
  }
  SECTION("more leaves than a page may have") {
    header.page.count = 9;
    header.leaf_bytes = 9 * kPageBytes;
  }
  SECTION("a size out of this world") { header.leaf_bytes = 0xfffff000; }
  SECTION("nothing packed") { header.packed_bytes = 0; }
  SECTION("too few packed bytes") { header.packed_bytes = static_cast<std::uint16_t>(header.packed_bytes - 1); }
  SECTION("packed bytes beyond the page") { header.packed_bytes = 0xffff; }
  SECTION("packed bytes up to the end of the page, which are not") {
    header.packed_bytes = static_cast<std::uint16_t>(format::kPackedBytesMax);
  }
  SECTION("bytes behind") { page[kPageBytes - 1] = 1; }
  SECTION("an unknown field") { header.reserved = 1; }
  SECTION("the level of a leaf") { header.page.level = 0; }
  SECTION("no compression") { header.compression = Compression::none; }
  SECTION("an unknown compression") { header.compression = static_cast<Compression>(3); }
  CHECK(unpacker.validate(page.get()) != nullptr);
}

TEST_CASE("leaf unpacker: packed leaves that are no leaves, out of order, or not like those of a table are refused") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  Leaves made(3);
  std::string image = made.image();
  LeafUnpacker unpacker;
  SECTION("out of order") { std::swap_ranges(image.begin(), image.begin() + kPageBytes, image.begin() + kPageBytes); }
  SECTION("the same leaf twice") { std::copy(image.begin(), image.begin() + kPageBytes, image.begin() + kPageBytes); }
  SECTION("a branch") {
    std::vector<NodeEntry> children(2);
    children[1].key = made.keys[60];
    for (NodeEntry& child : children) child.child = {100, 1, 1};
    node::build_node(image.data() + kPageBytes, {PageId{}, Generation{}, 0, 1}, children);
  }
  SECTION("packed leaves") { format::header_of(image.data()).type = format::PageType::packed_leaf; }
  SECTION("an entry that tables do not hold") {
    made.entries[1][3].kind = format::EntryKind::merge;
    image = made.image();
  }
  SECTION("a leaf that says where it is") { format::header_of(image.data()).page_id = 77; }
  SECTION("a leaf with a checksum") { format::header_of(image.data()).checksum = 77; }
  SECTION("a leaf without entries") { format::header_of(image.data()).count = 0; }
  const std::unique_ptr<char[]> page = test::pack_image(compression, image);
  CHECK(unpacker.validate(page.get()) != nullptr);
}

TEST_CASE("leaf unpacker: a codec that this build lacks is named") {
  LeafUnpacker unpacker;
  for (const Compression missing : {Compression::lz4, Compression::zstd}) {
    if (has_codec(missing)) continue;
    char page[kPageBytes];
    node::build_packed_leaf(page, {PageId{77}, Generation{9}, 0x1234, 0}, missing, 1, "some bytes");
    const char* const wrong = unpacker.validate(page);
    REQUIRE(wrong != nullptr);
    CHECK(std::string(wrong).find(name_of(missing)) != std::string::npos);
  }
}

}  // namespace
}  // namespace cambium
