// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/encoding.h"

#include <cstddef>

#include "base/text.h"
#include "base/utf8.h"

namespace cambium::cli {
namespace {

constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kQuotedBytesMax = 60;

unsigned byte_at(std::string_view bytes, std::size_t index) noexcept {
  return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0u;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const unsigned group = byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8 | byte_at(bytes, i + 2);
    text += kBase64Digits[group >> 18];
    text += kBase64Digits[group >> 12 & 63];
    text += i + 1 < bytes.size() ? kBase64Digits[group >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? kBase64Digits[group & 63] : '=';
  }
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  std::string_view digits = text;
  while (!digits.empty() && digits.back() == '=' && text.size() - digits.size() < 2) digits.remove_suffix(1);
  if (text.size() % 4 != 0 || digits.size() % 4 == 1) {
    return Error(Errc::invalid_argument, rt::str("base64 of ", text.size(), " characters is cut short"));
  }
  std::string bytes;
  bytes.reserve(digits.size() / 4 * 3 + 2);
  unsigned group = 0;
  unsigned bits = 0;
  for (const char digit : digits) {
    const std::size_t value = kBase64Digits.find(digit);
    if (value == std::string_view::npos) {
      return Error(Errc::invalid_argument, rt::str(in_quotes(std::string_view(&digit, 1)), " is no base64 digit"));
    }
    group = group << 6 | static_cast<unsigned>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(group >> bits & 0xff);
    }
  }
  return bytes;
}

Result<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return Error(Errc::invalid_argument, rt::str("hexadecimal of ", text.size(), " digits is cut short"));
  }
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) {
      return Error(Errc::invalid_argument, rt::str(in_quotes(text.substr(i, 2)), " is not hexadecimal"));
    }
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

void append_hex_escape(std::string& to, char byte) {
  const unsigned value = static_cast<unsigned char>(byte);
  to += "\\x";
  to += kHexDigits[value >> 4];
  to += kHexDigits[value & 15];
}

}  // namespace

std::string_view to_string(Encoding encoding) noexcept {
  switch (encoding) {
    case Encoding::text:
      return "utf8";
    case Encoding::hex:
      return "hex";
    case Encoding::base64:
      return "base64";
  }
  return "unknown";
}

int hex_digit(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string encode(Encoding encoding, std::string_view bytes) {
  switch (encoding) {
    case Encoding::hex:
      return rt::hex_bytes(bytes);
    case Encoding::base64:
      return to_base64(bytes);
    case Encoding::text:
      break;
  }
  return std::string(bytes);
}

Result<std::string> decode(Encoding encoding, std::string_view text) {
  switch (encoding) {
    case Encoding::hex:
      return from_hex(text);
    case Encoding::base64:
      return from_base64(text);
    case Encoding::text:
      break;
  }
  return std::string(text);
}

void append_escaped(std::string& to, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = rt::utf8_length(bytes);
    const std::string_view character = bytes.substr(0, length == 0 ? 1 : length);
    bytes.remove_prefix(character.size());
    if (character == "\\") {
      to += "\\\\";
    } else if (character == "\t") {
      to += "\\t";
    } else if (character == "\n") {
      to += "\\n";
    } else if (character == "\r") {
      to += "\\r";
    } else if (length == 0 || rt::is_control(character)) {
      for (const char byte : character) append_hex_escape(to, byte);
    } else {
      to += character;
    }
  }
}

Result<std::string> unescape(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    const char kind = i + 1 < text.size() ? text[i + 1] : '\0';
    const int high = kind == 'x' && i + 3 < text.size() ? hex_digit(text[i + 2]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 3]) : -1;
    if (kind == '\\') {
      bytes += '\\';
    } else if (kind == 't') {
      bytes += '\t';
    } else if (kind == 'n') {
      bytes += '\n';
    } else if (kind == 'r') {
      bytes += '\r';
    } else if (low >= 0) {
      bytes += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      return Error(Errc::invalid_argument, rt::str("unknown escape ", in_quotes(text.substr(i, 4))),
                   "escapes are \\\\ \\t \\n \\r \\xHH; a backslash of the data is written \\\\");
    }
    ++i;
  }
  return bytes;
}

void append_field(std::string& to, Encoding encoding, std::string_view bytes) {
  if (encoding == Encoding::text) {
    append_escaped(to, bytes);
  } else {
    to += encode(encoding, bytes);
  }
}

Result<std::string> read_field(Encoding encoding, std::string_view field) {
  if (encoding != Encoding::text) return decode(encoding, field);
  if (field.find('\\') == std::string_view::npos) return std::string(field);
  return unescape(field);
}

bool is_utf8(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const std::size_t length = rt::utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string in_quotes(std::string_view bytes) {
  std::string text = "\"";
  append_escaped(text, bytes.substr(0, kQuotedBytesMax));
  text += bytes.size() > kQuotedBytesMax ? "...\"" : "\"";
  return text;
}

}  // namespace cambium::cli
