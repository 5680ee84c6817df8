// SPDX-License-Identifier: MIT OR Apache-2.0
// The model test: random operations on a partition and on a std::map, which have to agree about every answer.
//
// One driver for every back end: the core decides whether the file is simulated or real. Besides plain reads and
// writes it keeps things alive across writes, flushes and compactions: snapshots, half-read scans, values, gets and
// flushes that have been asked but not collected; each with what it has to show. Now and then everything is dropped,
// the partition closed, opened again, checked, and compared as a whole.
//
// The operations are drawn from the seed, or (for a fuzzer) from a tape of bytes, and then end with it.
//
// Units      operations: one call of the public API each (a batch or a page of a scan is one).
// Errors     the first disagreement, with the number of the operation; the same setup finds it again.
#pragma once

#include <cstdint>

#include <cambium/options.h>
#include <cambium/rt/core.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>
#include <cambium/table.h>

#include "support/draws.h"

namespace cambium::test {

struct ModelSetup {
  std::uint64_t seed = 1;
  std::uint64_t operations = 10'000;
  Options options;             // of every open(); created by the first
  std::uint64_t keys = 2'000;  // different keys
  bool levels = false;         // every other table is kept in levels
  std::size_t tables = 1;      // whose entries they are; with more than one, tables are renamed and dropped as well
  std::uint64_t held_max = 6;  // values, scans and gets kept at a time, each: they pin pages
  std::uint64_t flush_every = 300;  // operations between flushes, about
  std::uint64_t reopen_every = 2'500;
  std::uint64_t check_every = 1'000;
  bool draw_log =
      false;         // each open() draws the mode and the size of the log; half of the logs are not closed, but left
  Draws::Tape tape;  // not empty: chooses the operations, instead of the seed and of the three numbers above
};

struct ModelReport {
  std::uint64_t operations = 0;
  std::uint64_t flushes = 0;
  std::uint64_t reopens = 0;
  std::uint64_t recoveries = 0;  // of these, from a log that was left
  std::uint64_t checks = 0;      // Partition::check() and a comparison of everything
  std::uint64_t snapshot_reads = 0;
  std::uint64_t entries_scanned = 0;
  std::uint64_t table_changes = 0;  // renamed, or dropped and made anew
};

// Small, with buffers and memory to match the cache: 16 pages evict all the time, 4,096 hold everything.
ModelSetup model_setup(std::uint64_t seed, std::uint64_t cache_pages, std::uint64_t operations);

// Of table `i`: its kind, and of every other level store that it is compressed, where this build can.
TableOptions table_options(const ModelSetup& setup, std::size_t i);

Task<Status> run_model(Core& core, const ModelSetup& setup, ModelReport& report);

void print_report(const char* backend, std::uint64_t cache_pages, const ModelReport& report);

}  // namespace cambium::test
