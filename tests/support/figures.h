// SPDX-License-Identifier: MIT OR Apache-2.0
// Figures: what a run has proved, in numbers: how many crash states were compared, bits flipped, writes lost.
//
// Each call appends one line "name<TAB>count" to the file that CAMBIUM_FIGURES names; without it nothing is written.
// Programs in any language add theirs (tests/tools/kill_test.py, tests/planted/run); tools/test and tools/dev
// release-check sum them up and hold them against the goals of tests/figures.py.
#pragma once

#include <cstdint>
#include <string_view>

namespace cambium::test {

void report_figure(std::string_view name, std::uint64_t count);

}  // namespace cambium::test
