// SPDX-License-Identifier: MIT OR Apache-2.0
// The small logs that wal_replay damages, and the scripts of edits that damage them.
//
// Made once, on a simulated disk, from fixed contents: segments that lie in no order and have been used more than once,
// records that span groups and segments, groups that were synced and groups that were not. One log was finished, of the
// other one the process died.
//
// A script is a tape (tests/support/draws.h); each edit is one byte of kind, with kRepair or not, and its arguments. A
// repair makes the checksum right of the group, or segment header, that the edited block belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <cambium/rt/sim.h>

#include "support/draws.h"
#include "wal/wal_layout.h"
#include "wal/wal_record.h"

namespace cambium::fuzz {

inline constexpr std::string_view kLogPath = "log";
inline constexpr std::uint32_t kFirstLogPage = 4;

struct SampleLog {
  SimDisk disk;
  std::string bytes;  // of the file
  WalLayout layout;
  Sequence in_tables{};
  std::vector<std::string> records;         // text_of() those that the tables do not have
  std::vector<std::uint32_t> unit;          // of each block of the segments: the block with the checksum over it
  std::vector<std::uint32_t> group_blocks;  // those that begin a group

  std::uint32_t blocks() const noexcept { return static_cast<std::uint32_t>(unit.size()); }
};

// `finished`: by WalWriter::finish(), else as a killed process leaves it.
const SampleLog& sample_log(bool finished);

std::string text_of(const WalRecord& record);

enum class LogEdit : std::uint8_t {
  set,   // block, offset, count, bytes
  flip,  // block, offset, bit
  add,   // block, offset, width, amount: to a little-endian number
  copy,  // block, block: the second becomes a copy of the first; repaired, it stands at the right position
  zero,  // block
  cut,   // blocks: the file ends there
};
inline constexpr unsigned kLogEdits = 6;
inline constexpr std::uint8_t kRepairLog = 0x80;

struct DamagedLog {
  std::string bytes;
  bool changed = false;
  bool forged = false;  // something was edited whose checksum is right all the same
};

DamagedLog damaged_log(const SampleLog& sample, test::Draws& script);

}  // namespace cambium::fuzz
