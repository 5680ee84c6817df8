// SPDX-License-Identifier: MIT OR Apache-2.0
// Errors as values: Errc, Error, Result<T> and Status.
//
// Result has the method names of std::expected (which C++20 lacks). Absence of a key is not an error;
// an Error means that the operation did not do what it was asked to.
//
// Errors     an Error carries one code per caller reaction, a message with the figures, and a hint that says
//            what to try. value() on an error throws BadResult: for code without coroutines.
// Lifetime   Error shares its text: copies are cheap and never throw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <cambium/rt/export.h>

namespace cambium {

// One code per reaction of the caller. The order is part of the C interface: append only.
enum class Errc : std::uint8_t {
  ok = 0,
  invalid_argument,  // the call is wrong: change it; nothing was changed
  not_found,         // a named thing (file, table) does not exist; never used for an absent key
  exists,            // a thing to be created is there already
  busy,              // locked by someone else, or every page of the cache is pinned: retry later
  would_stall,       // asked not to wait, and would have had to
  no_space,          // the device is full: free space, then retry
  corruption,        // bytes on the device are not what was written: run `cambium check`
  unsupported,       // foreign file, newer format, missing kernel feature
  io,                // the device failed; the partition may be poisoned
  resource,          // memory, file descriptors or ring resources were refused
  cancelled,         // the caller's cancel request was honoured
  timeout,           // the caller's deadline passed
  closed,            // the object was closed before or during the call
};

inline constexpr std::size_t kErrcCount = static_cast<std::size_t>(Errc::closed) + 1;
CAMBIUM_EXPORT std::string_view to_string(Errc code) noexcept;  // for people: "I/O error"
CAMBIUM_EXPORT std::string_view name_of(Errc code) noexcept;    // for programs: the name above, "io"

class [[nodiscard, gnu::visibility("default")]] Error {
 public:
  explicit Error(Errc code) noexcept : code_(code) {}
  Error(Errc code, std::string message, std::string hint = {})
      : code_(code), detail_(std::make_shared<const Detail>(Detail{std::move(message), std::move(hint)})) {}

  Errc code() const noexcept { return code_; }
  std::string_view message() const noexcept { return detail_ ? std::string_view(detail_->message) : to_string(code_); }
  std::string_view hint() const noexcept { return detail_ ? std::string_view(detail_->hint) : std::string_view(); }

  // The same error seen from further out: "opening data.cambium: " + message.
  Error within(std::string_view context) const {
    return Error(code_, std::string(context) + ": " + std::string(message()), std::string(hint()));
  }

 private:
  struct Detail {
    std::string message;
    std::string hint;
  };
  Errc code_;
  std::shared_ptr<const Detail> detail_;
};

// Thrown by Result::value() on an error; never thrown through a coroutine of this library.
class CAMBIUM_EXPORT BadResult : public std::exception {
 public:
  explicit BadResult(Error error);
  const char* what() const noexcept override { return text_.c_str(); }
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
  std::string text_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  template <class U = T>
    requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error>)
  Result(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>)  // NOLINT: implicit by design
      : has_value_(true), value_(std::forward<U>(value)) {}
  // Makes the value in its place.
  template <class... Args>
  explicit Result(std::in_place_t, Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>)
      : has_value_(true), value_(std::forward<Args>(args)...) {}
  Result(Error error) noexcept : has_value_(false), error_(std::move(error)) {}  // NOLINT: implicit by design
  Result(Errc code) noexcept : Result(Error(code)) {}                            // NOLINT: implicit by design
  Result(Result&& other) noexcept : has_value_(other.has_value_) { construct_from(std::move(other)); }
  Result(const Result& other)
    requires std::is_copy_constructible_v<T>
      : has_value_(other.has_value_) {
    if (has_value_) {
      new (&value_) T(other.value_);
    } else {
      new (&error_) Error(other.error_);
    }
  }
  Result& operator=(Result&& other) noexcept {
    if (this != &other) {
      destroy();
      has_value_ = other.has_value_;
      construct_from(std::move(other));
    }
    return *this;
  }
  Result& operator=(const Result&) = delete;
  ~Result() { destroy(); }

  bool has_value() const noexcept { return has_value_; }
  explicit operator bool() const noexcept { return has_value_; }
  Errc code() const noexcept { return has_value_ ? Errc::ok : error_.code(); }
  const Error& error() const& noexcept { return error_; }  // Requires: !has_value()

  T& value() & {
    if (!has_value_) throw BadResult(error_);
    return value_;
  }
  const T& value() const& {
    if (!has_value_) throw BadResult(error_);
    return value_;
  }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }  // never undefined: an unchecked error throws
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  T value_or(T fallback) && { return has_value_ ? std::move(value_) : std::move(fallback); }

 private:
  void construct_from(Result&& other) noexcept {
    static_assert(std::is_nothrow_move_constructible_v<T>);
    if (has_value_) {
      new (&value_) T(std::move(other.value_));
    } else {
      new (&error_) Error(std::move(other.error_));
    }
  }
  void destroy() noexcept {
    if (has_value_) {
      value_.~T();
    } else {
      error_.~Error();
    }
  }

  bool has_value_;
  union {
    T value_;
    Error error_;
  };
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() noexcept : error_(Errc::ok) {}
  Result(Error error) noexcept : error_(std::move(error)) {}  // NOLINT: implicit by design
  Result(Errc code) noexcept : error_(code) {}                // NOLINT: implicit by design

  bool has_value() const noexcept { return error_.code() == Errc::ok; }
  explicit operator bool() const noexcept { return has_value(); }
  Errc code() const noexcept { return error_.code(); }
  const Error& error() const& noexcept { return error_; }
  void value() const {
    if (!has_value()) throw BadResult(error_);
  }

 private:
  Error error_;
};

using Status = Result<void>;

}  // namespace cambium
