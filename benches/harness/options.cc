// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/options.h"

#include <random>

#include "harness/fail.h"
#include "harness/measure.h"

namespace cambium::bench {

Workload Options::workload() const {
  const auto kind = parse_key_kind(key_kind);
  require(kind.has_value(), "--key-kind is random or decimal");
  return Workload(*kind, key_count, value_bytes, seed);
}

std::vector<std::pair<std::string, std::string>> Options::describe(
    const std::vector<std::pair<std::string, std::string>>& own) const {
  std::vector<std::pair<std::string, std::string>> all = {
      {"keys", std::to_string(key_count)},
      {"value", std::to_string(value_bytes) + " bytes"},
      {"key-kind", key_kind},
      {"memory", std::to_string(memory_bytes >> 20) + " MiB"},
      {"pin", core < 0 ? "not pinned" : "core " + std::to_string(core)},
      {"repetitions", std::to_string(repetitions)},
      {"seed", std::to_string(seed)}};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

void Options::pin() const {
  if (!pin_thread(core)) fail("this thread cannot be pinned to core " + std::to_string(core));
}

void add_options(CLI::App& app, Options& options) {
  app.add_option("--keys", options.key_count, "number of keys")->capture_default_str();
  app.add_option("--value", options.value_bytes, "bytes per value")->capture_default_str();
  app.add_option("--key-kind", options.key_kind, "random (16 random bytes) or decimal (%016d)")
      ->check(CLI::IsMember({"random", "decimal"}))
      ->capture_default_str();
  app.add_option("--dir", options.dir, "where a scratch folder is made, on the disk to measure")->capture_default_str();
  app.add_option("--memory", options.memory_bytes, "memory budget of each engine, e.g. 512MiB")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--repetitions", options.repetitions, "alternated runs; below 5 there is no verdict")
      ->check(CLI::Range(1u, 1000u))
      ->capture_default_str();
  app.add_option("--pin", options.core, "core of the measuring thread; -1 leaves it free")->capture_default_str();
  app.add_option("--seed", options.seed, "repeats the keys and choices of an earlier run; 0 draws a fresh one");
  app.add_option("--goal", options.goal, "ratio that every verdict's median must reach; missing it exits with 3");
  app.add_option("--json", options.json_path, "append one JSON object per run to this file");
  app.add_option("--ours", options.ours, "the engine under test")->capture_default_str();
  app.add_option("--peer", options.peer, "the engine to compare with")->capture_default_str();
  app.add_flag("--keep", options.keep, "leave the scratch folder behind");
}

bool parse_options(CLI::App& app, Options& options, int argc, char** argv, int& exit_code) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error);
    return false;
  }
  if (options.seed == 0) {
    std::random_device device;
    options.seed = (static_cast<std::uint64_t>(device()) << 32 | device()) | 1;
  }
  return true;
}

}  // namespace cambium::bench
