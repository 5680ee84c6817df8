// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Integers to and from bytes, at any alignment.
//
// Little endian is the order of everything on disk. Big endian exists for one purpose: a key's first
// bytes, loaded big-endian, compare as integers in the same order as bytewise (key heads).
//
// Each function takes a pointer to bytes (char, unsigned char, std::byte: constexpr) or a void pointer.
//
// Invariants
//   1. The host is little endian: every on-disk struct is read in place, so a big-endian build would
//      be wrong everywhere, not only here. It is refused at compile time.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cambium::rt {

static_assert(std::endian::native == std::endian::little,
              "Cambium reads its little-endian file format in place and needs a little-endian host");

/// The types that may alias any object.
template <class B>
concept ByteLike = std::same_as<B, char> || std::same_as<B, unsigned char> || std::same_as<B, std::byte>;

/// Reverses the bytes of an unsigned integer.
template <std::unsigned_integral U>
constexpr U byte_swap(U value) noexcept {
  static_assert(sizeof(U) == 2 || sizeof(U) == 4 || sizeof(U) == 8);
  if constexpr (sizeof(U) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(U) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(U) == 8) return __builtin_bswap64(value);
}

namespace detail {

template <class U>
inline U load_le(const void* from) noexcept {
  U value;
  std::memcpy(&value, from, sizeof(U));
  return value;
}

template <class U>
inline void store_le(void* to, U value) noexcept {
  std::memcpy(to, &value, sizeof(U));
}

// memcpy cannot run at compile time through a byte pointer; the byte loop can.
template <class U, ByteLike B>
constexpr U load_le(const B* from) noexcept {
  if (!std::is_constant_evaluated()) return load_le<U>(static_cast<const void*>(from));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(U); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  }
  return static_cast<U>(value);
}

template <class U, ByteLike B>
constexpr void store_le(B* to, U value) noexcept {
  if (!std::is_constant_evaluated()) return store_le<U>(static_cast<void*>(to), value);
  for (std::size_t i = 0; i < sizeof(U); ++i) {
    to[i] = static_cast<B>(static_cast<unsigned char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
}

}  // namespace detail

inline std::uint16_t load_le16(const void* from) noexcept { return detail::load_le<std::uint16_t>(from); }
inline std::uint32_t load_le32(const void* from) noexcept { return detail::load_le<std::uint32_t>(from); }
inline std::uint64_t load_le64(const void* from) noexcept { return detail::load_le<std::uint64_t>(from); }
inline std::uint32_t load_be32(const void* from) noexcept { return byte_swap(load_le32(from)); }
inline std::uint64_t load_be64(const void* from) noexcept { return byte_swap(load_le64(from)); }

inline void store_le16(void* to, std::uint16_t value) noexcept { detail::store_le(to, value); }
inline void store_le32(void* to, std::uint32_t value) noexcept { detail::store_le(to, value); }
inline void store_le64(void* to, std::uint64_t value) noexcept { detail::store_le(to, value); }
inline void store_be32(void* to, std::uint32_t value) noexcept { detail::store_le(to, byte_swap(value)); }
inline void store_be64(void* to, std::uint64_t value) noexcept { detail::store_le(to, byte_swap(value)); }

template <ByteLike B>
constexpr std::uint16_t load_le16(const B* from) noexcept {
  return detail::load_le<std::uint16_t>(from);
}
template <ByteLike B>
constexpr std::uint32_t load_le32(const B* from) noexcept {
  return detail::load_le<std::uint32_t>(from);
}
template <ByteLike B>
constexpr std::uint64_t load_le64(const B* from) noexcept {
  return detail::load_le<std::uint64_t>(from);
}
template <ByteLike B>
constexpr std::uint32_t load_be32(const B* from) noexcept {
  return byte_swap(load_le32(from));
}
template <ByteLike B>
constexpr std::uint64_t load_be64(const B* from) noexcept {
  return byte_swap(load_le64(from));
}

template <ByteLike B>
constexpr void store_le16(B* to, std::uint16_t value) noexcept {
  detail::store_le(to, value);
}
template <ByteLike B>
constexpr void store_le32(B* to, std::uint32_t value) noexcept {
  detail::store_le(to, value);
}
template <ByteLike B>
constexpr void store_le64(B* to, std::uint64_t value) noexcept {
  detail::store_le(to, value);
}
template <ByteLike B>
constexpr void store_be32(B* to, std::uint32_t value) noexcept {
  detail::store_le(to, byte_swap(value));
}
template <ByteLike B>
constexpr void store_be64(B* to, std::uint64_t value) noexcept {
  detail::store_le(to, byte_swap(value));
}

}  // namespace cambium::rt
