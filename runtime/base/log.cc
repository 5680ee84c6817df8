// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The only file that includes spdlog (its headers cost seconds to compile). CAMBIUM_LOG_SPDLOG=0 builds
// without it: the default sink then writes the same lines, without a time, straight to stderr.
#include "base/log.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "base/assert.h"

#ifndef CAMBIUM_LOG_SPDLOG
#define CAMBIUM_LOG_SPDLOG 1
#endif

#if CAMBIUM_LOG_SPDLOG
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>
#else
#include <cstdio>
#endif

namespace cambium::rt {

namespace {

constexpr std::array<std::string_view, 6> kLevelNames = {"trace", "debug", "info", "warn", "error", "off"};

#if CAMBIUM_LOG_SPDLOG
constexpr spdlog::level::level_enum to_spdlog(LogLevel level) noexcept {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn,  spdlog::level::err,   spdlog::level::off};
  return kLevels[static_cast<std::size_t>(level)];
}

spdlog::logger& default_logger() {
  // Ours alone, not in spdlog's registry, which belongs to the embedding program. Never destroyed, so that
  // static destructors can still log.
  static spdlog::logger& logger = *[] {
    auto* made = new spdlog::logger("cambium", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);  // log() has filtered
    made->set_pattern("%Y-%m-%d %H:%M:%S.%e %n %l: %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return logger;
}

void write_default(LogLevel level, std::string_view message) {
  default_logger().log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
}
#else
void write_default(LogLevel level, std::string_view message) {
  const std::string_view name = log_level_name(level);
  std::fprintf(stderr, "cambium %.*s: %.*s\n", static_cast<int>(name.size()), name.data(),
               static_cast<int>(message.size()), message.data());
}
#endif

constinit std::atomic<const LogSink*> current_sink{nullptr};

constexpr std::uint8_t kLevelUnset = 0xFF;
constinit std::atomic<std::uint8_t> current_level{kLevelUnset};

LogLevel level_from_environment() noexcept {
  const char* const wanted = std::getenv("CAMBIUM_LOG");
  if (wanted != nullptr) {
    for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
      if (kLevelNames[i] == wanted) return static_cast<LogLevel>(i);
    }
  }
  return LogLevel::warn;
}

}  // namespace

const LogSink* set_log_sink(const LogSink* sink) noexcept {
  CAMBIUM_ASSERT(sink == nullptr || sink->write != nullptr);
  return current_sink.exchange(sink, std::memory_order_acq_rel);
}

void set_log_level(LogLevel level) noexcept {
  current_level.store(static_cast<std::uint8_t>(level), std::memory_order_relaxed);
}

LogLevel log_level() noexcept {
  std::uint8_t level = current_level.load(std::memory_order_relaxed);
  if (level == kLevelUnset) [[unlikely]] {
    // Only replaces "unset": a set_log_level() that comes in between wins.
    const auto from_environment = static_cast<std::uint8_t>(level_from_environment());
    if (current_level.compare_exchange_strong(level, from_environment)) level = from_environment;
  }
  return static_cast<LogLevel>(level);
}

bool log_enabled(LogLevel level) noexcept { return level >= log_level(); }

std::string_view log_level_name(LogLevel level) noexcept {
  CAMBIUM_ASSERT(static_cast<std::size_t>(level) < kLevelNames.size());
  return kLevelNames[static_cast<std::size_t>(level)];
}

void log(LogLevel level, std::string_view message) noexcept {
  CAMBIUM_ASSERT(level != LogLevel::off);
  if (!log_enabled(level)) return;
  const LogSink* const sink = current_sink.load(std::memory_order_acquire);
  if (sink != nullptr) {
    sink->write(sink->context, level, message);
    return;
  }
  try {
    write_default(level, message);
  } catch (...) {
    // A log that cannot be written must not end the work it reports on.
  }
}

bool log_once(std::string_view key, LogLevel level, std::string_view message) noexcept {
  if (!log_enabled(level)) return false;
  try {
    // Never destroyed, like the logger. Keys are literals at call sites, so the set stays small.
    static std::mutex& mutex = *new std::mutex;
    static auto& seen = *new std::set<std::string, std::less<>>;
    const std::lock_guard lock(mutex);
    if (seen.contains(key)) return false;
    seen.emplace(key);
  } catch (...) {
    return false;  // no memory even for the key: stay silent rather than repeat for ever
  }
  log(level, message);
  return true;
}

}  // namespace cambium::rt
