// SPDX-License-Identifier: MIT OR Apache-2.0
// Bytes as a page of packed leaves. What LeafUnpacker::validate() accepts, every reader of lib/node must read inside
// its leaves, in ascending order through all of them, and find again.
//
// Input      u8: bit 0 = zstd, else LZ4; bit 1 = what follows is compressed first: the fuzzer need not learn how.
//            Not compressed by us: u8 leaves; the packed bytes.
//            To be compressed: leaves one behind the other, each u16 front, u16 back; so many bytes of its beginning,
//            from offset 4 on, and of its end. Between them it is zero.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "base/endian.h"
#include "fuzz/target.h"
#include "node/leaf_unpacker.h"
#include "support/node_reader.h"

namespace {

using namespace cambium;

constexpr std::size_t kChecksumBytes = sizeof(std::uint32_t);

void require_sound(const char* fault) { CAMBIUM_FUZZ_REQUIRE(fault == nullptr, fault); }

std::string images_of(const char* at, std::size_t left) {
  std::string images;
  while (left >= 4 && images.size() < format::kUnpackedBytesMax) {
    const std::size_t front = std::min<std::size_t>({rt::load_le16(at), left - 4, kPageBytes - kChecksumBytes});
    const std::size_t back =
        std::min<std::size_t>({rt::load_le16(at + 2), left - 4 - front, kPageBytes - kChecksumBytes - front});
    std::string image(kPageBytes, '\0');
    std::memcpy(image.data() + kChecksumBytes, at + 4, front);
    std::memcpy(image.data() + kPageBytes - back, at + 4 + front, back);
    images += image;
    at += 4 + front + back;
    left -= 4 + front + back;
  }
  return images;
}

void read_leaves(const node::NodeSpan& leaves) {
  std::string last;
  for (std::size_t i = 0; i < leaves.count(); ++i) {
    const std::unique_ptr<char[]> leaf(new char[kPageBytes]);  // AddressSanitizer sees what leaves it
    std::memcpy(leaf.get(), leaves[i].page(), kPageBytes);
    test::NodeReader reader(leaf.get());
    require_sound(reader.read());
    require_sound(reader.probe());
    require_sound(reader.rebuild());
    const node::NodeView view(leaf.get());
    char key[kKeyBytesMax + node::NodeView::kKeySlack];
    for (std::size_t k = 0; k < view.count(); ++k) {
      const Bytes here(key, view.leaf_key(k, key));
      CAMBIUM_FUZZ_REQUIRE(last.empty() || Bytes(last) < here, "packed keys out of order");
      bool equal = false;
      const node::NodeSpan::Place place = leaves.leaf_lower_bound(here, equal);
      CAMBIUM_FUZZ_REQUIRE(equal && place.leaf == i && place.index == k, "a packed key that is not found");
      last.assign(here.data(), here.size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const Compression compression = (data[0] & 1) != 0 ? Compression::zstd : Compression::lz4;
  if (!has_codec(compression)) return 0;
  const auto* const bytes = reinterpret_cast<const char*>(data);
  std::size_t leaves = std::clamp<std::size_t>(data[1], 1, format::kPackedLeavesMax);
  std::string packed;
  if ((data[0] & 2) != 0) {
    const std::string images = images_of(bytes + 1, size - 1);
    if (images.empty()) return 0;
    leaves = images.size() / kPageBytes;
    Compressor codec(compression);
    packed.resize(codec.bound(images.size()));
    packed.resize(codec.compress(images, packed.data()));
  } else {
    packed.assign(bytes + 2, size - 2);
  }
  if (packed.empty() || packed.size() > format::kPackedBytesMax) return 0;
  const std::unique_ptr<char[]> page(new char[kPageBytes]);
  node::build_packed_leaf(page.get(), {PageId{77}, Generation{9}, 0x1234, 0}, compression, leaves, packed);
  format::seal_page(page.get());
  node::LeafUnpacker unpacker;
  if (unpacker.validate(page.get()) != nullptr) return 0;
  const std::unique_ptr<char[]> own(new char[format::kUnpackedBytesMax]);
  const node::NodeSpan again = node::LeafUnpacker().unpack(page.get(), own.get());
  CAMBIUM_FUZZ_REQUIRE(again.count() == unpacker.nodes(page.get()).count(), "another count at the second look");
  read_leaves(again);
  return 0;
}
