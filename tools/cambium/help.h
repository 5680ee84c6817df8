// SPDX-License-Identifier: MIT OR Apache-2.0
// The words of --help: for each verb a summary, examples, and what has to be known about its input and output.
//
// An empty verb is the program itself.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cambium::cli {

std::span<const std::string_view> all_verbs() noexcept;  // in the order of the help text
std::string_view verb_summary(std::string_view verb) noexcept;
std::string examples_of(std::string_view verb);
std::string notes_of(std::string_view verb);

}  // namespace cambium::cli
