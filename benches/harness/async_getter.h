// SPDX-License-Identifier: MIT OR Apache-2.0
// Gets with many in flight on one thread: what bench_miss drives. A closed loop: each slot asks for its next key as
// soon as it has its answer, as the clients of a server would.
//
// Invariants
//   1. Each key that next() gave is reported exactly once before run() returns.
//
// Lifetime   a key lives until its answer is reported; a value during the report only.
// Units      spin_us microseconds; 0 means that waiting blocks at once.
#pragma once

#include <cstdint>
#include <string_view>

namespace cambium::bench {

// Where the gets come from and where their answers go.
class GetClients {
 public:
  // The next key of this slot; false: the slot is done.
  virtual bool next(unsigned slot, std::string_view& key) = 0;
  virtual void on_get(unsigned slot, bool found, std::string_view value) = 0;

 protected:
  ~GetClients() = default;
};

class AsyncGetter {
 public:
  // Keeps a get in flight for every slot below `slot_count` until all of them are done.
  virtual void run(GetClients& clients, unsigned slot_count) = 0;

  // How long a wait looks for completions before it blocks. False: the engine has no such setting.
  virtual bool set_spin_us(unsigned spin_us) = 0;

 protected:
  ~AsyncGetter() = default;
};

}  // namespace cambium::bench
