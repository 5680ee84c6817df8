// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/options.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace cambium {

namespace {

constexpr std::array<std::string_view, 10> kNames = {"path",         "mode",          "read_only", "memory",
                                                     "write_buffer", "cache",         "direct_io", "readahead",
                                                     "lock_wait_ms", "scrub_mb_per_s"};

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
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

Status parse_one(std::string_view name, std::string_view value, Options& options) {
  if (name == "path") {
    options.path = value;
    return {};
  }
  if (name == "mode") return parse_mode(value, options.mode);
  if (name == "read_only") return parse_bool(name, value, options.read_only);
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
  while (!text.empty()) {
    const std::size_t end = text.find(';');
    const std::string_view item = trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      return Error(Errc::invalid_argument, rt::str("option \"", item, "\" has no value"),
                   "write name=value; name=value");
    }
    const Status parsed = parse_one(trim(item.substr(0, equals)), trim(item.substr(equals + 1)), options);
    if (!parsed) return parsed.error();
  }
  return options;
}

std::string Options::to_string() const {
  const Options defaults;
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    text += rt::str(text.empty() ? "" : "; ", name, "=", value);
  };
  if (!path.empty()) add("path", path.view());
  if (mode != defaults.mode) add("mode", mode == OpenMode::open ? "open" : "create");
  if (read_only) add("read_only", "true");
  if (memory_bytes != defaults.memory_bytes) add("memory", rt::format_bytes_exact(memory_bytes));
  if (write_buffer_bytes != 0) add("write_buffer", rt::format_bytes_exact(write_buffer_bytes));
  if (cache_bytes != 0) add("cache", rt::format_bytes_exact(cache_bytes));
  if (!direct_io) add("direct_io", "false");
  if (readahead_pages != defaults.readahead_pages) add("readahead", std::to_string(readahead_pages));
  if (lock_wait_ms != defaults.lock_wait_ms) add("lock_wait_ms", std::to_string(lock_wait_ms));
  if (scrub_mb_per_s != 0) add("scrub_mb_per_s", std::to_string(scrub_mb_per_s));
  return text;
}

}  // namespace cambium
