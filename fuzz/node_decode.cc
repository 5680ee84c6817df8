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
#include <string>
#include <vector>

#include "base/endian.h"
#include "cache/overflow_value.h"
#include "fuzz/target.h"
#include "node/node_builder.h"
#include "node/node_view.h"

namespace cambium {
namespace {

using node::LeafEntry;
using node::NodeView;

constexpr std::size_t kKeyRoom = kKeyBytesMax + NodeView::kKeySlack;

bool inside(const char* page, Bytes bytes) {
  return bytes.data() >= page && bytes.data() + bytes.size() <= page + kPageBytes;
}

std::string key_at(const NodeView& view, std::size_t index) {
  // In a block of its own, so that writing a key beyond its room is seen.
  const std::unique_ptr<char[]> key(new char[kKeyRoom]);
  const std::size_t bytes = view.is_leaf() ? view.leaf_key(index, key.get()) : view.separator(index, key.get());
  CAMBIUM_FUZZ_REQUIRE(bytes <= kKeyBytesMax, "a key longer than any key");
  CAMBIUM_FUZZ_REQUIRE(bytes != 0 || (!view.is_leaf() && index == 0), "an empty key");
  return {key.get(), bytes};
}

void read_leaf_entry(const NodeView& view, std::size_t index, const std::string& key) {
  bool equal = false;
  CAMBIUM_FUZZ_REQUIRE(view.leaf_lower_bound(key, equal) == index && equal, "a leaf does not find its own key");
  const std::size_t offset = view.leaf_record_hint(key);
  CAMBIUM_FUZZ_REQUIRE(offset < kPageBytes, "a hint outside the page");
  LeafEntry placed{};
  CAMBIUM_FUZZ_REQUIRE(view.leaf_entry_at(index, view.leaf_record_offset(index), key, placed),
                       "a true place is denied");
  const LeafEntry entry = view.leaf_entry(index);
  CAMBIUM_FUZZ_REQUIRE(inside(view.page(), entry.value), "a value outside the page");

  char again[kKeyRoom];
  LeafEntry read{};
  const std::size_t bytes = NodeView::LeafReader(view).read(index, again, read);
  CAMBIUM_FUZZ_REQUIRE(Bytes(again, bytes) == Bytes(key) && read.value == entry.value && read.kind == entry.kind &&
                           read.expiry == entry.expiry,
                       "two readers of one entry disagree");
  if (entry.kind != format::EntryKind::overflow) return;
  const OverflowView overflow(entry.value);
  std::uint64_t pages = 0;
  for (std::size_t i = 0; i < overflow.extent_count(); ++i) pages += overflow.extent(i).pages;
  CAMBIUM_FUZZ_REQUIRE(pages == format::overflow_pages(overflow.value_bytes()), "extents that do not hold the value");
}

void read_branch_entry(const NodeView& view, std::size_t index, const std::string& key) {
  CAMBIUM_FUZZ_REQUIRE(!view.child(index).empty(), "a branch without a child");
  if (key.empty()) return;
  CAMBIUM_FUZZ_REQUIRE(view.child_index(key) == index, "a branch does not find its own separator");
  CAMBIUM_FUZZ_REQUIRE(view.child_index_below(key) == index - 1, "the child below a separator is not the one before");
}

// Keys that are not there: between, below and above those that are.
void probe(const NodeView& view, const std::vector<std::string>& keys) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::string other : {keys[i] + '\0', keys[i].substr(0, keys[i].size() / 2), keys[i] + "\xff"}) {
      if (other.empty() || other.size() > kKeyBytesMax) continue;
      const auto from = keys.begin() + (view.is_leaf() ? 0 : 1);
      if (view.is_leaf()) {
        bool equal = false;
        const std::size_t found = view.leaf_lower_bound(other, equal);
        const auto expected = std::lower_bound(from, keys.end(), other);
        CAMBIUM_FUZZ_REQUIRE(found == static_cast<std::size_t>(expected - keys.begin()), "a lower bound is elsewhere");
        CAMBIUM_FUZZ_REQUIRE(equal == (expected != keys.end() && *expected == other),
                             "a key is found, or not, wrongly");
      } else {
        const auto expected = std::upper_bound(from, keys.end(), other) - keys.begin() - 1;
        CAMBIUM_FUZZ_REQUIRE(view.child_index(other) == static_cast<std::size_t>(expected), "another child");
      }
    }
  }
}

void rebuild(const NodeView& view, const std::vector<std::string>& keys) {
  std::vector<node::NodeEntry> entries(keys.size());
  node::NodeSize size(view.is_leaf());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    entries[i].key = keys[i];
    if (view.is_leaf()) {
      const LeafEntry entry = view.leaf_entry(i);
      entries[i].value = entry.value;
      entries[i].kind = entry.kind;
      entries[i].expiry = entry.expiry;
    } else {
      entries[i].child = view.child(i);
    }
    size.add(entries[i]);
  }
  CAMBIUM_FUZZ_REQUIRE(size.bytes() <= kPageBytes, "a page whose entries do not fit a page");
  const std::unique_ptr<char[]> again(new char[kPageBytes]);
  node::build_node(again.get(), {PageId{78}, Generation{10}, 0x1234, view.level()}, entries);
  CAMBIUM_FUZZ_REQUIRE(node::validate_node(again.get()) == nullptr, "a rebuilt node is refused");
  const NodeView copy(again.get());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CAMBIUM_FUZZ_REQUIRE(key_at(copy, i) == keys[i], "a rebuilt node holds another key");
  }
}

void read_node(const char* page) {
  const NodeView view(page);
  CAMBIUM_FUZZ_REQUIRE(inside(page, view.prefix()), "a prefix outside the page");
  CAMBIUM_FUZZ_REQUIRE(view.free_bytes() < kPageBytes, "more free bytes than a page has");
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < view.count(); ++i) {
    keys.push_back(key_at(view, i));
    const bool ordered = i <= (view.is_leaf() ? 0u : 1u) || keys[i - 1] < keys[i];
    CAMBIUM_FUZZ_REQUIRE(ordered, "keys out of order");
    view.is_leaf() ? read_leaf_entry(view, i, keys[i]) : read_branch_entry(view, i, keys[i]);
  }
  probe(view, keys);
  rebuild(view, keys);
}

}  // namespace
}  // namespace cambium

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cambium;
  constexpr std::size_t kChecksumBytes = sizeof(std::uint32_t);
  if (size < 2) return 0;
  const std::size_t bytes = std::min(size - 2, kPageBytes - kChecksumBytes);
  const std::size_t front = std::min<std::size_t>(rt::load_le16(reinterpret_cast<const char*>(data)), bytes);
  const std::unique_ptr<char[]> page(new char[kPageBytes]());
  std::memcpy(page.get() + kChecksumBytes, data + 2, front);
  std::memcpy(page.get() + kPageBytes - (bytes - front), data + 2 + front, bytes - front);
  if (node::validate_node(page.get()) == nullptr) read_node(page.get());
  return 0;
}
