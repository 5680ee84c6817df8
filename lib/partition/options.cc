// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/options.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace cambium {

namespace {

constexpr std::array<std::string_view, 14> kNames = {
    "path",         "mode",  "read_only",     "wal",       "wal_interval_ms", "recovery_ms_max", "memory",
    "write_buffer", "cache", "wal_bytes_max", "direct_io", "readahead",       "lock_wait_ms",    "scrub_mb_per_s"};

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// A value that would not survive as it stands is written in quotes. What is between them is taken as it is: nothing is
// escaped, because the result of parse() shows the text itself. Where a quote stands inside, as many # before the first
// and after the last one as are needed tell which is the last:  a"b;c  is  #"a"b;c"#.
bool needs_quotes(std::string_view value) noexcept {
  return value.find_first_of(";\"") != std::string_view::npos || trim(value) != value;
}

std::string quoted(std::string_view value) {
  std::string marks;
  while (value.find("\"" + marks) != std::string_view::npos) marks += '#';
  return rt::str(marks, "\"", value, "\"", marks);
}

// Takes a quoted value, and the ';' after it, from the front of `text`. Requires: it begins with #s and a quote.
Result<std::string_view> take_quoted(std::string_view name, std::string_view& text) {
  const std::size_t marks = text.find('"');
  const std::string close = "\"" + std::string(text.substr(0, marks));
  const std::size_t end = text.find(close, marks + 1);
  if (end == std::string_view::npos) {
    return Error(Errc::invalid_argument, rt::str("the quotes of option ", name, " are not closed"),
                 rt::str("end the value with ", close));
  }
  const std::string_view value = text.substr(marks + 1, end - marks - 1);
  text.remove_prefix(end + close.size());
  const std::size_t next = std::min(text.find(';'), text.size());
  if (const std::string_view rest = trim(text.substr(0, next)); !rest.empty()) {
    return Error(Errc::invalid_argument, rt::str("option ", name, " has \"", rest, "\" after its closing quotes"),
                 "separate options with ;");
  }
  text.remove_prefix(std::min(next + 1, text.size()));
  return value;
}

Error bad_value(std::string_view name, std::string_view value, std::string_view expected) {
  return Error(Errc::invalid_argument, rt::str("option ", name, " = \"", value, "\" is not ", expected));
}

Status parse_bool(std::string_view name, std::string_view value, bool& out) {
  if (value != "true" && value != "false") return bad_value(name, value, "true or false");
  out = value == "true";
  return {};
}

Status parse_bytes(std::string_view name, std::string_view value, std::uint64_t& out) {
  const std::optional<std::uint64_t> bytes = rt::parse_bytes(value);
  if (!bytes) return bad_value(name, value, "a size such as 512MiB");
  out = *bytes;
  return {};
}

Status parse_count(std::string_view name, std::string_view value, std::uint32_t& out) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
  if (error != std::errc() || end != value.data() + value.size()) return bad_value(name, value, "a number");
  return {};
}

Status parse_mode(std::string_view value, OpenMode& out) {
  if (value == "open") {
    out = OpenMode::open;
  } else if (value == "create") {
    out = OpenMode::create;
  } else if (value == "open_or_create") {
    out = OpenMode::open_or_create;
  } else {
    return bad_value("mode", value, "open, create or open_or_create");
  }
  return {};
}

std::string_view to_text(WalMode mode) noexcept {
  return mode == WalMode::none ? "none" : mode == WalMode::sync ? "sync" : "batched";
}

Status parse_wal(std::string_view value, WalMode& out) {
  for (const WalMode mode : {WalMode::none, WalMode::batched, WalMode::sync}) {
    if (value != to_text(mode)) continue;
    out = mode;
    return {};
  }
  return bad_value("wal", value, "none, batched or sync");
}

Status parse_one(std::string_view name, std::string_view value, Options& options) {
  if (name == "path") {
    options.path = value;
    return {};
  }
  if (name == "mode") return parse_mode(value, options.mode);
  if (name == "read_only") return parse_bool(name, value, options.read_only);
  if (name == "wal") return parse_wal(value, options.wal);
  if (name == "wal_interval_ms") return parse_count(name, value, options.wal_interval_ms);
  if (name == "recovery_ms_max") return parse_count(name, value, options.recovery_ms_max);
  if (name == "wal_bytes_max") return parse_bytes(name, value, options.wal_bytes_max);
  if (name == "memory") return parse_bytes(name, value, options.memory_bytes);
  if (name == "write_buffer") return parse_bytes(name, value, options.write_buffer_bytes);
  if (name == "cache") return parse_bytes(name, value, options.cache_bytes);
  if (name == "direct_io") return parse_bool(name, value, options.direct_io);
  if (name == "readahead") return parse_count(name, value, options.readahead_pages);
  if (name == "lock_wait_ms") return parse_count(name, value, options.lock_wait_ms);
  if (name == "scrub_mb_per_s") return parse_count(name, value, options.scrub_mb_per_s);
  const std::optional<std::string_view> close = rt::closest_match(name, kNames);
  return Error(Errc::invalid_argument, rt::str("there is no option \"", name, "\""),
               close ? rt::str("did you mean \"", *close, "\"?") : std::string());
}

}  // namespace

Result<Options> Options::parse(std::string_view text) {
  Options options;
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(" ;"), text.size()));
    if (text.empty()) return options;
    const std::size_t item_end = std::min(text.find(';'), text.size());
    const std::size_t equals = text.find('=');
    if (equals >= item_end) {
      return Error(Errc::invalid_argument, rt::str("option \"", trim(text.substr(0, item_end)), "\" has no value"),
                   "write name=value; name=value");
    }
    const std::string_view name = trim(text.substr(0, equals));
    std::string_view value = trim(text.substr(equals + 1, item_end - equals - 1));
    if (const std::size_t first = value.find_first_not_of('#'); first < value.size() && value[first] == '"') {
      text.remove_prefix(static_cast<std::size_t>(value.data() - text.data()));
      const Result<std::string_view> taken = take_quoted(name, text);
      if (!taken) return taken.error();
      value = taken.value();
    } else {
      text.remove_prefix(item_end);
    }
    const Status parsed = parse_one(name, value, options);
    if (!parsed) return parsed.error();
  }
}

std::string Options::to_string() const {
  const Options defaults;
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    text += rt::str(text.empty() ? "" : "; ", name, "=", value);
  };
  if (!path.empty()) add("path", needs_quotes(path.view()) ? quoted(path.view()) : path.view());
  if (mode != defaults.mode) add("mode", mode == OpenMode::open ? "open" : "create");
  if (read_only) add("read_only", "true");
  if (wal != defaults.wal) add("wal", to_text(wal));
  if (wal_interval_ms != defaults.wal_interval_ms) add("wal_interval_ms", std::to_string(wal_interval_ms));
  if (recovery_ms_max != defaults.recovery_ms_max) add("recovery_ms_max", std::to_string(recovery_ms_max));
  if (memory_bytes != defaults.memory_bytes) add("memory", rt::format_bytes_exact(memory_bytes));
  if (write_buffer_bytes != 0) add("write_buffer", rt::format_bytes_exact(write_buffer_bytes));
  if (cache_bytes != 0) add("cache", rt::format_bytes_exact(cache_bytes));
  if (wal_bytes_max != defaults.wal_bytes_max) add("wal_bytes_max", rt::format_bytes_exact(wal_bytes_max));
  if (!direct_io) add("direct_io", "false");
  if (readahead_pages != defaults.readahead_pages) add("readahead", std::to_string(readahead_pages));
  if (lock_wait_ms != defaults.lock_wait_ms) add("lock_wait_ms", std::to_string(lock_wait_ms));
  if (scrub_mb_per_s != 0) add("scrub_mb_per_s", std::to_string(scrub_mb_per_s));
  return text;
}

}  // namespace cambium
