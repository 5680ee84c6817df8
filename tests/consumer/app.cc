// SPDX-License-Identifier: MIT OR Apache-2.0
// A user's program, built outside of the tree against what is installed: it must compile, link, and run.
#include <cstdio>
#include <cstring>

#include <cambium/cambium.h>

// The build says which version it meant to link; the library says which one it is.
int main() {
  std::printf("cambium %s\n", cambium::version());
  return std::strcmp(cambium::version(), EXPECTED_VERSION) == 0 ? 0 : 1;
}
