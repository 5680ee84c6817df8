// SPDX-License-Identifier: MIT OR Apache-2.0
// What bench_levels can be told, and its defaults: those of the published figures.
//
// Units      bytes, seconds; rates per second.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/options.h"

namespace cambium::bench {

struct LsmOptions : Options {
  std::vector<std::string> only;  // of kGroups; all when empty
  bool quick = false;
  std::string kind = "levels";
  bool log = false;
  unsigned cores = 1;
  std::string routing = "any";  // or "aware"
  std::string peer_options;
  std::vector<std::string> goal_texts;  // "gets16=1.5"

  double seconds = 10;
  double warmup_seconds = 2;
  std::vector<unsigned> depths = {16, 64};
  unsigned scan_clients = 16;
  std::uint64_t background_rate = 50'000;

  std::uint64_t overwrite_keys = 5'000'000;
  std::uint64_t overwrite_memory_bytes = std::uint64_t{64} << 20;
  double overwrite_seconds = 60;
  unsigned overwrite_clients = 2;

  std::string ycsb_workloads = "ABCFDE";
  std::uint64_t ycsb_records = 2'000'000;
  std::uint64_t ycsb_operations = 1'000'000;
  std::uint64_t ycsb_scans = 200'000;
  unsigned ycsb_fields = 10;
  std::size_t ycsb_field_bytes = 100;
  std::string ycsb_update = "field";  // or "row"
  unsigned ycsb_clients = 16;

  bool wants(const std::string& group) const;
  bool aware() const { return routing == "aware"; }
  double goal_of(const std::string& verdict) const;  // --goals, else --goal
  std::vector<std::pair<std::string, std::string>> describe_all() const;
};

// Parses the command line; false: the program ends with `exit_code`.
bool parse_lsm_options(LsmOptions& options, int argc, char** argv, int& exit_code);

}  // namespace cambium::bench
