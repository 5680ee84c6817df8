// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/version.h>

namespace cambium {

// The build passes the project's version, so that it is written down once.
const char* version() noexcept { return CAMBIUM_VERSION; }

}  // namespace cambium
