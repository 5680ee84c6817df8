// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/assert.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace cambium::rt {

void assert_failed(const char* expression, const char* file, int line, const char* text) noexcept {
  // One write of one line: stdio's buffers and locks may be in any state by now. snprintf with %s and %d
  // into a local buffer uses neither.
  char message[1024];
  const int length =
      text == nullptr
          ? std::snprintf(message, sizeof message, "%s:%d: assertion failed: %s\n", file, line, expression)
          : std::snprintf(message, sizeof message, "%s:%d: assertion failed: %s (%s)\n", file, line, expression, text);
  if (length > 0) {
    const std::size_t bytes = std::min(static_cast<std::size_t>(length), sizeof message - 1);
    // Nothing can be done about a failure to write: we are about to die.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, message, bytes);
  }
  std::abort();
}

}  // namespace cambium::rt
