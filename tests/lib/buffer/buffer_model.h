// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What a write buffer should contain, as a map a reader can trust: the other side of the model tests.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "buffer/buffer_cursor.h"
#include "buffer/ordered_runs.h"

namespace cambium::test {

struct Version {
  std::uint64_t sequence;
  WriteKind kind;
  std::string value;
};

using Model = std::map<std::pair<std::uint32_t, std::string>, std::vector<Version>>;  // oldest first

inline const Version* visible(const std::vector<Version>& versions, std::uint64_t limit) {
  const Version* found = nullptr;
  for (const Version& version : versions) {
    if (version.sequence <= limit) found = &version;
  }
  return found;
}

inline bool same(const BufferEntry* entry, const Version* version) {
  if (entry == nullptr || version == nullptr) return entry == nullptr && version == nullptr;
  return raw(entry->sequence) == version->sequence && entry->kind == version->kind &&
         entry->value().view() == version->value;
}

/// Keys that are hard to order: few bytes, many of them 0x00 or 0xff, prefixes of each other, long equal parts.
inline std::string awkward_key(rt::Random& random) {
  switch (random.below(5)) {
    case 0:
      return std::string(random.between(1, 20), '\0');
    case 1:
      return std::string(random.between(1, 20), '\xff');
    case 2: {
      std::string key = "the same sixteen";
      key.append(random.below(12), '\0');
      if (random.chance(0.5)) key.push_back(static_cast<char>(random.below(256)));
      return key;
    }
    case 3: {
      std::string key(random.between(1, 12), '\0');
      for (char& c : key) c = random.chance(0.5) ? '\0' : (random.chance(0.5) ? '\xff' : 'a');
      return key;
    }
    default: {
      std::string key(random.chance(0.05) ? 1024 : random.between(1, 24), 'k');
      key.back() = static_cast<char>(random.below(256));
      return key;
    }
  }
}

inline void catch_up(OrderedRuns& runs, std::size_t through, std::size_t budget_entries = kStepEntries) {
  for (;;) {
    StepBudget budget(budget_entries);
    if (runs.catch_up_step(budget, through)) return;
  }
}

inline SortedRun merge_all(OrderedRuns& runs, std::size_t budget_entries = kStepEntries) {
  for (;;) {
    StepBudget budget(budget_entries);
    if (runs.merge_all_step(budget)) return runs.whole();
  }
}

/// Null if `run` holds exactly the buffer's entries in the promised order; else what is wrong.
inline const char* run_error(const SortedRun& run, const WriteBuffer& buffer) {
  if (run.count() != buffer.count()) return "count";
  std::size_t at = 0;
  TableId last_table{0};
  for (const TableRange& range : run.tables()) {
    if (range.begin != at || range.end <= range.begin) return "ranges are not adjacent";
    if (at > 0 && range.table <= last_table) return "tables are not ascending";
    last_table = range.table;
    for (; at < range.end; ++at) {
      const SortedRef& ref = run.refs()[at];
      const Bytes key = ref.entry->key();
      if (ref.entry->table != range.table) return "table";
      if (ref.head != key_head(key, range.prefix_bytes)) return "head";
      if (at == range.begin) continue;
      const BufferEntry& before = *run.refs()[at - 1].entry;
      const int order = compare(before.key(), key);
      if (order > 0) return "keys are not ascending";
      if (order == 0 && !(before.sequence >= ref.entry->sequence && &before > ref.entry)) return "versions";
    }
  }
  return at == run.count() ? nullptr : "ranges do not cover the run";
}

}  // namespace cambium::test
