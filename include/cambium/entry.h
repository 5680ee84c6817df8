// SPDX-License-Identifier: MIT OR Apache-2.0
// An entry as a scan shows it.
#pragma once

#include <cambium/rt/bytes.h>

namespace cambium {

struct Entry {
  Bytes key;
  Bytes value;
};

}  // namespace cambium
