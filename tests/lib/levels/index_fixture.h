// SPDX-License-Identifier: MIT OR Apache-2.0
// Learned indexes over made-up leaves, in memory, and the answer that a plain search of their bounds gives.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <cambium/limits.h>

#include "base/random.h"
#include "levels/learned_index.h"
#include "levels/learned_index_builder.h"
#include "node/node_builder.h"

namespace cambium::test {

// Leaves as ranges of sorted keys.
struct LeafSet {
  std::vector<std::string> keys;
  std::vector<std::size_t> first;   // index of each leaf's first key
  std::vector<std::string> bounds;  // that of leaf 0 is empty

  // The last leaf whose bound is not above the key: what branches answer.
  std::uint32_t leaf_of(const std::string& key) const {
    const auto above = std::upper_bound(bounds.begin() + 1, bounds.end(), key);
    return static_cast<std::uint32_t>(above - bounds.begin()) - 1;
  }
  const std::string& first_key(std::size_t leaf) const { return keys[first[leaf]]; }
};

inline LeafSet cut_into_leaves(rt::Random& random, std::vector<std::string> keys, std::size_t leaf_keys_max) {
  LeafSet set{.keys = std::move(keys), .first = {}, .bounds = {}};
  for (std::size_t at = 0; at < set.keys.size(); at += random.between(1, leaf_keys_max)) {
    set.bounds.push_back(at == 0 ? std::string() : node::shortest_separator(set.keys[at - 1], set.keys[at]).str());
    set.first.push_back(at);
  }
  return set;
}

inline std::uint32_t made_up_checksum(std::size_t leaf) { return static_cast<std::uint32_t>(leaf * 2654435761u); }

struct Index {
  LearnedFit fit = LearnedFit::good;
  std::vector<std::string> directory;
  std::string root;

  LearnedIndexView view() const { return LearnedIndexView(root.data()); }
  LearnedSearch search(Bytes key) const {
    LearnedSearch search = view().search(key);
    for (int pages = 0; !search.done(); ++pages) {
      if (pages == 2) throw std::logic_error("a search wants a third directory page");
      search.narrow(directory.at(search.directory_page()).data());
    }
    return search;
  }
};

inline Index build_index(const std::vector<std::string>& bounds, std::size_t step = ~std::size_t{0}) {
  LearnedIndexBuilder builder;
  for (std::size_t i = 0; i < bounds.size(); ++i) builder.add(bounds[i], made_up_checksum(i));
  while (!builder.plan_some(step)) continue;
  Index index;
  index.fit = builder.fit();
  if (index.fit != LearnedFit::good) return index;
  std::vector<std::uint32_t> checksums;
  for (std::uint32_t i = 0; i < builder.directory_pages(); ++i) {
    std::string page(kPageBytes, '\x77');
    builder.write_directory_page(i, {PageId{100 + i}, Generation{3}, 7, 0}, page.data());
    checksums.push_back(format::seal_page(page.data()));
    index.directory.push_back(page);
  }
  index.root.assign(kPageBytes, '\x77');
  builder.write_root(checksums, {PageId{100 + checksums.size()}, Generation{3}, 7, 0}, index.root.data());
  format::seal_page(index.root.data());
  return index;
}

// The shapes of keys that an index meets.
enum class IndexKeys : unsigned {
  uniform,      // 16 random bytes
  short_keys,   // 1 to 9 random bytes: heads padded with zeros
  sequential,   // big-endian numbers, one after the other
  decimal,      // 16 digits
  clustered,    // dense runs far apart
  dictionary,   // words with common beginnings
  powers,       // gaps of powers of two
  prefixes,     // keys that are prefixes of others, also by zero bytes
  ones,         // bytes of 0xff
  long_prefix,  // 900 bytes in common
};
inline constexpr unsigned kIndexKeyShapes = 10;

inline std::string number_key(std::uint64_t number) { return Bytes(u64_key(number)).str(); }

inline std::string index_key(rt::Random& random, IndexKeys shape, std::size_t i) {
  static constexpr const char* kSyllables[] = {"an", "ber", "con", "de", "er", "fo", "ge", "in", "ma", "ti"};
  const auto random_bytes = [&](std::size_t bytes) {
    std::string text(bytes, '\0');
    random.bytes(text.data(), bytes);
    return text;
  };
  switch (shape) {
    case IndexKeys::uniform:
      return random_bytes(16);
    case IndexKeys::short_keys:
      return random_bytes(random.between(1, 9));
    case IndexKeys::sequential:
      return number_key(1000 + i);
    case IndexKeys::decimal: {
      const std::string digits = std::to_string(random.below(1'000'000'000));
      return std::string(16 - digits.size(), '0') + digits;
    }
    case IndexKeys::clustered:
      return number_key((random.below(5) << 61) + (random.below(7) << 40) + random.below(40'000));
    case IndexKeys::dictionary: {
      std::string word;
      for (std::size_t n = random.between(2, 7); n != 0; --n) word += kSyllables[random.below(10)];
      return word;
    }
    case IndexKeys::powers:
      return number_key((std::uint64_t{1} << random.below(64)) + (std::uint64_t{1} << random.below(64)));
    case IndexKeys::prefixes:
      return "k" + random_bytes(random.below(3)) + std::string(random.below(12), random.chance(0.5) ? '\0' : 'a');
    case IndexKeys::ones:
      return std::string(random.between(1, 1000), '\xff') + (random.chance(0.5) ? random_bytes(1) : std::string());
    case IndexKeys::long_prefix:
      break;
  }
  return std::string(900, 'p') + random_bytes(random.between(1, 12));
}

inline std::vector<std::string> index_keys(rt::Random& random, IndexKeys shape, std::size_t count) {
  std::set<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) keys.insert(index_key(random, shape, i));
  return {keys.begin(), keys.end()};
}

}  // namespace cambium::test
