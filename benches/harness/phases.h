// SPDX-License-Identifier: MIT OR Apache-2.0
// The steps that several benchmarks share: loading, verifying everything, gets that check their answers.
//
// A timed get recomputes the value of its key and compares every byte; the cost of that is the same on
// all sides, is in every figure, and is measured by itself as harness_cost(). Timed scans only fold the
// entries into a digest; order and bytes are verified by verify_all(), untimed.
//
// Errors     a wrong, missing or superfluous answer ends the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/kv_adapter.h"
#include "harness/measure.h"
#include "harness/workload.h"

namespace cambium::bench {

void put_all(KvAdapter& engine, Workload& workload);          // in load order; neither commits nor syncs
void load_and_settle(KvAdapter& engine, Workload& workload);  // put_all, sync, settle, verify_all: untimed
void verify_all(KvAdapter& engine, Workload& workload);       // one full scan: ascending order, every byte, the count

// `get_count` uniform gets of present keys, one at a time, or in batches of `batch_size`. The same seed
// draws the same keys for every engine.
Sample timed_gets(KvAdapter& engine, Workload& workload, std::uint64_t get_count, std::uint64_t seed);
Sample timed_multi_gets(KvAdapter& engine, Workload& workload, std::uint64_t get_count, std::size_t batch_size,
                        std::uint64_t seed);

// timed_gets() with a clock around every get; extras p50_ns, p99_ns, p999_ns. The two readings of the clock
// are inside, and its rate is not a throughput.
Sample timed_get_latencies(KvAdapter& engine, Workload& workload, std::uint64_t get_count, std::uint64_t seed);

// timed_gets() without an engine: drawing keys and making and comparing values.
Sample harness_cost(Workload& workload, std::uint64_t get_count, std::uint64_t seed);

// Lets earlier writes and discards reach the device, so that a run does not pay for its predecessor.
void quiesce(const std::string& dir);

}  // namespace cambium::bench
