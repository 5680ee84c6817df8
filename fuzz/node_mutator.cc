// SPDX-License-Identifier: MIT OR Apache-2.0
// The mutator of node_decode. Random bytes are hardly ever a node, and a change of one length breaks the sums that
// validate_node() checks, so half of the time the input is replaced by a valid node, of random keys of the shapes that
// nodes find hard, and half of the time a byte where the structure lies is changed.
#include <algorithm>
#include <cstring>
#include <memory>

#include "base/endian.h"
#include "base/random.h"
#include "format/node_page.h"
#include "fuzz/target.h"
#include "lib/node/node_model.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace cambium {
namespace {

constexpr std::size_t kSkipped = sizeof(std::uint32_t);  // the checksum
constexpr std::size_t kFrontBytes = 2;                   // the number before the page's bytes

// A valid node as an input; 0 when it is too long.
std::size_t write_node(rt::Random& random, std::uint8_t* data, std::size_t max_size) {
  const std::unique_ptr<char[]> page = test::ModelNode::random(random, random.chance(0.5)).build();
  const auto& header = *reinterpret_cast<const format::NodeHeader*>(page.get());
  const bool leaf = header.page.type == format::PageType::leaf;
  const std::size_t per_entry = format::kHeadBytes + sizeof(std::uint16_t) + (leaf ? 0 : sizeof(format::ChildPointer));
  const std::size_t front = format::heads_offset(header.prefix_bytes) + per_entry * header.page.count - kSkipped;
  const std::size_t back = kPageBytes - header.heap_begin;
  if (kFrontBytes + front + back > max_size) return 0;
  rt::store_le16(reinterpret_cast<char*>(data), static_cast<std::uint16_t>(front));
  std::memcpy(data + kFrontBytes, page.get() + kSkipped, front);
  std::memcpy(data + kFrontBytes + front, page.get() + header.heap_begin, back);
  return kFrontBytes + front + back;
}

// Counts, lengths, heads, slots: near the front, each one more or less, or anything.
void change_structure(rt::Random& random, std::uint8_t* data, std::size_t size) {
  const std::size_t structure = std::min<std::size_t>(size, 40 + 22 * 40);
  for (std::uint64_t left = 1 + random.below(3); left != 0; --left) {
    const std::size_t header = kFrontBytes + (random.chance(0.5) ? random.below(4) : 28 + random.below(4));
    const std::size_t at = random.chance(0.3) ? header : random.below(structure);
    const int near = data[at] + (random.chance(0.5) ? 1 : -1);
    data[at] = static_cast<std::uint8_t>(random.chance(0.6) ? near : static_cast<int>(random.below(256)));
  }
}

}  // namespace
}  // namespace cambium

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  cambium::rt::Random random(seed);
  const std::uint64_t kind = random.below(8);
  if (kind == 0) {
    const std::size_t made = cambium::write_node(random, data, max_size);
    if (made != 0) size = made;
  }
  if (kind >= 4 || size < 64) return LLVMFuzzerMutate(data, size, max_size);
  cambium::change_structure(random, data, size);
  return size;
}
