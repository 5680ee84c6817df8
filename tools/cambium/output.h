// SPDX-License-Identifier: MIT OR Apache-2.0
// Output: buffered data on its way to a descriptor, usually standard output.
//
// A reader that goes away (`| head`) ends the output, which is no error: closed() tells, and the verb stops.
//
// Errors     no_space, io; the first one sticks. SIGPIPE has to be ignored by the process.
// Lifetime   flush() before it goes; what is left in the buffer is dropped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <cambium/rt/result.h>

namespace cambium::cli {

class Output {
 public:
  explicit Output(int fd) noexcept : fd_(fd) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // For a formatter that appends; call pass() after each record.
  std::string& buffer() noexcept { return buffer_; }
  // Writes when enough has gathered. False: stop, status() and closed() say why.
  bool pass() { return buffer_.size() < kBufferBytes || flush(); }
  bool write(std::string_view text) {
    buffer_ += text;
    return pass();
  }
  bool flush();

  bool closed() const noexcept { return closed_; }
  const Status& status() const noexcept { return status_; }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

  int fd_;
  bool closed_ = false;
  std::string buffer_;
  Status status_;
};

}  // namespace cambium::cli
