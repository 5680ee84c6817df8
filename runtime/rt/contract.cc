// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/contract.h>

#include "base/assert.h"

namespace cambium::rt {

void contract_failed(const char* what) noexcept { assert_failed("contract", "cambium/rt", 0, what); }

}  // namespace cambium::rt
