// SPDX-License-Identifier: MIT OR Apache-2.0
// CrashExplorer: cuts the power at every I/O step of a scripted workload, in many ways, and recovers every result.
//
// The workload runs once on a simulated disk to count its steps, then again, identically (asserted by the trace),
// with a hook at each step that makes crash images: the pending sectors dropped, kept, torn, garbled, by every policy,
// exhaustively while they are few. Over each image a core of its own opens the file, and
//   1. open() succeeds, once the workload's open() has returned;
//   2. Partition::check() finds nothing;
//   3. the content is that of one version between the last acknowledged flush and the last write asked for.
// At each step one image more loses its newest superblock as well: the commit before it has to be whole, unless the
// commit under way has already synced its bitmaps over it (then, and only then, a refusal that says so is right). Where
// everything acknowledged is in the log, the commit before shows all of that, too.
// Some images go on: a marker is written and flushed, the file is opened again. Of some of those the recovery itself
// is cut at every step, and what remains has to hold the same version, with the marker or without.
//
// Units      states: crash images opened; compared: those of them whose content was held against the versions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <cambium/options.h>
#include <cambium/rt/core.h>
#include <cambium/rt/sim.h>
#include <cambium/rt/task.h>

#include "support/version_log.h"

namespace cambium::test {

inline constexpr Bytes kCrashFile = "crash.cambium";

// Small parts, so that a workload of some hundred writes takes some hundred I/Os; of a log the smallest there is, in
// segments of 64 KiB.
constexpr Options crash_options(WalMode mode = WalMode::none, std::uint64_t wal_bytes = 128 * KiB) {
  return {.wal = mode,
          .memory_bytes = 1 * MiB,
          .write_buffer_bytes = 64 * KiB,
          .cache_bytes = 256 * KiB,
          .wal_bytes_max = wal_bytes};
}
std::string crash_key(std::uint64_t i);
// Differs by round, so that an old value in place of a new one changes the content.
std::string crash_value(std::uint64_t i, std::uint64_t round, std::size_t bytes);

struct CrashWorkload {
  const char* name;
  Options options;                                           // `path` and `mode` are filled in
  Task<Status> (*prepare)(Core& core, TracedPartition& db);  // opened and closed around it; no cuts; may be null
  Task<Status> (*run)(Core& core, TracedPartition& db);      // opened and closed around it; cut at every step
  void (*sabotage)(SimDisk& disk) = nullptr;                 // plans faults that the explorer has to notice
  bool fallback_keeps = false;  // the log has all that was acknowledged, also for the older superblock
  Home home = Home::tree;       // of the keys that are written without a table
};

struct CrashReport {
  std::uint64_t steps = 0;  // completed I/Os of the workload
  std::uint64_t cuts = 0;   // of these, steps that changed what a cut may leave behind
  std::uint64_t states = 0;
  std::uint64_t compared = 0;  // of these, by content: neither unborn nor rightly refused
  std::uint64_t states_in_recovery = 0;
  std::uint64_t unborn = 0;             // cuts before the file was made, which refused to open
  std::uint64_t versions_seen = 0;      // different versions recovered
  std::uint64_t fallbacks = 0;          // images without the newest superblock that showed the commit before
  std::vector<std::string> violations;  // the first few
};

// `states`: about how many images to check. Errors of the workload itself are violations. Every other seed draws a
// device of its own: short transfers, retries, its queue depth, refused registration.
CrashReport explore_crashes(const CrashWorkload& workload, std::uint64_t seed, std::uint64_t states);

// The whole test of one workload, in its share of CAMBIUM_CRASH_STATES: explores, prints and counts what it proved, and
// fails with the first violations and the command that replays them.
inline constexpr std::uint64_t kCrashWorkloads = 32;  // that share the states, in suite sim
CrashReport expect_survival(const CrashWorkload& workload);

}  // namespace cambium::test
