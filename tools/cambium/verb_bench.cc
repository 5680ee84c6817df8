// SPDX-License-Identifier: MIT OR Apache-2.0
// bench: a quick look at this machine: load, get, multi_get, scan, on a file of its own. Lines as db_bench prints them.
//
// Latencies are per operation (per batch for multi_get, per page for scan), measured by the caller, one after another.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cambium/partition.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/random.h"
#include "base/text.h"
#include "cambium/interrupt.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

using nlohmann::ordered_json;
using rt::str;

constexpr std::size_t kKeyBytes = 16;
constexpr std::size_t kBatch = 32;
constexpr std::uint64_t kSeed = 301;

// One measured phase: its clock, and what goes into its line.
class Phase {
 public:
  explicit Phase(const char* name) : name_(name), started_ns_(rt::now_ns()), last_ns_(started_ns_) {}

  // `operations` more are done since the last call, `bytes` of keys and values.
  void done(std::uint64_t operations, std::uint64_t bytes) noexcept {
    const std::uint64_t now = rt::now_ns();
    latencies_->record(now - last_ns_);
    last_ns_ = now;
    operations_ += operations;
    bytes_ += bytes;
  }
  void close() noexcept { last_ns_ = rt::now_ns(); }  // what follows the last operation counts as well
  void print(Session& session, ordered_json& results) const;

 private:
  const char* name_;
  std::uint64_t started_ns_;
  std::uint64_t last_ns_;
  std::uint64_t operations_ = 0;
  std::uint64_t bytes_ = 0;
  std::unique_ptr<rt::Histogram> latencies_ = std::make_unique<rt::Histogram>();
};

void Phase::print(Session& session, ordered_json& results) const {
  const double seconds = static_cast<double>(last_ns_ - started_ns_) / 1e9;
  const double operations = operations_ == 0 ? 1 : static_cast<double>(operations_);
  const double micros = seconds * 1e6 / operations;
  const double p50_us = static_cast<double>(latencies_->percentile(50)) / 1e3;
  const double p99_us = static_cast<double>(latencies_->percentile(99)) / 1e3;
  const double megabytes = static_cast<double>(bytes_) / 1048576.0 / seconds;
  if (session.plain()) {
    char text[256];
    std::snprintf(
        text, sizeof text,
        "%-12s : %11.3f micros/op %ld ops/sec %.3f seconds %llu operations; %6.1f MB/s p50 %.2f us p99 %.2f us\n",
        name_, micros, static_cast<long>(operations / seconds), seconds, static_cast<unsigned long long>(operations_),
        megabytes, p50_us, p99_us);
    session.output.write(text);
    session.output.flush();
    return;
  }
  results.push_back({{"name", name_},
                     {"operations", operations_},
                     {"seconds", seconds},
                     {"ops_per_second", operations / seconds},
                     {"bytes", bytes_},
                     {"p50_us", p50_us},
                     {"p99_us", p99_us}});
}

// Scattered over the key space: a load in this order is a random load.
std::string key_at(std::uint64_t index) {
  std::uint64_t state = index * 0x9E3779B97F4A7C15;
  char text[kKeyBytes + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(rt::splitmix64(state)));
  return text;
}

Error wrong_answer(const std::string& key) {
  return Error(Errc::corruption, str("the key ", key, " has the wrong value or none"), "cambium check");
}

Task<Status> load(Session& session, Phase& phase, const std::string& value) {
  for (std::uint64_t i = 0; i < session.arguments.records && !interrupted(); ++i) {
    const std::string key = key_at(i);
    co_await check(session.db->put(key, value));
    phase.done(1, key.size() + value.size());
  }
  co_await check(session.db->flush());
  phase.close();
  co_return Status();
}

Task<Status> read_single(Session& session, Phase& phase, const std::string& expected) {
  rt::Random random(kSeed);
  for (std::uint64_t i = 0; i < session.arguments.records && !interrupted(); ++i) {
    const std::string key = key_at(random.below(session.arguments.records));
    const Value value = co_await check(session.db->get(key));
    if (value.size() != expected.size()) co_return wrong_answer(key);
    phase.done(1, key.size() + value.size());
  }
  co_return Status();
}

Task<Status> read_batches(Session& session, Phase& phase, const std::string& expected) {
  rt::Random random(kSeed);
  std::array<std::string, kBatch> keys;
  std::array<Bytes, kBatch> views;
  for (std::uint64_t i = 0; i < session.arguments.records && !interrupted(); i += kBatch) {
    for (std::size_t j = 0; j < kBatch; ++j) {
      keys[j] = key_at(random.below(session.arguments.records));
      views[j] = keys[j];
    }
    std::array<Value, kBatch> values;
    co_await check(session.db->multi_get(views, values));
    for (std::size_t j = 0; j < kBatch; ++j) {
      if (values[j].size() != expected.size()) co_return wrong_answer(keys[j]);
    }
    phase.done(kBatch, kBatch * (kKeyBytes + expected.size()));
  }
  co_return Status();
}

Task<Status> read_all(Session& session, Phase& phase) {
  Scan scan = session.db->scan();
  std::uint64_t entries = 0;
  while (!interrupted()) {
    const std::span<const Entry> page = co_await check(scan.next_page());
    if (page.empty()) break;
    std::uint64_t bytes = 0;
    for (const Entry& entry : page) bytes += entry.key.size() + entry.value.size();
    entries += page.size();
    phase.done(page.size(), bytes);
  }
  if (!interrupted() && entries != session.arguments.records) {
    co_return Error(Errc::corruption, str("the scan found ", entries, " of ", session.arguments.records, " entries"));
  }
  co_return Status();
}

// What makes the figures worthless, or nothing.
std::string_view build_warning() noexcept {
#if !defined(__OPTIMIZE__)
  return "warning: this is a build without optimisation; its figures mean nothing";
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(CAMBIUM_BENCH_SANITIZED)
  return "warning: this build carries a sanitizer; its figures mean nothing";
#elif defined(CAMBIUM_VERIFY) && CAMBIUM_VERIFY == 1
  return "warning: this build verifies itself at every step; its figures mean nothing";
#else
  return {};
#endif
}

Answer measure(Session& session) {
  const std::string value(static_cast<std::size_t>(session.arguments.value_bytes), 'v');
  ordered_json results = ordered_json::array();
  {
    Phase phase("load");
    co_await check(load(session, phase, value));
    phase.print(session, results);
  }
  {
    Phase phase("get");
    co_await check(read_single(session, phase, value));
    phase.print(session, results);
  }
  {
    Phase phase("multi_get");
    co_await check(read_batches(session, phase, value));
    phase.print(session, results);
  }
  {
    Phase phase("scan");
    co_await check(read_all(session, phase));
    phase.print(session, results);
  }
  if (!session.plain()) {
    print_object(session, {{"backend", to_string(session.core.backend_kind())},
                           {"valid", build_warning().empty()},
                           {"key_bytes", kKeyBytes},
                           {"value_bytes", value.size()},
                           {"results", results}});
  }
  co_return interrupted() ? Exit::interrupted : Exit::ok;
}

}  // namespace

Answer verb_bench(Session& session) {
  if (!build_warning().empty()) note(session.arguments, build_warning());
  Result<Exit> answer = co_await measure(session);
  // The file is ours: it was made for this. The partition stays open on it until it is closed.
  if (!session.arguments.keep) ::unlink(session.arguments.file.c_str());
  co_return answer;
}

}  // namespace cambium::cli
