// SPDX-License-Identifier: MIT OR Apache-2.0
// contract_failed(): ends the process when code that uses these headers broke what a header requires.
//
// For inline code only; the library's own sources use CAMBIUM_ASSERT.
#pragma once

#include <cambium/rt/export.h>

namespace cambium::rt {

[[noreturn]] CAMBIUM_EXPORT void contract_failed(const char* what) noexcept;

}  // namespace cambium::rt
