// SPDX-License-Identifier: MIT OR Apache-2.0
// Progress: one line on standard error about work that takes a while: how much, how fast, how long still.
//
// On a terminal the line is redrawn ten times a second; elsewhere a new line appears every five seconds.
//
// Units      bytes and records of the input; time of the machine's clock.
// Errors     none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cambium::cli {

class Progress {
 public:
  // `bytes_total` 0: not known. Shows nothing when `shown` is false.
  Progress(std::string_view what, std::uint64_t bytes_total, bool shown) noexcept;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  // Cheap enough for every few hundred records.
  void update(std::uint64_t bytes, std::uint64_t records);
  double seconds() const noexcept;

 private:
  std::string line(std::uint64_t bytes, std::uint64_t records, double elapsed) const;
  void erase() noexcept;

  std::string_view what_;
  std::uint64_t bytes_total_;
  std::uint64_t started_ns_;
  std::uint64_t due_ns_;
  bool terminal_;
  bool shown_;
  bool drawn_ = false;
};

// "12.3 k", "4.56 M": three significant digits.
std::string format_count(double count);
// "812 ns", "1.5 ms", "3 min 20 s".
std::string format_seconds(double seconds);

}  // namespace cambium::cli
