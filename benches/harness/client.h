// SPDX-License-Identifier: MIT OR Apache-2.0
// A client of a store in a closed loop: it says what it wants next, and is told what came.
//
// ConcurrentStore runs many of them at once: on threads where an engine blocks, as coroutines where it does not. A
// client does not know which, so that both sides of a comparison do the same work.
//
// Invariants
//   1. One call at a time: next(), then what the verb brings, then on_done(); never two threads in one client.
//   2. Calls of a client may come from several threads in turn, each ordered after the one before.
//
// Lifetime   the views of an Operation live until on_done(); what on_value() and on_entry() show, during the call.
// Units      pause_ns nanoseconds; scan_length entries.
#pragma once

#include <cstdint>
#include <string_view>

namespace cambium::bench {

enum class Verb : std::uint8_t {
  put,     // key, value
  get,     // key -> on_value()
  modify,  // key -> on_modify(), whose answer is put
  scan,    // scan_length entries from key on, ascending -> on_entry() for each
  pause,   // pause_ns: a client that keeps a rate
};

struct Operation {
  Verb verb = Verb::get;
  std::string_view key = {};
  std::string_view value = {};
  std::uint32_t scan_length = 0;
  std::int64_t pause_ns = 0;
};

class Client {
 public:
  virtual ~Client() = default;

  virtual bool next(Operation& operation) = 0;  // false: this client is done
  virtual void on_value(bool found, std::string_view value) = 0;
  virtual std::string_view on_modify(bool found, std::string_view value) = 0;
  virtual void on_entry(std::string_view key, std::string_view value) = 0;
  virtual void on_done() = 0;
};

}  // namespace cambium::bench
