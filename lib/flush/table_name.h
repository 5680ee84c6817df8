// SPDX-License-Identifier: MIT OR Apache-2.0
// What a table may be called. Pure.
//
// Names stand in messages, on command lines and in paths of what is exported one day: so no '/', and nothing that a
// terminal obeys.
#pragma once

#include <string_view>

#include <cambium/rt/result.h>

namespace cambium {

inline constexpr std::string_view kDefaultTableName = "default";

// Errors: invalid_argument, with the reason.
Status check_table_name(std::string_view name);

}  // namespace cambium
