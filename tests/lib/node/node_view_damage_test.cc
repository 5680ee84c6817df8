// SPDX-License-Identifier: MIT OR Apache-2.0
// Whatever the bytes of a page are: validate_node() refuses it, or no accessor leaves the page. The pages lie in heap
// blocks of exactly their size, so AddressSanitizer is the judge; without it, the bounds that can be computed are.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "lib/node/node_model.h"
#include "node/node_view.h"
#include "support/node_reader.h"

namespace cambium {
namespace {

using test::ModelNode;
using test::NodeReader;

// Uses every accessor, as tree, cursor and checker do; now and then builds the node anew, as a merge does.
const char* fault_in(const char* page, bool rebuild) {
  NodeReader reader(page);
  const char* const fault = reader.read();
  return fault == nullptr && rebuild ? reader.rebuild() : fault;
}

TEST_CASE("node damage: every single-byte change is refused or harmless") {
  rt::Random random(1);
  std::size_t refused = 0;
  std::size_t accepted = 0;
  for (unsigned round = 0; round < 12; ++round) {
    const ModelNode model = ModelNode::random(random, round % 2 == 0);
    const std::unique_ptr<char[]> page = model.build();
    for (std::size_t at = 0; at < kPageBytes; ++at) {
      const char old = page[at];
      for (const int change : {1, 0x10, 0x80, 0xff, static_cast<int>(random.between(1, 255))}) {
        page[at] = static_cast<char>(old ^ change);
        if (node::validate_node(page.get()) != nullptr) {
          ++refused;
        } else {
          ++accepted;
          const char* const fault = fault_in(page.get(), false);
          if (fault != nullptr) FAIL("round " << round << ", byte " << at << " changed by " << change << ": " << fault);
        }
      }
      page[at] = old;
    }
    REQUIRE(fault_in(page.get(), true) == nullptr);
  }
  CHECK(refused > 10'000);
  CHECK(accepted > 10'000);  // values, checksums, ids
}

TEST_CASE("node damage: a million multi-byte changes are refused or harmless") {
  const std::uint64_t seed = 2;
  CAPTURE(seed);
  rt::Random random(seed);
  std::size_t accepted = 0;
  std::unique_ptr<char[]> page;
  std::unique_ptr<char[]> good;
  for (unsigned round = 0; round < 1'000'000; ++round) {
    if (round % 1000 == 0) {
      good = ModelNode::random(random, random.chance(0.5)).build();
      page.reset(new char[kPageBytes]);
    }
    std::memcpy(page.get(), good.get(), kPageBytes);
    const std::uint64_t changes = random.between(1, 6);
    for (std::uint64_t i = 0; i < changes; ++i) {
      // Where the structure is, more often than in the middle of the page.
      const std::size_t where = random.below(4);
      const std::size_t at =
          where == 0 ? 4 + random.below(4)
                     : (where == 1 ? 32 + random.below(400)
                                   : (where == 2 ? random.below(kPageBytes) : kPageBytes - 1 - random.below(200)));
      page[at] = random.chance(0.3) ? static_cast<char>(page[at] + 1) : static_cast<char>(random.next());
    }
    if (node::validate_node(page.get()) != nullptr) continue;
    ++accepted;
    const char* const fault = fault_in(page.get(), accepted % 16 == 0);
    if (fault != nullptr) FAIL("round " << round << ": " << fault);
  }
  CHECK(accepted > 1000);
}

// A page may carry a right checksum and yet have been made to hurt.
TEST_CASE("node damage: entries that share heap bytes are refused, since a page of them holds more than a page") {
  std::unique_ptr<char[]> page(new char[kPageBytes]());
  const std::string key(1000, 'k');
  const std::vector<std::string> keys = {"a", "b" + key, "c"};
  std::vector<node::NodeEntry> entries(3);
  for (std::size_t i = 0; i < 3; ++i) entries[i].key = keys[i];
  node::build_node(page.get(), {PageId{77}, Generation{9}, 1, 0}, entries);
  REQUIRE(node::validate_node(page.get()) == nullptr);
  const std::size_t slots = format::heads_offset(0) + 4 * 3;
  std::memcpy(page.get() + slots, page.get() + slots + 2, 2);
  std::memcpy(page.get() + slots + 4, page.get() + slots + 2, 2);
  CHECK(node::validate_node(page.get()) != nullptr);
}

TEST_CASE("node damage: equal heads with the rest out of order are refused") {
  std::unique_ptr<char[]> page(new char[kPageBytes]());
  const std::vector<std::string> keys = {"aHEADxx1", "bHEADxx1", "bHEADxx2"};
  std::vector<node::NodeEntry> entries(3);
  for (std::size_t i = 0; i < 3; ++i) entries[i].key = keys[i];
  node::build_node(page.get(), {PageId{77}, Generation{9}, 1, 0}, entries);
  REQUIRE(node::validate_node(page.get()) == nullptr);
  const std::size_t slots = format::heads_offset(0) + 4 * 3;
  std::swap_ranges(page.get() + slots + 2, page.get() + slots + 4, page.get() + slots + 4);
  CHECK(node::validate_node(page.get()) != nullptr);
}

TEST_CASE("node damage: a head with bytes beyond its short key is refused") {
  std::unique_ptr<char[]> page(new char[kPageBytes]());
  const std::vector<std::string> keys = {"a", "b", "c"};
  std::vector<node::NodeEntry> entries(3);
  for (std::size_t i = 0; i < 3; ++i) entries[i].key = keys[i];
  node::build_node(page.get(), {PageId{77}, Generation{9}, 1, 0}, entries);
  REQUIRE(node::validate_node(page.get()) == nullptr);
  page[format::heads_offset(0) + 4 + 1] = 'x';
  CHECK(node::validate_node(page.get()) != nullptr);
}

}  // namespace
}  // namespace cambium
