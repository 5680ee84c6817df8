// SPDX-License-Identifier: MIT OR Apache-2.0
// Which compressions a test can run with: a build may be without LZ4, zstd, or both.
#pragma once

#include <cambium/ids.h>

#include "compress/codec.h"

namespace cambium::test {

// One that is there; none: there is none.
inline Compression some_codec() {
  if (has_codec(Compression::lz4)) return Compression::lz4;
  return has_codec(Compression::zstd) ? Compression::zstd : Compression::none;
}

}  // namespace cambium::test

// Leaves a test for which this build has no library. Requires: "support/skip.h".
#define CAMBIUM_NEEDS_CODEC(compression) \
  if (!has_codec(compression)) CAMBIUM_SKIP("this build is without lib" + std::string(name_of(compression)))
