// SPDX-License-Identifier: MIT OR Apache-2.0
#include "lsm/lsm_options.h"

#include <algorithm>
#include <cstdio>

#include "harness/fail.h"

namespace cambium::bench {
namespace {

const std::vector<std::string> kGroups = {"load", "overwrites", "gets", "ycsb", "scans"};

// Every answer is still verified; the figures mean nothing.
void make_quick(const CLI::App& app, LsmOptions& options) {
  auto shrink = [&app](const char* name, auto& field, auto value) {
    if (app.count(name) == 0) field = value;
  };
  constexpr std::uint64_t kMemoryBytes = std::uint64_t{16} << 20;
  shrink("--keys", options.key_count, 20'000u);
  shrink("--memory", options.memory_bytes, kMemoryBytes);
  shrink("--repetitions", options.repetitions, 1u);
  shrink("--seconds", options.seconds, 0.2);
  shrink("--warmup", options.warmup_seconds, 0.05);
  shrink("--overwrite-keys", options.overwrite_keys, 10'000u);
  shrink("--overwrite-memory", options.overwrite_memory_bytes, kMemoryBytes);
  shrink("--overwrite-seconds", options.overwrite_seconds, 0.3);
  shrink("--ycsb-records", options.ycsb_records, 2'000u);
  shrink("--ycsb-operations", options.ycsb_operations, 4'000u);
  shrink("--ycsb-scans", options.ycsb_scans, 500u);
}

void add_store_options(CLI::App& app, LsmOptions& options) {
  app.add_option("--kind", options.kind, "kind of our table; with -lz4 or -zstd it is compressed")
      ->check(CLI::IsMember({"levels", "levels-lz4", "levels-zstd", "tree"}))
      ->capture_default_str();
  app.add_option("--cores", options.cores,
                 "our cores, each with a partition; the peer's threads of a load or full scan")
      ->check(CLI::Range(1u, 64u))
      ->capture_default_str();
  app.add_flag("--log", options.log, "with a log that is not waited for, on both sides: ours is synced every 10 ms");
  app.add_option("--routing", options.routing,
                 "any: every client asks for every key, and another core's key is fetched from there; aware: clients "
                 "ask for keys of their own core only")
      ->check(CLI::IsMember({"any", "aware"}))
      ->capture_default_str();
  app.add_option("--peer-options", options.peer_options, "RocksDB options in its text form, on top of ours");
}

void add_write_options(CLI::App& app, LsmOptions& options) {
  app.add_option("--overwrite-keys", options.overwrite_keys, "keys of the overwrites")->capture_default_str();
  app.add_option("--overwrite-memory", options.overwrite_memory_bytes, "memory budget of the overwrites")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--overwrite-seconds", options.overwrite_seconds, "how long they go on")->capture_default_str();
  app.add_option("--overwrite-clients", options.overwrite_clients, "clients, one put in flight each")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
}

void add_read_options(CLI::App& app, LsmOptions& options) {
  app.add_option("--seconds", options.seconds, "seconds per run of gets and of short scans")->capture_default_str();
  app.add_option("--warmup", options.warmup_seconds, "unmeasured seconds before each")->capture_default_str();
  app.add_option("--depths", options.depths, "gets in flight: that many clients")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  app.add_option("--scan-clients", options.scan_clients, "short scans in flight")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  app.add_option("--background-rate", options.background_rate, "overwrites per second beside gets during compaction")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_ycsb_options(CLI::App& app, LsmOptions& options) {
  app.add_option("--ycsb-workloads", options.ycsb_workloads, "letters, in the order of their runs; E reloads first")
      ->capture_default_str();
  app.add_option("--ycsb-records", options.ycsb_records, "records loaded")->capture_default_str();
  app.add_option("--ycsb-operations", options.ycsb_operations, "operations per run")->capture_default_str();
  app.add_option("--ycsb-scans", options.ycsb_scans, "operations per run of E")->capture_default_str();
  app.add_option("--ycsb-fields", options.ycsb_fields, "fields of a row")->check(CLI::Range(1u, 10u));
  app.add_option("--ycsb-field-bytes", options.ycsb_field_bytes, "bytes of a field")->capture_default_str();
  app.add_option("--ycsb-update", options.ycsb_update,
                 "field: an update changes one field, so it reads the row (YCSB's default); row: it puts a whole row")
      ->check(CLI::IsMember({"field", "row"}))
      ->capture_default_str();
  app.add_option("--ycsb-clients", options.ycsb_clients, "operations in flight")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
}

void validate(const LsmOptions& options) {
  require(options.key_kind == "random", "the keys of this benchmark are random ones");
  if (!options.aware()) return;
  for (const unsigned clients : {options.scan_clients, options.overwrite_clients, options.ycsb_clients}) {
    require(clients % options.cores == 0, "with --routing aware, clients come in multiples of cores");
  }
  for (const unsigned depth : options.depths) {
    require(depth % options.cores == 0, "with --routing aware, depths are multiples of cores");
  }
}

}  // namespace

bool LsmOptions::wants(const std::string& group) const {
  return only.empty() || std::find(only.begin(), only.end(), group) != only.end();
}

double LsmOptions::goal_of(const std::string& verdict) const {
  for (const std::string& text : goal_texts) {
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos && text.substr(0, equals) == verdict) return std::stod(text.substr(equals + 1));
  }
  return goal;
}

std::vector<std::pair<std::string, std::string>> LsmOptions::describe_all() const {
  auto text = [](double number) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", number);
    return std::string(digits);
  };
  auto all = describe({{"kind", kind}, {"cores", std::to_string(cores)}, {"routing", routing}});
  if (log) all.emplace_back("log", "yes");
  if (!peer_options.empty()) all.emplace_back("peer-options", peer_options);
  if (wants("gets") || wants("scans")) {
    all.emplace_back("seconds", text(seconds) + " after " + text(warmup_seconds) + " of warming up");
  }
  if (wants("overwrites")) {
    all.emplace_back("overwrites",
                     std::to_string(overwrite_keys) + " keys, " + std::to_string(overwrite_memory_bytes >> 20) +
                         " MiB, " + std::to_string(overwrite_clients) + " clients, " + text(overwrite_seconds) + " s");
  }
  if (wants("ycsb")) {
    all.emplace_back("ycsb", ycsb_workloads + ", " + std::to_string(ycsb_records) + " records of " +
                                 std::to_string(ycsb_fields) + " x " + std::to_string(ycsb_field_bytes) +
                                 " bytes, update " + ycsb_update + ", " + std::to_string(ycsb_operations) +
                                 " operations (E " + std::to_string(ycsb_scans) + "), " + std::to_string(ycsb_clients) +
                                 " clients");
  }
  return all;
}

bool parse_lsm_options(LsmOptions& options, int argc, char** argv, int& exit_code) {
  options.key_count = 20'000'000;
  options.memory_bytes = std::uint64_t{256} << 20;
  options.peer = "rocksdb";
  CLI::App app{
      "The level store against RocksDB: random load, steady overwrites, gets, YCSB A to F, scans; equal memory, no "
      "log"};
  add_options(app, options);
  app.add_option("--only", options.only, "load, overwrites, gets, ycsb, scans; all when absent")
      ->delimiter(',')
      ->check(CLI::IsMember(kGroups));
  app.add_option("--goals", options.goal_texts, "goals of single verdicts by the name in brackets: load=1.5,gets16=2")
      ->delimiter(',');
  app.add_flag("--quick", options.quick, "seconds instead of hours, to check the program; the figures mean nothing");
  add_store_options(app, options);
  add_write_options(app, options);
  add_read_options(app, options);
  add_ycsb_options(app, options);
  if (!parse_options(app, options, argc, argv, exit_code)) return false;
  if (options.quick) make_quick(app, options);
  validate(options);
  return true;
}

}  // namespace cambium::bench
