// SPDX-License-Identifier: MIT OR Apache-2.0
// A core on io_uring, and the path of a file in a directory that goes away. `core` is null where the ring is refused.
// With CAMBIUM_BACKEND=threads the same tests run over the thread pool.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/rt/core_fixture.h"

namespace cambium::test {

inline Backend device_backend() {
  const char* const wanted = std::getenv("CAMBIUM_BACKEND");
  return wanted != nullptr && std::string_view(wanted) == "threads" ? Backend::threads : Backend::uring;
}

struct OnRing {
  std::unique_ptr<Core> core = make_core(device_backend());
  TempDirectory directory;
  std::string path = directory.file("ring.cambium");
};

}  // namespace cambium::test
