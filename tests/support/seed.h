// SPDX-License-Identifier: MIT OR Apache-2.0
// Seeds and sizes of random tests, from the environment: CAMBIUM_SEED replays a failure, CAMBIUM_CRASH_STATES and
// CAMBIUM_MODEL_OPERATIONS make the suites longer.
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

// The command that runs the current test case again with this seed.
inline std::string replay_command(const char* program, std::uint64_t seed) {
  return "CAMBIUM_SEED=" + std::to_string(seed) + " " + program + " \"" +
         Catch::getResultCapture().getCurrentTestName() + "\"";
}

}  // namespace cambium::test
