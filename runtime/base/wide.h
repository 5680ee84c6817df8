// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The 128-bit unsigned integer of gcc and clang, under a name that pedantic builds accept.
#pragma once

namespace cambium::rt {

__extension__ using uint128 = unsigned __int128;

}  // namespace cambium::rt
