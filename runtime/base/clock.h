// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The machine's monotonic clock.
//
// Only runtime/ reads it. The engine asks the loop for the time, so that a simulation can supply its own.
//
// Units      nanoseconds since some fixed moment; never steps back; the same on all threads.
// Errors     none: CLOCK_MONOTONIC always exists on Linux. About 20 ns a call (vDSO, no system call).
#pragma once

#include <time.h>

#include <cstdint>

namespace cambium::rt {

[[nodiscard]] inline std::uint64_t now_ns() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace cambium::rt
