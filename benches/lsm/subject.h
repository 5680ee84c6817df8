// SPDX-License-Identifier: MIT OR Apache-2.0
// One side of a comparison: a store, its data, and the runs that both sides do alike.
//
// Invariants
//   1. Write amplification is what the kernel booked for this process while the keys were put and until the store had
//      settled, divided by the bytes of keys and values that were put. Only one side works at a time.
//   2. Space is what the file system has allocated below the store's folder.
//
// Units      extras of a Sample: rates per second, seconds, microseconds; amplifications as ratios.
#pragma once

#include <memory>
#include <string>

#include "harness/concurrent_store.h"
#include "harness/data_file.h"
#include "harness/driver.h"
#include "harness/runner.h"
#include "harness/versioned_data.h"
#include "lsm/clients.h"
#include "lsm/lsm_options.h"

namespace cambium::bench {

class Subject {
 public:
  Subject(const LsmOptions& options, ConcurrentStore& store, const ScratchDir& scratch, std::string dir_name);

  ConcurrentStore& store() { return store_; }
  const std::string& dir() const { return dir_; }
  KeyShare share(unsigned client, unsigned client_count) const {
    return {.store = &store_, .client = client, .client_count = client_count, .aware = options_.aware()};
  }
  Side side(std::string operation, std::uint64_t memory_bytes, std::function<Sample(unsigned)> run) const {
    return {store_.name(), store_.settings(memory_bytes), std::move(operation), std::move(run)};
  }

  void open_fresh(std::uint64_t memory_bytes);  // an empty folder, a quiet disk

  // The clients put until they are done, then the store settles. The sample is of both; extras tell them apart:
  // put_per_s, settle_seconds, worst_second_per_s, write_amp, disk_write_amp, space_amp_max, space_amp.
  Sample timed_writes(const Clients& clients, std::uint64_t entry_bytes, std::uint64_t live_bytes);

  // What the store counted since `before`, as extras: own_...
  void add_counters(Sample& sample, const std::vector<Counter>& before) const;

  // Latencies of the clients' operations, after a run of `warmup` that is thrown away.
  Sample timed_reads(const Clients& warmup, const Clients& clients);

 private:
  const LsmOptions& options_;
  ConcurrentStore& store_;
  const ScratchDir& scratch_;
  std::string dir_name_;
  std::string dir_;
};

// Clients of one kind, made by make(index).
template <class Make>
Clients make_clients(unsigned count, Make make) {
  Clients clients;
  for (unsigned index = 0; index < count; ++index) clients.push_back(make(index));
  return clients;
}

// The verdicts that follow timed_writes(): `name` is what --goals calls them.
void conclude_writes(Report& report, const LsmOptions& options, const std::string& name, const std::string& title,
                     const std::vector<Series>& sides);
// By rate.
void conclude(Report& report, const LsmOptions& options, const std::string& name, const std::string& title,
              const std::vector<Series>& sides);

}  // namespace cambium::bench
