// SPDX-License-Identifier: MIT OR Apache-2.0
// The face that every engine shows to the benchmarks: ours and the peers alike.
//
// Implemented in benches/peers for LMDB and RocksDB, and once for Cambium; made by make_engine() of
// peers/engines.h. Each adapter uses its engine as that engine's own experts would, and says in
// settings() what it did: a peer that is used badly is a defect of the benchmark.
//
// Invariants
//   1. Values are shown in place, never copied for the caller: no side pays for a copy that its API spares.
//   2. After commit() or sync() every earlier put is visible to get() and scan().
//   3. The adapter is used by one thread.
//
// Errors     any error of the engine ends the process through fail(): there is no figure to save.
// Lifetime   views given to callbacks are valid during the callback only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/async_getter.h"
#include "harness/durable_putter.h"
#include "harness/fail.h"
#include "harness/function_ref.h"

namespace cambium::bench {

enum class Direction { forward, reverse };

// The log that an engine keeps: none; one whose writes no put waits for; one that every durable put waits for.
enum class LogMode { none, batched, sync };

// A figure that the engine counts itself, e.g. {"pages_written", 1234}; monotonic since open().
struct Counter {
  std::string name;
  std::uint64_t value;
};

class KvAdapter {
 public:
  using ValueFn = FunctionRef<void(std::string_view value)>;
  using IndexedValueFn = FunctionRef<void(std::size_t index, std::string_view value)>;
  using EntryFn = FunctionRef<void(std::string_view key, std::string_view value)>;
  // Fills in the next entry; false at the end. The views are valid until the next call.
  using EntrySource = FunctionRef<bool(std::string_view& key, std::string_view& value)>;

  KvAdapter() = default;
  KvAdapter(const KvAdapter&) = delete;
  KvAdapter& operator=(const KvAdapter&) = delete;
  virtual ~KvAdapter() = default;

  virtual std::string name() const = 0;      // "lmdb 0.9.24"
  virtual std::string settings() const = 0;  // one line: all that was set differently from the defaults

  // For the next open(): the log, and settings in the engine's own words ("" = as its experts would). Errors: a mode
  // or a setting that the engine does not have ends the program.
  virtual void configure(LogMode log, const std::string& own_settings);

  // Opens the database in `dir`, creating it when there is none. An engine that can hold itself to a
  // memory budget keeps to `memory_bytes`; one that cannot says so in settings().
  virtual void open(const std::string& dir, std::uint64_t memory_bytes) = 0;
  virtual void close() = 0;

  virtual void put(std::string_view key, std::string_view value) = 0;  // one put, not durable by itself
  virtual void commit() = 0;  // all puts visible, nothing promised on power loss
  virtual void sync() = 0;    // all puts in their final place on the device
  virtual void settle() {}    // waits until no background work is left; untimed, before read phases

  // Loads entries that arrive in key order into an empty database; durable on return. An engine with
  // several ways of doing so names them all, and the best of them is its figure.
  virtual std::vector<std::string> bulk_methods() const { return {"bulk_load"}; }
  virtual void bulk_load(const std::string& method, EntrySource next) = 0;

  virtual bool get(std::string_view key, ValueFn use) = 0;  // false: absent
  // Calls `use` once for each key found, in any order; returns how many were found. An engine without
  // a batched read loops, which is what its user would have to do.
  virtual std::size_t multi_get(std::span<const std::string_view> keys, IndexedValueFn use) = 0;
  virtual std::uint64_t scan(Direction direction, EntryFn use) = 0;  // the whole database; returns the entry count

  // Gets with many in flight on this thread; null for an engine that has no such thing.
  virtual AsyncGetter* async_getter() { return nullptr; }
  // Durable puts with many in flight; null for an engine that has no such thing. Requires: LogMode::sync.
  virtual DurablePutter* durable_putter() { return nullptr; }
  virtual void sync_log() { fail("this engine has no adapter for its log"); }  // all puts durable, by the log alone
  // Settings for configure() among which a fair comparison takes the best: of durable puts, of opening after a kill.
  virtual std::vector<std::string> durable_variants() const { return {""}; }
  virtual std::vector<std::string> recovery_variants() const { return {""}; }

  virtual std::vector<std::string> data_files() const = 0;  // for the device ceilings: where the data lies
  virtual std::vector<Counter> counters() const { return {}; }
};

inline void KvAdapter::configure(LogMode log, const std::string& own_settings) {
  require(log == LogMode::none && own_settings.empty(), "this engine has no adapter for its log");
}

}  // namespace cambium::bench
