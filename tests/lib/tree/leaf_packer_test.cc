// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/leaf_packer.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include "lib/node/key_sets.h"
#include "node/leaf_unpacker.h"
#include "support/codecs.h"
#include "support/skip.h"

namespace cambium {
namespace {

using node::NodeEntry;
using node::NodeSpan;
using node::NodeView;

struct Stream {
  std::vector<std::string> keys;
  std::vector<std::string> values;
};

// `noise`: of a hundred values so many that no codec makes smaller.
Stream stream_of(rt::Random& random, std::vector<std::string> keys, std::size_t value_bytes, unsigned noise) {
  Stream stream;
  stream.keys = std::move(keys);
  for (std::size_t i = 0; i < stream.keys.size(); ++i) {
    std::string value(random.below(2 * value_bytes + 1), '\0');
    if (random.below(100) < noise) {
      random.bytes(value.data(), value.size());
    } else {
      for (std::size_t at = 0; at < value.size(); ++at) value[at] = "the same again "[(at + i) % 15];
    }
    stream.values.push_back(value.substr(0, kInlineValueBytesMax));
  }
  return stream;
}

struct Packing {
  std::size_t pages = 0;
  std::size_t leaves_packed = 0;
  PackedLeaves packed;
};

// Packs the stream as the builder does, and reads every page back.
Packing pack(const Stream& stream, Compression compression) {
  Packing result;
  LeafPacker packer(compression);
  node::LeafUnpacker unpacker;
  const std::unique_ptr<char[]> page(new char[kPageBytes]);
  std::size_t seen = 0;
  std::size_t pages_packed = 0;
  const auto take = [&] {
    while (packer.ready()) {
      const std::size_t held = packer.build(page.get(), {PageId{9}, Generation{1}, 1, 0}).size();
      format::seal_page(page.get());
      ++result.pages;
      const bool is_packed = format::is_packed_leaf(page.get());
      if (is_packed) {
        const char* const wrong = unpacker.validate(page.get());
        if (wrong != nullptr) FAIL(wrong);
        ++pages_packed;
      } else {
        REQUIRE(node::validate_node(page.get()) == nullptr);
      }
      const NodeSpan leaves = unpacker.nodes(page.get());
      REQUIRE(leaves.entries() == held);
      if (is_packed) result.leaves_packed += leaves.count();
      for (std::size_t leaf = 0; leaf < leaves.count(); ++leaf) {
        for (std::size_t i = 0; i < leaves[leaf].count(); ++i, ++seen) {
          char key[kKeyBytesMax + NodeView::kKeySlack];
          REQUIRE(Bytes(key, leaves[leaf].leaf_key(i, key)) == Bytes(stream.keys[seen]));
          REQUIRE(leaves[leaf].leaf_entry(i).value == Bytes(stream.values[seen]));
        }
      }
      packer.pop();
      REQUIRE(packer.popped() == seen);
    }
  };
  for (std::size_t i = 0; i < stream.keys.size(); ++i) {
    NodeEntry entry;
    entry.key = stream.keys[i];
    entry.value = stream.values[i];
    packer.add(entry);
    take();
  }
  packer.finish();
  take();
  REQUIRE(seen == stream.keys.size());
  result.packed = packer.packed();
  CHECK(result.packed.pages == pages_packed);
  CHECK(result.packed.bytes <= result.leaves_packed * kPageBytes);
  return result;
}

std::vector<std::string> plain_keys(std::size_t count) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back("key " + std::to_string(1'000'000 + i));
  return keys;
}

TEST_CASE("leaf packer: every entry once and in order, whatever the keys and however well they compress") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  CAPTURE(name_of(compression));
  CAMBIUM_NEEDS_CODEC(compression);
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    const auto shape = static_cast<test::KeyShape>(seed % test::kKeyShapes);
    const std::size_t value_bytes = random.chance(0.3) ? kInlineValueBytesMax / 2 : random.below(120);
    const auto noise = static_cast<unsigned>(random.below(4) * 33);
    pack(stream_of(random, test::random_keys(random, shape, random.between(1, 3000)), value_bytes, noise), compression);
  }
}

TEST_CASE("leaf packer: text of one kind takes a fraction of the pages, and they are full") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  rt::Random random(1);
  const Packing result = pack(stream_of(random, plain_keys(20'000), 100, 0), compression);
  const std::size_t leaves = result.packed.bytes / kPageBytes;
  CHECK(result.packed.pages + 2 >= result.pages);
  CHECK(leaves > 6 * result.packed.pages);
  CHECK(result.leaves_packed >= leaves);
}

TEST_CASE("leaf packer: what compresses to two thirds takes about two thirds of the pages") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  rt::Random random(1);
  const Stream stream = stream_of(random, plain_keys(20'000), 100, 60);
  const Packing result = pack(stream, compression);
  std::uint64_t content = 0;
  for (std::size_t i = 0; i < stream.keys.size(); ++i) content += stream.keys[i].size() + stream.values[i].size();
  CHECK(result.packed.pages > result.pages * 8 / 10);
  CHECK(result.pages * kPageBytes < content * 85 / 100);
  CHECK(result.pages * kPageBytes > content * 60 / 100);
}

TEST_CASE("leaf packer: what does not compress stays in ordinary leaves") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  rt::Random random(1);
  const Packing result = pack(stream_of(random, plain_keys(5'000), 200, 100), compression);
  CHECK(result.packed.pages == 0);
  CHECK(result.packed.bytes == 0);
}

TEST_CASE("leaf packer: text behind noise is packed again before long") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  rt::Random random(1);
  Stream stream = stream_of(random, plain_keys(40'000), 100, 0);
  for (std::size_t i = 0; i < 20'000; ++i) random.bytes(stream.values[i].data(), stream.values[i].size());
  const Packing result = pack(stream, compression);
  const std::size_t content_of_text = 20'000 * 110;
  CHECK(result.packed.bytes > content_of_text * 9 / 10);
}

TEST_CASE("leaf packer: a handful of entries is a leaf") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  rt::Random random(1);
  const Packing result = pack(stream_of(random, plain_keys(5), 100, 0), compression);
  CHECK(result.pages == 1);
  CHECK(result.packed.pages == 0);
}

}  // namespace
}  // namespace cambium
