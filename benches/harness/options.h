// SPDX-License-Identifier: MIT OR Apache-2.0
// The flags that all benchmarks share, and what they stand for.
//
// Defaults are those of the published figures: 5 M keys of 16 bytes, values of 100, five repetitions, one
// thread. The seed is fresh in every run and printed; giving it back repeats the same keys and choices.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/workload.h"

namespace cambium::bench {

struct Options {
  std::uint64_t key_count = 5'000'000;
  std::size_t value_bytes = 100;
  std::string key_kind = "random";
  std::string dir = ".";
  std::uint64_t memory_bytes = std::uint64_t{2} << 30;
  unsigned repetitions = 5;
  int core = -1;
  std::uint64_t seed = 0;
  double goal = 0;
  std::string json_path;
  std::string ours = "cambium";
  std::string peer;
  bool keep = false;

  Workload workload() const;
  // For the report's head; `own` are the parameters of the bench itself.
  std::vector<std::pair<std::string, std::string>> describe(
      const std::vector<std::pair<std::string, std::string>>& own = {}) const;
  void pin() const;  // the calling thread; engines have started their own threads before
};

// Adds the shared flags; `options` holds the bench's defaults and receives what was given.
void add_options(CLI::App& app, Options& options);

// Parses the command line, draws the seed. False: the program ends with `exit_code` (help, or an error).
bool parse_options(CLI::App& app, Options& options, int argc, char** argv, int& exit_code);

}  // namespace cambium::bench
