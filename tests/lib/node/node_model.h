// SPDX-License-Identifier: MIT OR Apache-2.0
// A random node as plain strings, and the page that the builder makes of it.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "format/overflow_reference.h"
#include "lib/node/key_sets.h"
#include "node/node_builder.h"

namespace cambium::test {

// The page lies in a heap block of exactly its size, so that AddressSanitizer sees a read beyond it.
struct ModelNode {
  bool leaf = true;
  std::vector<std::string> keys;
  std::vector<std::string> values;
  std::vector<node::NodeEntry> entries;

  unsigned level() const { return leaf ? 0 : 3; }

  std::unique_ptr<char[]> build(char background = '\xa5') const {
    std::unique_ptr<char[]> page(new char[kPageBytes]);
    std::memset(page.get(), background, kPageBytes);
    node::build_node(page.get(), {PageId{77}, Generation{9}, 0x1234, level()}, entries);
    return page;
  }

  static std::string random_value(rt::Random& random, format::EntryKind& kind) {
    if (random.chance(0.1)) {  // an overflow reference that is whole
      kind = format::EntryKind::overflow;
      const auto extents = static_cast<std::uint32_t>(random.between(1, format::kOverflowExtentsMax));
      const format::OverflowReference record{extents * 2 * static_cast<std::uint32_t>(kPageBytes), 5, 7};
      std::string value(reinterpret_cast<const char*>(&record), sizeof record);
      for (std::uint32_t i = 0; i < extents; ++i) {
        const format::OverflowExtent extent{100 + 10 * i, 2};
        value.append(reinterpret_cast<const char*>(&extent), sizeof extent);
      }
      return value;
    }
    kind = random.chance(0.1) ? format::EntryKind::tombstone : format::EntryKind::value;
    if (kind == format::EntryKind::tombstone) return {};
    std::string value(random.chance(0.05) ? random.below(kInlineValueBytesMax + 1) : random.below(40), '\0');
    random.bytes(value.data(), value.size());
    return value;
  }

  // One entry, a few, or as many as a page takes.
  static ModelNode random(rt::Random& random, bool leaf) {
    ModelNode model;
    model.leaf = leaf;
    const std::size_t most = random.chance(0.3) ? random.between(1, 5) : 400;
    model.keys = random_keys(random, static_cast<KeyShape>(random.below(kKeyShapes)), most);
    model.values.resize(model.keys.size());
    node::NodeSize size(leaf);
    for (std::size_t i = 0; i < model.keys.size(); ++i) {
      node::NodeEntry entry;
      entry.key = model.keys[i];
      if (leaf) {
        model.values[i] = random_value(random, entry.kind);
        entry.value = model.values[i];
        entry.expiry = random.chance(0.1) ? random.next() | 1 : 0;
      } else {
        entry.child = {
            .page = static_cast<std::uint32_t>(random.between(4, 1'000'000)), .checksum = 3, .entries = i + 1};
      }
      if (size.bytes_with(entry) > kPageBytes) break;
      size.add(entry);
      model.entries.push_back(entry);
    }
    return model;
  }
};

}  // namespace cambium::test
