// SPDX-License-Identifier: MIT OR Apache-2.0
// Where and with what a figure was made, and whether this build may make figures at all.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace cambium::bench {

// Name and text of everything a reader needs to judge or repeat a figure: kernel, processor, memory,
// file system below `dir`, compiler, build flags.
std::vector<std::pair<std::string, std::string>> describe_environment(const std::string& dir);

// Empty when the build is fit for measuring; otherwise the reason why it is not (unoptimised, sanitizer).
std::string unfit_build();

}  // namespace cambium::bench
