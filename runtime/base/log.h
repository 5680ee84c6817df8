// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The log: rare messages for the operator, through a sink that the embedding program can replace.
//
// The default sink writes lines to stderr. The environment variable CAMBIUM_LOG (trace, debug, info, warn,
// error, off) sets the level at first use; without it, or with an unknown word, it is `warn`.
//
// Build a message only where it will be read:
//   if (log_enabled(LogLevel::debug)) log(LogLevel::debug, str("flushed ", pages, " pages"));
//
// Errors     none reach the caller: a message that cannot be written is dropped.
// Lifetime   any thread, any time. A replaced sink may still be inside a call from another thread when
//            set_log_sink() returns: retire it only when no other thread logs.
#pragma once

#include <cstdint>
#include <string_view>

namespace cambium::rt {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };

/// Where messages go. `write` may be called from several threads at once and must not throw.
struct LogSink {
  void (*write)(void* context, LogLevel level, std::string_view message);
  void* context;
};

/// Replaces the sink of the process; null restores the default. Returns the former one (null: the default).
/// Requires: `sink` lives until it is replaced.
const LogSink* set_log_sink(const LogSink* sink) noexcept;

/// Messages below the level are dropped.
void set_log_level(LogLevel level) noexcept;
[[nodiscard]] LogLevel log_level() noexcept;
[[nodiscard]] bool log_enabled(LogLevel level) noexcept;

[[nodiscard]] std::string_view log_level_name(LogLevel level) noexcept;

/// Hands the message (one line, no newline at its end) to the sink if the level is enabled.
/// Requires: level != LogLevel::off.
void log(LogLevel level, std::string_view message) noexcept;

/// As log(), once per process for each key: for conditions that hold on, such as "memlock refused".
/// Returns whether it logged. A message below the level does not use up its key.
bool log_once(std::string_view key, LogLevel level, std::string_view message) noexcept;

}  // namespace cambium::rt
