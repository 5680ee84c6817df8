// SPDX-License-Identifier: MIT OR Apache-2.0
// Lets background work go on for a while: 20 ms of the core's time, virtual under simulation.
#pragma once

#include <cambium/rt/core.h>

namespace cambium::test {

inline Task<void> sleep_a_while(Core& core) { co_await core.sleep_ns(20'000'000); }

}  // namespace cambium::test
