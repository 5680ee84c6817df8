// SPDX-License-Identifier: MIT OR Apache-2.0
// The version of the library that is linked in, which may be newer than the headers a program was built with.
#pragma once

#include <cambium/rt/export.h>

namespace cambium {

// "major.minor.patch", for example "0.1.0". The text lives as long as the program.
CAMBIUM_EXPORT const char* version() noexcept;

}  // namespace cambium
