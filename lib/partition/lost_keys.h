// SPDX-License-Identifier: MIT OR Apache-2.0
// Sets of keys that salvage() keeps for a table: the ranges that were lost, and the intervals that orphaned leaves have
// spoken for. Pure.
//
// Invariants
//   1. Lost ranges of a table ascend and do not overlap: they are found by a walk in the order of the keys.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <cambium/rt/bytes.h>
#include <cambium/salvage.h>

namespace cambium {

// Closed intervals of keys, those that touch joined.
class KeyIntervals {
 public:
  bool contains(Bytes key) const {
    auto it = last_by_first_.upper_bound(key.str());
    if (it == last_by_first_.begin()) return false;
    return !(Bytes(std::prev(it)->second) < key);
  }
  void add(std::string first, std::string last) {
    auto it = last_by_first_.upper_bound(first);
    if (it != last_by_first_.begin() && std::prev(it)->second >= first) {
      --it;
      first = it->first;
    }
    while (it != last_by_first_.end() && it->first <= last) {
      last = std::max(last, it->second);
      it = last_by_first_.erase(it);
    }
    last_by_first_.emplace(std::move(first), std::move(last));
  }

 private:
  std::map<std::string, std::string> last_by_first_;
};

struct LostKeys {
  std::vector<LostRange> ranges;
  KeyIntervals spoken_for;

  // A walk finds ranges nearly in order: those of one leaf's long values may come before their neighbours.
  void add(LostRange range) {
    auto at = ranges.end();
    while (at != ranges.begin() && range.from < std::prev(at)->from) --at;
    ranges.insert(at, std::move(range));
  }
  // The lost range that the key is in, or null.
  LostRange* find(Bytes key) {
    const auto after = std::partition_point(ranges.begin(), ranges.end(),
                                            [&](const LostRange& range) { return !(key < Bytes(range.from)); });
    if (after == ranges.begin()) return nullptr;
    LostRange& range = *std::prev(after);
    return range.to.empty() || key < Bytes(range.to) ? &range : nullptr;
  }
  bool touches(Bytes first, Bytes last) {
    if (find(first) != nullptr || find(last) != nullptr) return true;
    return std::any_of(ranges.begin(), ranges.end(), [&](const LostRange& range) {
      return !(Bytes(range.from) < first) && !(last < Bytes(range.from));
    });
  }
};

}  // namespace cambium
