// SPDX-License-Identifier: MIT OR Apache-2.0
// CAMBIUM_SKIP("why"): leaves a test that cannot run on this machine, and says so.
//
// Catch2 v2 knows only passed and failed. The line printed here is what tools/tally.py counts as skipped, so a test
// that did not run is reported with its reason and never adds to "passed". A test skips before its first assertion.
#pragma once

#include <catch2/catch.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace cambium::test {

inline void report_skip(std::string_view reason) {
  const std::string name = Catch::getResultCapture().getCurrentTestName();
  std::printf("SKIPPED %s: %.*s\n", name.c_str(), static_cast<int>(reason.size()), reason.data());
  std::fflush(stdout);
}

}  // namespace cambium::test

#define CAMBIUM_SKIP(reason)              \
  do {                                    \
    ::cambium::test::report_skip(reason); \
    return;                               \
  } while (false)
