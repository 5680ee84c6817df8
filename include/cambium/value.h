// SPDX-License-Identifier: MIT OR Apache-2.0
// Value: what get() yields: the bytes of a value without a copy, or nothing.
//
// The bytes lie in a pinned cache page, in a write buffer, or (overflow values, or when half of the cache is pinned)
// in memory of the value's own. An absent key gives an empty Value, which is not an error; a present key with an
// empty value gives one that is true.
//
// Lifetime   dropped on the core it came from, before the partition is closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <cambium/rt/bytes.h>
#include <cambium/rt/export.h>

namespace cambium {

namespace detail {
// Who keeps the bytes in place, and how to tell it that they are no longer needed.
struct ValueOwner {
  void (*release)(void* owner, std::uint64_t token) noexcept = nullptr;
  void* owner = nullptr;
  std::uint64_t token = 0;
};
}  // namespace detail

class [[nodiscard]] Value {
 public:
  Value() noexcept = default;
  Value(Bytes bytes, detail::ValueOwner owner) noexcept : bytes_(bytes), owner_(owner), present_(true) {}
  Value(Value&& other) noexcept
      : bytes_(other.bytes_), owner_(std::exchange(other.owner_, {})), present_(std::exchange(other.present_, false)) {}
  Value& operator=(Value&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(owner_, other.owner_);
    std::swap(present_, other.present_);
    return *this;
  }
  ~Value() {
    if (owner_.release != nullptr) owner_.release(owner_.owner, owner_.token);
  }

  explicit operator bool() const noexcept { return present_; }  // is the key there?
  std::string_view view() const noexcept { return bytes_.view(); }
  Bytes bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return bytes_.size(); }
  std::string str() const { return bytes_.str(); }

 private:
  Bytes bytes_;
  detail::ValueOwner owner_;
  bool present_ = false;
};

}  // namespace cambium
