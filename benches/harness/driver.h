// SPDX-License-Identifier: MIT OR Apache-2.0
// Clients that count and time their operations, and the run of a set of them as one sample.
//
// Latency is what a client waits in its closed loop, from the call until it has its answer and has checked it; it goes
// into a log-linear histogram of the client (1 % wide), which is merged after the run.
//
// Threads    operation_count() from any thread; the rest where the client is called.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "harness/client.h"
#include "harness/concurrent_store.h"
#include "harness/fail.h"
#include "harness/measure.h"

namespace cambium::bench {

// What a client may ask for and what it alone writes, when keys are spread over the shards of a store.
struct KeyShare {
  const ConcurrentStore* store = nullptr;
  unsigned client = 0;
  unsigned client_count = 1;
  bool aware = false;  // clients keep to the keys of their own shard; otherwise every client asks for every key

  // Requires when aware: a multiple of shards as client_count.
  bool asks(std::string_view key) const { return !aware || store->shard_of(key) == client % store->shard_count(); }
  bool writes(std::uint64_t index, std::string_view key) const {
    if (!aware) return index % client_count == client;
    return asks(key) && index % (client_count / store->shard_count()) == client / store->shard_count();
  }
};

class TimedClient : public Client {
 public:
  void on_value(bool, std::string_view) override { fail("a client was shown a value it had not asked for"); }
  std::string_view on_modify(bool, std::string_view) override {
    fail("a client was asked for a change it had not begun");
  }
  void on_entry(std::string_view, std::string_view) override {
    fail("a client was shown an entry it had not asked for");
  }
  void on_done() override { end(); }

  void set_end(double end_at) { end_ns_ = end_at * 1e9; }  // now_seconds() after which next() says that it is done
  std::uint64_t operation_count() const { return operation_count_.load(std::memory_order_relaxed); }
  const rt::Histogram& latencies_ns() const { return latencies_ns_; }

 protected:
  // In next(): the operation starts now. False: the time is over.
  bool begin() {
    started_ns_ = now_seconds() * 1e9;
    return end_ns_ == 0 || started_ns_ < end_ns_;
  }
  void end() {
    latencies_ns_.record(static_cast<std::uint64_t>(now_seconds() * 1e9 - started_ns_));
    count();
  }
  void count() { operation_count_.store(operation_count() + 1, std::memory_order_relaxed); }

 private:
  double started_ns_ = 0;
  double end_ns_ = 0;
  rt::Histogram latencies_ns_;
  alignas(64) std::atomic<std::uint64_t> operation_count_ = 0;
};

using Clients = std::vector<std::unique_ptr<TimedClient>>;

std::uint64_t operation_count(const Clients& clients);
void run_clients(ConcurrentStore& store, const Clients& clients);

// Of all clients together: extras p50_us, p99_us, p999_us, max_us.
void add_latencies(Sample& sample, const Clients& timed);

}  // namespace cambium::bench
