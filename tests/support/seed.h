// SPDX-License-Identifier: MIT OR Apache-2.0
// Seeds and sizes of random tests, from the environment: CAMBIUM_SEED replays a failure, CAMBIUM_CRASH_STATES,
// CAMBIUM_MODEL_OPERATIONS, CAMBIUM_FLIPS and CAMBIUM_DAMAGE say how long the suites run.
#pragma once

#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace cambium::test {

inline std::uint64_t number_from_environment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 0) : fallback;
}

inline std::uint64_t test_seed(std::uint64_t fallback) { return number_from_environment("CAMBIUM_SEED", fallback); }

// The command that runs the current test case again with this seed, in the same size.
inline std::string replay_command(const char* program, std::uint64_t seed) {
  std::string command;
  for (const char* const name :
       {"CAMBIUM_CRASH_STATES", "CAMBIUM_MODEL_OPERATIONS", "CAMBIUM_FLIPS", "CAMBIUM_DAMAGE", "CAMBIUM_PLANTED_BUG"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') command += std::string(name) + "=" + value + " ";
  }
  return command + "CAMBIUM_SEED=" + std::to_string(seed) + " " + program + " \"" +
         Catch::getResultCapture().getCurrentTestName() + "\"";
}

}  // namespace cambium::test
