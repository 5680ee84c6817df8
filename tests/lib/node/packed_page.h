// SPDX-License-Identifier: MIT OR Apache-2.0
// A page of packed leaves, from leaves of a test's own making, which need not be good ones.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "node/leaf_unpacker.h"

namespace cambium::test {

// One behind the other, as they are before they are compressed.
inline std::string image_of(const std::vector<std::vector<node::NodeEntry>>& leaves) {
  std::string image(leaves.size() * kPageBytes, '\xa5');
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    node::build_node(image.data() + i * kPageBytes, {PageId{}, Generation{}, 0, 0}, leaves[i]);
  }
  return image;
}

inline std::unique_ptr<char[]> pack_image(Compression compression, const std::string& image) {
  Compressor codec(compression);
  std::string packed(codec.bound(image.size()), '\0');
  packed.resize(codec.compress(image, packed.data()));
  std::unique_ptr<char[]> page(new char[kPageBytes]);
  node::build_packed_leaf(page.get(), {PageId{77}, Generation{9}, 0x1234, 0}, compression, image.size() / kPageBytes,
                          packed);
  format::seal_page(page.get());
  return page;
}

}  // namespace cambium::test
