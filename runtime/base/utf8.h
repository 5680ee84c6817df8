// SPDX-License-Identifier: MIT OR Apache-2.0
//
// UTF-8, as far as names and terminals need it: where a character ends, and which ones are control characters. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace cambium::rt {

/// Length of the character at the start of `bytes`: 0 when there is none (overlong, surrogate, cut, too large).
[[nodiscard]] constexpr std::size_t utf8_length(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
  if (bytes.empty()) return 0;
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : (first >= 0xe0 ? 3 : 2);
  if (first < 0xc2 || first > 0xf4 || bytes.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return overlong || outside ? 0 : length;
}

/// C0 controls, DEL, and the C1 controls (U+0080 to U+009F), which some terminals obey too.
/// Requires: one character, as utf8_length() delimits it.
[[nodiscard]] constexpr bool is_control(std::string_view character) noexcept {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

}  // namespace cambium::rt
