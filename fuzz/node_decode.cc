// SPDX-License-Identifier: MIT OR Apache-2.0
// Bytes as a tree node. What validate_node() accepts, every reader of lib/node must read inside the page, in ascending
// order, and find again; and a merge must be able to build it anew.
//
// Input      u16 front; so many bytes of the page from offset 4 on (the checksum is not looked at here); the rest is
// the
//            end of the page, which is where the heap lies. Between them the page is zero, so small nodes are short.
#include <algorithm>
#include <cstring>
#include <memory>

#include "base/endian.h"
#include "fuzz/target.h"
#include "node/node_view.h"
#include "support/node_reader.h"

namespace {

void require_sound(const char* fault) { CAMBIUM_FUZZ_REQUIRE(fault == nullptr, fault); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cambium;
  constexpr std::size_t kChecksumBytes = sizeof(std::uint32_t);
  if (size < 2) return 0;
  const std::size_t bytes = std::min(size - 2, kPageBytes - kChecksumBytes);
  const std::size_t front = std::min<std::size_t>(rt::load_le16(reinterpret_cast<const char*>(data)), bytes);
  const std::unique_ptr<char[]> page(new char[kPageBytes]());
  std::memcpy(page.get() + kChecksumBytes, data + 2, front);
  std::memcpy(page.get() + kPageBytes - (bytes - front), data + 2 + front, bytes - front);
  if (node::validate_node(page.get()) != nullptr) return 0;
  test::NodeReader reader(page.get());
  require_sound(reader.read());
  require_sound(reader.probe());
  require_sound(reader.rebuild());
  return 0;
}
