// SPDX-License-Identifier: MIT OR Apache-2.0
// Gets with many in flight on one thread: what bench_miss drives.
//
// The driver keeps `depth` gets in flight: it submits until that many are pending and then polls. An
// engine that answers at once (the page was cached) may report from within submit().
//
// Invariants
//   1. Each submitted get is reported exactly once, from submit() or from poll().
//   2. The driver calls neither submit() nor poll() from within a report.
//
// Lifetime   the key is consumed when submit() returns; the value is valid during the report only.
// Units      spin_us microseconds; 0 means that waiting blocks at once.
#pragma once

#include <cstdint>
#include <string_view>

namespace cambium::bench {

class GetListener {
 public:
  virtual void on_get(std::uint64_t tag, bool found, std::string_view value) = 0;

 protected:
  ~GetListener() = default;
};

class AsyncGetter {
 public:
  virtual void start(GetListener& listener) = 0;  // once before the first submit(); may be called again later
  virtual void submit(std::string_view key, std::uint64_t tag) = 0;
  virtual void poll() = 0;  // waits for at least one report, unless nothing is in flight

  // How long poll() looks for completions before it blocks. False: the engine has no such setting.
  virtual bool set_spin_us(unsigned spin_us) = 0;

 protected:
  ~AsyncGetter() = default;
};

}  // namespace cambium::bench
