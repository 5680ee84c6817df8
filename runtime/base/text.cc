// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/text.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/assert.h"
#include "base/wide.h"

namespace cambium::rt {

namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// ASCII only: option names and units are, and a locale must not change what a program accepts.
constexpr char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr std::string_view kUnitLetters = "kmgtpe";  // 1,024 to the power of 1, 2, ... 6
constexpr std::string_view kUnitNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

std::string_view skip_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// "", "B", "k", "KB", "KiB", ... in any case.
std::optional<std::uint64_t> parse_unit(std::string_view text) noexcept {
  if (text.empty() || (text.size() == 1 && to_lower(text[0]) == 'b')) return 1;
  const std::size_t power = kUnitLetters.find(to_lower(text[0]));
  if (power == std::string_view::npos) return std::nullopt;
  std::uint64_t base = 0;
  if (text.size() == 1) base = 1024;
  if (text.size() == 2 && to_lower(text[1]) == 'b') base = 1000;
  if (text.size() == 3 && to_lower(text[1]) == 'i' && to_lower(text[2]) == 'b') base = 1024;
  if (base == 0) return std::nullopt;
  std::uint64_t unit = base;
  for (std::size_t i = 0; i < power; ++i) unit *= base;
  return unit;
}

}  // namespace

TextPart::TextPart(Hex value) noexcept {
  constexpr unsigned kDigitsMax = 16;
  const unsigned digits_min = std::clamp(value.digits_min, 1u, kDigitsMax);
  char* at = digits_ + sizeof digits_;
  unsigned digits = 0;
  for (std::uint64_t rest = value.value; digits < digits_min || rest != 0; ++digits, rest >>= 4) {
    *--at = kHexDigits[rest & 0xF];
  }
  *--at = 'x';
  *--at = '0';
  view_ = {at, digits + 2};
}

std::string join(std::span<const TextPart> parts) {
  std::size_t length = 0;
  for (const TextPart& part : parts) length += part.view().size();
  std::string text;
  text.reserve(length);
  for (const TextPart& part : parts) text += part.view();
  return text;
}

std::string hex_bytes(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 0xF];
  }
  return text;
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return str(bytes, " B");
  uint128 unit = 1024;
  std::size_t name = 1;
  const auto tenths = [&] { return static_cast<std::uint64_t>((static_cast<uint128>(bytes) * 10 + unit / 2) / unit); };
  // Rounded first, compared then: 1,048,575 is "1 MiB", not "1024 KiB".
  for (; tenths() >= 10240; ++name) unit *= 1024;
  const std::uint64_t value = tenths();
  if (value % 10 == 0) return str(value / 10, ' ', kUnitNames[name]);
  return str(value / 10, '.', value % 10, ' ', kUnitNames[name]);
}

std::string format_bytes_exact(std::uint64_t bytes) {
  std::size_t name = 0;
  for (; bytes != 0 && bytes % 1024 == 0; ++name) bytes /= 1024;
  return str(bytes, kUnitNames[name]);
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  text = skip_blanks(text);
  std::uint64_t whole = 0;
  const std::from_chars_result number = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (number.ec != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(number.ptr - text.data()));

  // The fraction as numerator and power of ten. Digits beyond the 18th are below a byte in any unit here.
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    if (text.empty() || !is_digit(text.front())) return std::nullopt;
    for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
      if (denominator > kMax / 100) continue;
      numerator = numerator * 10 + static_cast<std::uint64_t>(text.front() - '0');
      denominator *= 10;
    }
  }

  const std::optional<std::uint64_t> unit = parse_unit(skip_blanks(text));
  if (!unit) return std::nullopt;
  const uint128 bytes = static_cast<uint128>(whole) * *unit + static_cast<uint128>(numerator) * *unit / denominator;
  if (bytes > kMax) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

namespace {

constexpr std::size_t kWordLengthMax = 63;  // longer words are no misspelt option names

/// The optimal string alignment distance: Levenshtein's, with a swap of neighbours as one edit.
std::size_t edit_distance(std::string_view a, std::string_view b) noexcept {
  CAMBIUM_ASSERT(a.size() <= kWordLengthMax && b.size() <= kWordLengthMax);
  using Row = std::array<std::size_t, kWordLengthMax + 1>;
  Row rows[3];  // row i % 3 holds the distances of a's first i characters to every prefix of b
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    Row& row = rows[i % 3];
    const Row& above = rows[(i - 1) % 3];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = to_lower(a[i - 1]) == to_lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0u : 1u)});
      const bool swapped =
          i > 1 && j > 1 && to_lower(a[i - 1]) == to_lower(b[j - 2]) && to_lower(a[i - 2]) == to_lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], rows[(i + 1) % 3][j - 2] + 1);  // (i - 2) % 3
    }
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace

std::optional<std::string_view> closest_match(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > kWordLengthMax) return std::nullopt;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::optional<std::string_view> best;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kWordLengthMax) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

}  // namespace cambium::rt
