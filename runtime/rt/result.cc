// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/result.h>

#include <utility>

namespace cambium {

std::string_view to_string(Errc code) noexcept {
  switch (code) {
    case Errc::ok:
      return "ok";
    case Errc::invalid_argument:
      return "invalid argument";
    case Errc::not_found:
      return "not found";
    case Errc::exists:
      return "exists already";
    case Errc::busy:
      return "busy";
    case Errc::would_stall:
      return "would stall";
    case Errc::no_space:
      return "no space";
    case Errc::corruption:
      return "corruption";
    case Errc::unsupported:
      return "unsupported";
    case Errc::io:
      return "I/O error";
    case Errc::resource:
      return "resource refused";
    case Errc::cancelled:
      return "cancelled";
    case Errc::timeout:
      return "timeout";
    case Errc::closed:
      return "closed";
  }
  return "unknown error code";  // a value from a newer library, through the C interface
}

BadResult::BadResult(Error error) : error_(std::move(error)) {
  text_ = error_.message();
  if (!error_.hint().empty()) {
    text_ += " (";
    text_ += error_.hint();
    text_ += ')';
  }
}

}  // namespace cambium
