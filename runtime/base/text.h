// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Text for messages: joining parts, byte sizes, hexadecimal, "did you mean".
//
//   str("page ", id, " has checksum ", hex(crc), ", expected ", hex(want))
//
// Errors and logs are built with it, so that no translation unit pays for iostreams or a format library.
// Floating point is left out on purpose: figures in messages are integers with a unit.
//
// Errors     parsing answers std::nullopt; joining may throw std::bad_alloc like any std::string.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace cambium::rt {

/// An integer to be written as "0x1f", with at least `digits_min` digits.
struct Hex {
  std::uint64_t value;
  unsigned digits_min;
};

template <std::integral I>
[[nodiscard]] constexpr Hex hex(I value, unsigned digits_min = 1) noexcept {
  return {static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<I>>(value)), digits_min};
}

/// One part of a message: text, a character, "true"/"false", a decimal integer, or a Hex. Lives no longer
/// than the expression it stands in.
class TextPart {
 public:
  TextPart(std::string_view text) noexcept : view_(text) {}                  // NOLINT(google-explicit-constructor)
  TextPart(const std::string& text) noexcept : view_(text) {}                // NOLINT(google-explicit-constructor)
  TextPart(const char* text) noexcept : view_(text) {}                       // NOLINT(google-explicit-constructor)
  TextPart(bool value) noexcept : view_(value ? "true" : "false") {}         // NOLINT(google-explicit-constructor)
  TextPart(char value) noexcept : view_(digits_, 1) { digits_[0] = value; }  // NOLINT(google-explicit-constructor)
  TextPart(Hex value) noexcept;                                              // NOLINT(google-explicit-constructor)

  template <std::integral I>
    requires(!std::same_as<I, bool> && !std::same_as<I, char>)
  TextPart(I value) noexcept {  // NOLINT(google-explicit-constructor)
    const std::to_chars_result end = std::to_chars(digits_, digits_ + sizeof digits_, value);
    view_ = {digits_, static_cast<std::size_t>(end.ptr - digits_)};
  }
  template <class P>
  TextPart(const P*) = delete;  // a pointer would silently become "true"

  TextPart(const TextPart&) = delete;
  TextPart& operator=(const TextPart&) = delete;

  [[nodiscard]] std::string_view view() const noexcept { return view_; }

 private:
  char digits_[24];        // 20 digits and a sign, or "0x" and 16 digits
  std::string_view view_;  // into digits_, or the caller's text
};

[[nodiscard]] std::string join(std::span<const TextPart> parts);

/// All parts, one after the other, in one allocation.
template <class... Parts>
[[nodiscard]] std::string str(const Parts&... parts) {
  if constexpr (sizeof...(Parts) == 0) {
    return {};
  } else {
    const TextPart all[] = {TextPart(parts)...};
    return join(all);
  }
}

/// Each byte as two hexadecimal digits: "00ff7a".
[[nodiscard]] std::string hex_bytes(std::string_view bytes);

/// For people: "0 B", "1.5 GiB", "512 MiB"; rounded to one decimal, which is left out when it is 0.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

/// For options: the largest unit that divides exactly, "512MiB", "1536KiB", "1000B". parse_bytes() reads it back.
[[nodiscard]] std::string format_bytes_exact(std::uint64_t bytes);

/// Reads a size: digits, an optional fraction, an optional unit, in any case, blanks between them allowed.
/// KiB MiB GiB TiB PiB EiB and K M G T P E are powers of 1,024; KB MB GB TB PB EB of 1,000; none or B is bytes.
/// A fraction of a byte is cut off. Anything else, or more than 2^64-1, is nullopt.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

/// The candidate that was probably meant by the misspelt `word`: the one with the fewest single-character
/// edits (insert, delete, replace, swap of neighbours; case ignored), the first of several; nullopt when
/// even that one would take more than a third of the word's length (and more than one edit).
[[nodiscard]] std::optional<std::string_view> closest_match(std::string_view word,
                                                            std::span<const std::string_view> candidates);

}  // namespace cambium::rt
