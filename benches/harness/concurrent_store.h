// SPDX-License-Identifier: MIT OR Apache-2.0
// The face of an engine that many clients use at once, for benches of its background work: loads until compaction is
// settled, sustained writes, mixed workloads. KvAdapter is the face for one client.
//
// Implemented in benches/peers for Cambium (a coroutine per client, one partition per core) and for RocksDB (a thread
// per client). No side has a log: what a crash would lose is the same on both.
//
// Invariants
//   1. memory_bytes is all that an engine may use for buffers, cache, filters and indexes, and settings() says how.
//   2. After settle() everything put is in tables on the device, and no background work is left.
//
// Errors     any error of the engine ends the process through fail().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/client.h"
#include "harness/kv_adapter.h"

namespace cambium::bench {

struct StoreOptions {
  unsigned cores = 1;        // Cambium: partitions, each on its core; RocksDB: threads of a full scan
  std::string kind;          // of Cambium's table
  bool log = false;          // writes go to a log that is not waited for: both lose at most the last moments
  std::string peer_options;  // RocksDB's own text form; put on top of the settings here
};

// Takes the entries of one part of a full scan.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  virtual void on_entry(std::string_view key, std::string_view value) = 0;
};

class ConcurrentStore {
 public:
  ConcurrentStore() = default;
  ConcurrentStore(const ConcurrentStore&) = delete;
  ConcurrentStore& operator=(const ConcurrentStore&) = delete;
  virtual ~ConcurrentStore() = default;

  virtual std::string name() const = 0;
  virtual std::string settings(std::uint64_t memory_bytes) const = 0;

  virtual void open(const std::string& dir, std::uint64_t memory_bytes) = 0;
  virtual void close() = 0;

  virtual void run(std::span<Client* const> clients) = 0;  // all at once, until the last one is done
  virtual void settle() = 0;

  // Every entry once: part i of the keys to sinks[i], each in the order asked for, all parts at once.
  // Requires: as many sinks as scan_parts().
  virtual unsigned scan_parts() const = 0;
  virtual void scan_all(Direction direction, std::span<EntrySink* const> sinks) = 0;

  // Which of its parts holds a key; client i of run() starts on part i modulo shard_count().
  virtual unsigned shard_count() const { return 1; }
  virtual unsigned shard_of(std::string_view) const { return 0; }

  virtual std::vector<Counter> counters() const { return {}; }
};

}  // namespace cambium::bench
