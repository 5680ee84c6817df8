// SPDX-License-Identifier: MIT OR Apache-2.0
// The level store against RocksDB, each held to the same memory, with direct I/O and without a log: random load until
// compaction is settled, steady overwrites, gets at depth, YCSB A to F, scans.
//
// A client is a coroutine here and a thread there; the workloads are in lsm/ and know of neither. Figures of the device
// (bytes written, space) are taken from the operating system, by the same method on both sides.
#include "harness/data_file.h"
#include "harness/runner.h"
#include "lsm/groups.h"
#include "lsm/lsm_options.h"
#include "peers/engines.h"

using namespace cambium::bench;

int main(int argc, char** argv) {
  LsmOptions options;
  int exit_code = 0;
  if (!parse_lsm_options(options, argc, argv, exit_code)) return exit_code;

  // Without the peer's options: so RocksDB can also be compared with RocksDB, to tune it.
  const StoreOptions ours_options{.cores = options.cores, .kind = options.kind, .log = options.log, .peer_options = {}};
  const StoreOptions peer_options{
      .cores = options.cores, .kind = options.kind, .log = options.log, .peer_options = options.peer_options};
  const auto ours = make_store(options.ours, ours_options);
  const auto theirs = make_store(options.peer, peer_options);
  const ScratchDir scratch(options.dir, options.keep);
  Report report("bench_levels", scratch.path(), options.describe_all(), options.json_path);
  const Bench bench{.options = options, .report = report, .scratch = scratch, .ours = *ours, .theirs = *theirs};
  if (options.wants("load") || options.wants("gets") || options.wants("scans")) run_big_data(bench);
  if (options.wants("overwrites")) run_overwrites(bench);
  if (options.wants("ycsb")) run_ycsb(bench);
  return report.exit_code();
}
