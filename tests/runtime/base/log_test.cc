// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/log.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/base/death.h"

using namespace cambium::rt;

namespace {

/// Collects messages while it lives, then restores what was.
class Capture {
 public:
  explicit Capture(LogLevel level) : level_before_(log_level()), sink_before_(set_log_sink(&sink_)) {
    set_log_level(level);
  }
  ~Capture() {
    set_log_sink(sink_before_);
    set_log_level(level_before_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  std::vector<std::pair<LogLevel, std::string>> messages;

 private:
  static void write(void* context, LogLevel level, std::string_view message) {
    static_cast<Capture*>(context)->messages.emplace_back(level, message);
  }

  LogSink sink_{write, this};
  LogLevel level_before_;
  const LogSink* sink_before_;
};

}  // namespace

TEST_CASE("log: messages at or above the level reach the sink, others do not") {
  Capture capture(LogLevel::info);
  log(LogLevel::debug, "quiet");
  log(LogLevel::info, "heard");
  log(LogLevel::error, "loud");
  REQUIRE(capture.messages.size() == 2);
  CHECK(capture.messages[0] == std::pair(LogLevel::info, std::string("heard")));
  CHECK(capture.messages[1].first == LogLevel::error);
  CHECK(log_enabled(LogLevel::warn));
  CHECK_FALSE(log_enabled(LogLevel::trace));
  set_log_level(LogLevel::off);
  log(LogLevel::error, "off is off");
  CHECK(capture.messages.size() == 2);
}

TEST_CASE("log: set_log_sink returns the former sink") {
  Capture outer(LogLevel::info);
  {
    Capture inner(LogLevel::info);
    log(LogLevel::info, "to the inner");
    CHECK(inner.messages.size() == 1);
  }
  log(LogLevel::info, "to the outer");
  REQUIRE(outer.messages.size() == 1);
  CHECK(outer.messages[0].second == "to the outer");
}

TEST_CASE("log: once means once for each key, and a dropped message does not use up its key") {
  Capture capture(LogLevel::warn);
  CHECK_FALSE(log_once("test.once.a", LogLevel::info, "below the level"));
  CHECK(log_once("test.once.a", LogLevel::warn, "first"));
  CHECK_FALSE(log_once("test.once.a", LogLevel::warn, "again"));
  CHECK(log_once("test.once.b", LogLevel::warn, "another key"));
  REQUIRE(capture.messages.size() == 2);
  CHECK(capture.messages[0].second == "first");
  CHECK(capture.messages[1].second == "another key");
}

TEST_CASE("log: of many threads with one key, one logs") {
  static std::atomic<int> written{0};
  const LogSink counting{[](void*, LogLevel, std::string_view) { written.fetch_add(1); }, nullptr};
  const LogSink* const before = set_log_sink(&counting);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] { log_once("test.once.threads", LogLevel::error, "memlock refused"); });
  }
  for (std::thread& thread : threads) thread.join();
  set_log_sink(before);
  CHECK(written.load() == 1);
}

TEST_CASE("log: the default sink writes level and message to stderr, braces and all") {
  const auto child = testing::run_in_child([] {
    set_log_sink(nullptr);
    set_log_level(LogLevel::warn);
    log(LogLevel::warn, "disk {} is 90 % full");
    log(LogLevel::info, "not this");
  });
  CHECK_FALSE(child.at_all);
  CHECK(child.output.find("warn") != std::string::npos);
  CHECK(child.output.find("disk {} is 90 % full\n") != std::string::npos);
  CHECK(child.output.find("not this") == std::string::npos);
}

TEST_CASE("log: levels have the names that CAMBIUM_LOG takes") {
  CHECK(log_level_name(LogLevel::trace) == "trace");
  CHECK(log_level_name(LogLevel::warn) == "warn");
  CHECK(log_level_name(LogLevel::off) == "off");
}
