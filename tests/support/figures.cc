// SPDX-License-Identifier: MIT OR Apache-2.0
#include "support/figures.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/assert.h"
#include "base/text.h"

namespace cambium::test {

// One write to a file opened for appending: programs that run at the same time do not mix their lines.
void report_figure(std::string_view name, std::uint64_t count) {
  const char* const path = std::getenv("CAMBIUM_FIGURES");
  if (path == nullptr || *path == '\0') return;
  const std::string line = rt::str(name, "\t", count, "\n");
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  CAMBIUM_ASSERT_MSG(fd >= 0, "the file named by CAMBIUM_FIGURES cannot be opened");
  const ssize_t written = ::write(fd, line.data(), line.size());
  CAMBIUM_ASSERT(written == static_cast<ssize_t>(line.size()));
  ::close(fd);
}

}  // namespace cambium::test
