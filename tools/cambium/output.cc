// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace cambium::cli {

bool Output::flush() {
  std::string_view left = buffer_;
  while (!left.empty() && status_ && !closed_) {
    const ssize_t written = ::write(fd_, left.data(), left.size());
    if (written >= 0) {
      left.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      closed_ = true;
    } else if (errno != EINTR) {
      const int error = errno;
      status_ =
          Error(error == ENOSPC ? Errc::no_space : Errc::io, rt::str("cannot write the output: ", std::strerror(error)),
                "redirect it to a place with room that can be written");
    }
  }
  buffer_.clear();
  return status_ && !closed_;
}

}  // namespace cambium::cli
