// SPDX-License-Identifier: MIT OR Apache-2.0
// How a benchmark ends when something is wrong: with one line that says what, and no figure.
//
// A benchmark has no caller that could react, so an error is the end of the process. This is also what
// happens to a wrong answer: a figure from an engine that answered wrongly is worth nothing.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace cambium::bench {

[[noreturn]] inline void fail(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "benchmark stopped: %s\n", message.c_str());
  std::exit(1);
}

inline void require(bool holds, const char* message) {
  if (!holds) fail(message);
}

}  // namespace cambium::bench
