// SPDX-License-Identifier: MIT OR Apache-2.0
// Effort: how many states or operations a test has got through, kept where it outlives the process.
//
// tests/planted/run asks how long a planted bug survived. The answer has to be there also when the bug ended the
// process by an assertion, or made it hang: so the count lives in a file that is mapped, named by CAMBIUM_EFFORT_FILE.
#pragma once

#include <cstdint>

namespace cambium::test {

void add_effort(std::uint64_t count = 1) noexcept;

}  // namespace cambium::test
