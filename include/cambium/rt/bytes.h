// SPDX-License-Identifier: MIT OR Apache-2.0
// Bytes: the parameter type for keys and values, and u64_key() for integer keys.
//
// A view: 16 bytes, passed by value, made implicitly from everything byte-like. Order is bytewise unsigned.
//
// Lifetime   as the bytes it was made from; every operation of the engine has consumed them when it returns.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace cambium {

class Bytes {
 public:
  constexpr Bytes() noexcept = default;
  constexpr Bytes(const char* data, std::size_t size) noexcept : data_(data), size_(size) {}
  constexpr Bytes(std::string_view text) noexcept : data_(text.data()), size_(text.size()) {}  // NOLINT: implicit
  constexpr Bytes(const char* text) noexcept : Bytes(std::string_view(text)) {}                // NOLINT: implicit
  Bytes(const std::string& text) noexcept : data_(text.data()), size_(text.size()) {}          // NOLINT: implicit
  Bytes(std::span<const std::byte> bytes) noexcept                                             // NOLINT: implicit
      : data_(reinterpret_cast<const char*>(bytes.data())), size_(bytes.size()) {}

  constexpr const char* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr std::string_view view() const noexcept { return {data_, size_}; }
  std::string str() const { return std::string(data_, size_); }

  // memcmp order, a prefix before its extensions: the order of every key in the engine.
  friend int compare(Bytes a, Bytes b) noexcept {
    const std::size_t common = a.size_ < b.size_ ? a.size_ : b.size_;
    const int order = common == 0 ? 0 : std::memcmp(a.data_, b.data_, common);
    if (order != 0) return order;
    return a.size_ < b.size_ ? -1 : (a.size_ > b.size_ ? 1 : 0);
  }
  friend bool operator==(Bytes a, Bytes b) noexcept {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
  }
  friend std::strong_ordering operator<=>(Bytes a, Bytes b) noexcept { return compare(a, b) <=> 0; }

 private:
  const char* data_ = "";
  std::size_t size_ = 0;
};

// A key whose bytewise order is the numeric order (big-endian).
class U64Key {
 public:
  explicit constexpr U64Key(std::uint64_t value) noexcept {
    for (int i = 7; i >= 0; --i, value >>= 8) bytes_[i] = static_cast<char>(value & 0xff);
  }
  constexpr operator Bytes() const noexcept { return Bytes(bytes_, sizeof bytes_); }  // NOLINT: implicit

 private:
  char bytes_[8] = {};
};

constexpr U64Key u64_key(std::uint64_t value) noexcept { return U64Key(value); }

}  // namespace cambium
