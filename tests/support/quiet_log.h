// SPDX-License-Identifier: MIT OR Apache-2.0
// QuietLog: swallows what is logged while it lives. For tests that damage thousands of files: each says so once.
#pragma once

#include <string_view>

#include "base/log.h"

namespace cambium::test {

class QuietLog {
 public:
  QuietLog() : before_(rt::set_log_sink(&sink_)) {}
  ~QuietLog() { rt::set_log_sink(before_); }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;

 private:
  static void swallow(void*, rt::LogLevel, std::string_view) {}
  rt::LogSink sink_{swallow, nullptr};
  const rt::LogSink* before_;
};

}  // namespace cambium::test
