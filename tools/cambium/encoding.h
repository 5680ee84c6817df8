// SPDX-License-Identifier: MIT OR Apache-2.0
// How bytes are shown as text and read back: as they are, escaped, hexadecimal, base64.
//
// Invariants
//   1. decode(e, encode(e, bytes)) == bytes, and unescape(escape(bytes)) == bytes, for all bytes.
//   2. Escaped text is valid UTF-8 without control characters: no tab, no newline, nothing a terminal obeys.
//
// Errors     invalid_argument, which names what cannot be read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <cambium/rt/result.h>

namespace cambium::cli {

enum class Encoding : std::uint8_t { text, hex, base64 };

std::string_view to_string(Encoding encoding) noexcept;

// Encoding::text is the identity.
std::string encode(Encoding encoding, std::string_view bytes);
Result<std::string> decode(Encoding encoding, std::string_view text);

// \\ \t \n \r, and \xHH for other control characters and for bytes that are not UTF-8.
void append_escaped(std::string& to, std::string_view bytes);
Result<std::string> unescape(std::string_view text);

// The field of a line: escaped text, or hexadecimal or base64.
void append_field(std::string& to, Encoding encoding, std::string_view bytes);
Result<std::string> read_field(Encoding encoding, std::string_view field);

bool is_utf8(std::string_view bytes) noexcept;
int hex_digit(char digit) noexcept;  // -1 when it is none

// For messages: "..." around the escaped bytes, cut after some 60 characters.
std::string in_quotes(std::string_view bytes);

}  // namespace cambium::cli
