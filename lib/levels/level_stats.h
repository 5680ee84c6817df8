// SPDX-License-Identifier: MIT OR Apache-2.0
// LevelStats: what lookups met in the sstables of a level store. One for each table, which all of its versions share
// (level_version.h), and one for all tables together (level_store.h).
//
// Units      counters since the partition was opened; those of a table since it was first looked into.
#pragma once

#include <cstdint>

namespace cambium {

struct LevelStats {
  std::uint64_t lookups = 0;                 // that came here: no write buffer had the key
  std::uint64_t searches = 0;                // of an sstable, by them: its filter did not exclude the key
  std::uint64_t filter_checks = 0;           // sstables whose filter was asked
  std::uint64_t filter_negatives = 0;        // of these, searches that the filter made unnecessary
  std::uint64_t filter_false_positives = 0;  // sstables that were searched and did not have the key
  std::uint64_t learned_lookups = 0;         // searches through the learned index of an sstable; not counted by table
  std::uint64_t learned_fallbacks = 0;       // of these, that went on through the branches: leaves share a head
};

}  // namespace cambium
