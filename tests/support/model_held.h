// SPDX-License-Identifier: MIT OR Apache-2.0
// What the model test keeps alive across writes, flushes and compactions, each with what it has to show.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/partition.h>

#include "base/text.h"
#include "support/model_keys.h"

namespace cambium::test {

// A value that is not what the model says.
inline Error differs(std::string_view what, const std::string& key) {
  return Error(Errc::corruption, rt::str(what, " of key ", rt::hex_bytes(std::string_view(key).substr(0, 24)), " (",
                                         key.size(), " bytes)"));
}

using Model = std::map<std::string, ValueSpec, std::less<>>;
using SharedModel = std::shared_ptr<const Model>;
using Expected = std::optional<ValueSpec>;

inline constexpr std::size_t kSnapshotsMax = 5;
inline constexpr std::size_t kFlushesMax = 3;  // asked for and not collected

// The tables of a partition with what is in each: those of a snapshot may have been dropped since.
struct ModelTables {
  std::vector<Table> handles;  // the default table first
  std::vector<std::shared_ptr<Model>> models;
};

struct HeldSnapshot {
  Snapshot snapshot;
  ModelTables tables;
};

// A range with bounds of its own, since ScanRange only shows them.
struct Range {
  std::string from;
  std::string to;
  std::string prefix;
  bool from_exclusive = false;
  bool to_inclusive = false;
  bool reverse = false;
  std::uint64_t limit = 0;

  ScanRange range() const { return {from, to, from_exclusive, to_inclusive, prefix}; }

  bool holds(const std::string& key) const {
    if (!prefix.empty()) return key.starts_with(prefix);
    if (!from.empty() && (key < from || (from_exclusive && key == from))) return false;
    return to.empty() || key < to || (to_inclusive && key == to);
  }

  // The entries to be shown, in order.
  std::vector<Model::const_iterator> expected(const Model& model) const {
    std::vector<Model::const_iterator> entries;
    const std::string& low = prefix.empty() ? from : prefix;
    for (auto it = model.lower_bound(low); it != model.end(); ++it) {
      if (holds(it->first)) {
        entries.push_back(it);
      } else if (!prefix.empty() ? !it->first.starts_with(prefix) : it->first > to) {
        if (it->first != low) break;
      }
    }
    if (reverse) std::reverse(entries.begin(), entries.end());
    if (limit != 0 && entries.size() > limit) entries.resize(limit);
    return entries;
  }
};

struct HeldScan {
  Scan scan;
  SharedModel model;  // keeps the iterators valid
  std::vector<Model::const_iterator> expected;
  std::size_t at = 0;
  bool ended = false;
};

struct HeldValue {
  Value value;
  ValueSpec spec;
};

struct PendingGet {
  Op<Value> get;
  std::string key;
  Expected expected;
};

}  // namespace cambium::test
