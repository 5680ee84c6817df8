// SPDX-License-Identifier: MIT OR Apache-2.0
// Input: lines of a file or of standard input, read in chunks.
//
// Only a pipe or a terminal makes it wait; it then sleeps on the loop in short steps, so that background work goes on
// and an interrupt is seen.
//
// Invariants
//   1. A line is whole: its newline was read, or the input ended.
//
// Units      bytes; chunks of 256 KiB.
// Errors     not_found, io for the file; invalid_argument for a line longer than kLineBytesMax.
// Suspends   fill(), while nothing is there to be read.
// Lifetime   a line is valid until the next fill().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <cambium/rt/core.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

namespace cambium::cli {

class Input {
 public:
  // The longest value in hexadecimal, its key, and room for separators.
  static constexpr std::size_t kLineBytesMax = (std::size_t{2} << 30) + 8192;

  static Result<std::unique_ptr<Input>> open(const std::string& path);  // "-" is standard input
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input();

  // The next line without its newline; false: fill() first.
  bool next_line(std::string_view& line) noexcept;
  // Reads one more chunk. False at the end, or when interrupted() became true.
  Task<Result<bool>> fill(Core& core);

  // What was read and not yet handed out. Grows with each fill().
  std::string_view unread() const noexcept { return std::string_view(buffer_).substr(start_); }

  const std::string& name() const noexcept { return name_; }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }  // 0: not known
  std::uint64_t read_bytes() const noexcept { return read_bytes_; }
  std::uint64_t lines() const noexcept { return lines_; }  // handed out so far

 private:
  Input(int fd, std::string name, std::uint64_t size_bytes) noexcept;

  int fd_;
  std::string name_;
  std::uint64_t size_bytes_;
  std::uint64_t read_bytes_ = 0;
  std::uint64_t lines_ = 0;
  bool ended_ = false;
  std::string buffer_;
  std::size_t start_ = 0;     // of the next line
  std::size_t searched_ = 0;  // no newline before here
};

}  // namespace cambium::cli
