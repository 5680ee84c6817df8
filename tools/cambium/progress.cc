// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/progress.h"

#include <unistd.h>

#include <cstdio>

#include "base/clock.h"
#include "base/text.h"

namespace cambium::cli {
namespace {

constexpr std::uint64_t kTerminalNs = 100'000'000;
constexpr std::uint64_t kLogNs = 5'000'000'000;

std::string printed(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

std::string format_count(double count) {
  if (count < 1000) return printed("%.0f", count);
  if (count < 1e6) return printed("%.3g k", count / 1e3);
  if (count < 1e9) return printed("%.3g M", count / 1e6);
  return printed("%.3g G", count / 1e9);
}

std::string format_seconds(double seconds) {
  if (seconds < 1e-6) return printed("%.0f ns", seconds * 1e9);
  if (seconds < 1e-3) return printed("%.1f us", seconds * 1e6);
  if (seconds < 1) return printed("%.1f ms", seconds * 1e3);
  if (seconds < 100) return printed("%.1f s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  return rt::str(whole / 60, " min ", whole % 60, " s");
}

Progress::Progress(std::string_view what, std::uint64_t bytes_total, bool shown) noexcept
    : what_(what),
      bytes_total_(bytes_total),
      started_ns_(rt::now_ns()),
      due_ns_(0),
      terminal_(::isatty(STDERR_FILENO) == 1),
      shown_(shown) {
  due_ns_ = started_ns_ + (terminal_ ? kTerminalNs : kLogNs);
}

Progress::~Progress() { erase(); }

double Progress::seconds() const noexcept { return static_cast<double>(rt::now_ns() - started_ns_) / 1e9; }

void Progress::update(std::uint64_t bytes, std::uint64_t records) {
  const std::uint64_t now = rt::now_ns();
  if (!shown_ || now < due_ns_) return;
  due_ns_ = now + (terminal_ ? kTerminalNs : kLogNs);
  const std::string text = line(bytes, records, seconds());
  std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", text.c_str());
  std::fflush(stderr);
  drawn_ = terminal_;
}

std::string Progress::line(std::uint64_t bytes, std::uint64_t records, double elapsed) const {
  const double rate = static_cast<double>(bytes) / elapsed;
  std::string text =
      rt::str(what_, ": ", format_count(static_cast<double>(records)), " records, ", rt::format_bytes(bytes));
  if (bytes_total_ != 0) text += rt::str(" of ", rt::format_bytes(bytes_total_));
  text += rt::str(", ", format_count(static_cast<double>(records) / elapsed), " records/s, ",
                  rt::format_bytes(static_cast<std::uint64_t>(rate)), "/s");
  if (bytes_total_ > bytes && rate > 0) {
    text += rt::str(", ", format_seconds(static_cast<double>(bytes_total_ - bytes) / rate), " to go");
  }
  return text;
}

void Progress::erase() noexcept {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace cambium::cli
