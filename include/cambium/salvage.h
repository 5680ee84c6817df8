// SPDX-License-Identifier: MIT OR Apache-2.0
// salvage(): copies every entry that can still be read from a damaged partition into a new one.
//
//   SalvageReport report = co_await check(salvage(core, "damaged.cambium", "rescued.cambium"));
//
// The tables are walked from the newest superblock that is whole, passing over what is damaged. If something is, all
// pages of the file are searched for leaves that belong to no tree any more: those below a damaged branch, and older
// versions of damaged leaves. Which version of a key is taken:
//   1. one that the tree still reaches, always;
//   2. else, only inside a range of keys that was lost, one from such an orphaned leaf, the highest generation first. A
//      leaf speaks for all keys from its first to its last: what an older leaf holds among them was overwritten or
//      deleted.
// Then the log is read, if there is one: what the tables had not got yet is written to the new file as newer writes, in
// their order, up to the first one that is missing. A file that open() refuses for its log gives its tables, and the
// log up to where it is damaged.
//
// An orphaned leaf does not say whose it is. It goes to the one table that lost some of its keys; where more than one
// table did, it is left out. What comes out of orphans may be older than what was lost, and may have been deleted.
//
// Errors     not_found, busy, unsupported (not a partition), exists (the new file is there), corruption when nothing is
//            left to begin with, invalid_argument for a value that memory_bytes is too small for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/options.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/core.h>
#include <cambium/rt/export.h>
#include <cambium/rt/op.h>

namespace cambium {

// Keys that could not be read where they should be.
struct LostRange {
  std::string table;
  std::string from;               // included
  std::string to;                 // excluded; empty: to the last key
  std::uint64_t entries = 0;      // that were there, as far as anything says; 0: not known
  std::uint64_t found_again = 0;  // of orphaned leaves
  std::string reason;             // one line, which names the page

  // Every entry was found again in orphaned leaves: nothing is lost here.
  bool made_up_for() const noexcept { return entries != 0 && found_again == entries; }
};

struct SalvageReport {
  std::uint64_t tables = 0;
  std::uint64_t entries = 0;           // copied, those of orphaned leaves included
  std::uint64_t orphan_entries = 0;    // of these, from orphaned leaves
  std::uint64_t pages_searched = 0;    // for orphans; 0 when nothing was damaged
  std::uint64_t orphans_left_out = 0;  // leaves that could belong to more than one table
  std::uint64_t log_writes = 0;        // puts and deletes that came from the log
  std::uint64_t log_left_out = 0;      // of a table or a kind that is not known here
  std::string log_damage;              // the first place; empty: the log is whole, or there is none
  Sequence log_lost_from{};            // the writes that the damage cost; 0: none
  Sequence log_lost_to{};              // 0: the end is not known
  bool commit_lost = false;            // the other superblock is gone: the newest commit may have been in it
  std::vector<LostRange> lost;

  bool complete() const noexcept {
    if (commit_lost || orphans_left_out != 0 || log_left_out != 0 || log_lost_from != Sequence{}) return false;
    for (const LostRange& range : lost) {
      if (!range.made_up_for()) return false;
    }
    return true;
  }
};

// Never writes to `from`, which must not be open for writing elsewhere; makes `to`. An error leaves `to` incomplete.
CAMBIUM_EXPORT Op<SalvageReport> salvage(Core& core, Bytes from, Bytes to, std::uint64_t memory_bytes = 256 * MiB);

}  // namespace cambium
