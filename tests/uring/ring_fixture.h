// SPDX-License-Identifier: MIT OR Apache-2.0
// A core on io_uring, and the path of a file in a directory that goes away. `core` is null where the ring is refused.
#pragma once

#include <memory>
#include <string>

#include "runtime/rt/core_fixture.h"

namespace cambium::test {

struct OnRing {
  std::unique_ptr<Core> core = make_core(Backend::uring);
  TempDirectory directory;
  std::string path = directory.file("ring.cambium");
};

}  // namespace cambium::test
