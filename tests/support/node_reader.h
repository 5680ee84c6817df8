// SPDX-License-Identifier: MIT OR Apache-2.0
// NodeReader: reads a page that validate_node() has accepted by every accessor there is, and says what is wrong.
//
// Shared by the fuzz target node_decode and by the damage tests of lib/node: whatever the bytes are, every reader stays
// inside the page, keys ascend, each is found again, and a merge can build the node anew.
//
// Errors     text of the first thing that must not be; null when all is well. What leaves the page is seen by
//            AddressSanitizer when the page lies in a heap block of exactly its size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/overflow_value.h"
#include "node/node_builder.h"
#include "node/node_view.h"

namespace cambium::test {

class NodeReader {
 public:
  // Requires: validate_node(page) == nullptr; the page outlives the reader.
  explicit NodeReader(const char* page) : view_(page) {}

  // Keys and entries, each found again by its key.
  const char* read() {
    if (!inside(view_.prefix())) return "a prefix outside the page";
    if (view_.free_bytes() >= kPageBytes) return "more free bytes than a page has";
    std::size_t key_bytes = 0;
    for (std::size_t i = 0; i < view_.count(); ++i) {
      const char* fault = read_key(view_, i, keys_);
      if (fault == nullptr) fault = view_.is_leaf() ? read_leaf_entry(i) : read_branch_entry(i);
      if (fault != nullptr) return fault;
      key_bytes += keys_.back().size();
    }
    // The sum that a cursor reserves for the keys of a page.
    const std::size_t reserved = view_.count() * (view_.prefix().size() + format::kHeadBytes) + kPageBytes;
    return key_bytes <= reserved ? nullptr : "keys that are longer together than a cursor has room for";
  }

  // Keys that are not there: between, below and above those that are. Requires: read().
  const char* probe() const {
    for (const std::string& key : keys_) {
      for (const std::string& other : {key + '\0', key.substr(0, key.size() / 2), key + "\xff"}) {
        if (other.empty() || other.size() > kKeyBytesMax) continue;
        const char* const fault = view_.is_leaf() ? probe_leaf(other) : probe_branch(other);
        if (fault != nullptr) return fault;
      }
    }
    return nullptr;
  }

  // Builds the node anew from what was read. Requires: read().
  const char* rebuild() const {
    std::vector<node::NodeEntry> entries(keys_.size());
    node::NodeSize size(view_.is_leaf());
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      entries[i].key = keys_[i];
      if (view_.is_leaf()) {
        const node::LeafEntry entry = view_.leaf_entry(i);
        entries[i].value = entry.value;
        entries[i].kind = entry.kind;
        entries[i].expiry = entry.expiry;
      } else {
        entries[i].child = view_.child(i);
      }
      size.add(entries[i]);
    }
    if (size.bytes() > kPageBytes) return "a page whose entries do not fit a page";
    const std::unique_ptr<char[]> again(new char[kPageBytes]);
    node::build_node(again.get(), {PageId{78}, Generation{10}, 0x1234, view_.level()}, entries);
    if (node::validate_node(again.get()) != nullptr) return "a rebuilt node is refused";
    std::vector<std::string> keys;
    const node::NodeView copy(again.get());
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      const char* const fault = read_key(copy, i, keys);
      if (fault != nullptr) return fault;
    }
    return keys == keys_ ? nullptr : "a rebuilt node holds other keys";
  }

 private:
  static constexpr std::size_t kKeyRoom = kKeyBytesMax + node::NodeView::kKeySlack;

  bool inside(Bytes bytes) const {
    return bytes.data() >= view_.page() && bytes.data() + bytes.size() <= view_.page() + kPageBytes;
  }

  // Adds the key to those before it.
  static const char* read_key(const node::NodeView& view, std::size_t index, std::vector<std::string>& keys) {
    // In a block of its own, so that writing a key beyond its room is seen.
    const std::unique_ptr<char[]> key(new char[kKeyRoom]);
    const std::size_t bytes = view.is_leaf() ? view.leaf_key(index, key.get()) : view.separator(index, key.get());
    if (bytes > kKeyBytesMax) return "a key longer than any key";
    if (bytes == 0 && (view.is_leaf() || index != 0)) return "an empty key";
    keys.emplace_back(key.get(), bytes);
    const bool ordered = index <= (view.is_leaf() ? 0u : 1u) || keys[index - 1] < keys[index];
    return ordered ? nullptr : "keys out of order";
  }

  const char* read_leaf_entry(std::size_t index) const {
    const std::string& key = keys_[index];
    bool equal = false;
    if (view_.leaf_lower_bound(key, equal) != index || !equal) return "a leaf does not find its own key";
    if (view_.leaf_record_hint(key) >= kPageBytes) return "a hint outside the page";
    node::LeafEntry placed{};
    if (!view_.leaf_entry_at(index, view_.leaf_record_offset(index), key, placed)) return "a true place is denied";
    const node::LeafEntry entry = view_.leaf_entry(index);
    if (!inside(entry.value)) return "a value outside the page";

    char again[kKeyRoom];
    node::LeafEntry read{};
    const std::size_t bytes = node::NodeView::LeafReader(view_).read(index, again, read);
    const bool same = Bytes(again, bytes) == Bytes(key) && read.value == entry.value && read.kind == entry.kind &&
                      read.expiry == entry.expiry;
    if (!same) return "two readers of one entry disagree";
    if (entry.kind != format::EntryKind::overflow) return nullptr;
    const OverflowView overflow(entry.value);
    std::uint64_t pages = 0;
    for (std::size_t i = 0; i < overflow.extent_count(); ++i) pages += overflow.extent(i).pages;
    return pages == format::overflow_pages(overflow.value_bytes()) ? nullptr : "extents that do not hold the value";
  }
  const char* read_branch_entry(std::size_t index) const {
    const std::string& key = keys_[index];
    if (view_.child(index).empty()) return "a branch without a child";
    if (key.empty()) return nullptr;
    if (view_.child_index(key) != index) return "a branch does not find its own separator";
    return view_.child_index_below(key) == index - 1 ? nullptr : "the child below a separator is not the one before";
  }

  const char* probe_leaf(const std::string& key) const {
    bool equal = false;
    const std::size_t found = view_.leaf_lower_bound(key, equal);
    const auto expected = std::lower_bound(keys_.begin(), keys_.end(), key);
    if (found != static_cast<std::size_t>(expected - keys_.begin())) return "a lower bound is elsewhere";
    return equal == (expected != keys_.end() && *expected == key) ? nullptr : "a key is found, or not, wrongly";
  }
  const char* probe_branch(const std::string& key) const {
    const auto expected = std::upper_bound(keys_.begin() + 1, keys_.end(), key) - keys_.begin() - 1;
    return view_.child_index(key) == static_cast<std::size_t>(expected) ? nullptr : "another child";
  }

  node::NodeView view_;
  std::vector<std::string> keys_;
};

}  // namespace cambium::test
