// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/result.h>

#include <cstddef>
#include <iterator>
#include <utility>

namespace cambium {

namespace {

struct ErrcText {
  Errc code;
  std::string_view name;  // for programs: the enumerator
  std::string_view text;  // for people
};
constexpr ErrcText kErrcTexts[] = {
    {Errc::ok, "ok", "ok"},
    {Errc::invalid_argument, "invalid_argument", "invalid argument"},
    {Errc::not_found, "not_found", "not found"},
    {Errc::exists, "exists", "exists already"},
    {Errc::busy, "busy", "busy"},
    {Errc::would_stall, "would_stall", "would stall"},
    {Errc::no_space, "no_space", "no space"},
    {Errc::corruption, "corruption", "corruption"},
    {Errc::unsupported, "unsupported", "unsupported"},
    {Errc::io, "io", "I/O error"},
    {Errc::resource, "resource", "resource refused"},
    {Errc::cancelled, "cancelled", "cancelled"},
    {Errc::timeout, "timeout", "timeout"},
    {Errc::closed, "closed", "closed"},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(kErrcTexts); ++i) {
    if (kErrcTexts[i].code != Errc{static_cast<std::uint8_t>(i)}) return false;
  }
  return std::size(kErrcTexts) == kErrcCount;
}
static_assert(in_order());

}  // namespace

// A code beyond the table comes from a newer library, through the C interface.
std::string_view to_string(Errc code) noexcept {
  const auto index = static_cast<std::size_t>(code);
  return index < kErrcCount ? kErrcTexts[index].text : "unknown error code";
}
std::string_view name_of(Errc code) noexcept {
  const auto index = static_cast<std::size_t>(code);
  return index < kErrcCount ? kErrcTexts[index].name : "unknown";
}

BadResult::BadResult(Error error) : error_(std::move(error)) {
  text_ = error_.message();
  if (!error_.hint().empty()) {
    text_ += " (";
    text_ += error_.hint();
    text_ += ')';
  }
}

}  // namespace cambium
