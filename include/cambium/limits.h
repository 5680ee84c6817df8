// SPDX-License-Identifier: MIT OR Apache-2.0
// Every bound of the engine that a user can meet, with its unit and the reaction to it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cambium {

inline constexpr std::size_t kKeyBytesMin = 1;                          // shorter: invalid_argument
inline constexpr std::size_t kKeyBytesMax = 1024;                       // longer: invalid_argument
inline constexpr std::size_t kValueBytesMax = std::size_t{1} << 30;     // longer: invalid_argument
inline constexpr std::size_t kTableNameBytesMax = 255;                  // longer, or none: invalid_argument
inline constexpr std::size_t kInlineValueBytesMax = 1280;               // longer values live in overflow extents
inline constexpr std::size_t kPageBytes = 4096;                         // the unit of space and caching
inline constexpr std::size_t kMemoryBytesMin = std::size_t{512} << 10;  // less: invalid_argument
inline constexpr std::uint64_t kFilePagesMax = std::uint64_t{1} << 30;  // 4 TiB; beyond: no_space

}  // namespace cambium
