// SPDX-License-Identifier: MIT OR Apache-2.0
// Puts that are acknowledged only when a power cut cannot take them back, several in flight: what bench_durable drives.
// A closed loop: each slot has its next put as soon as the one before it is durable, as the clients of a server would.
//
// An engine of one thread keeps all slots in flight on it; an engine that blocks runs a thread for each slot, and then
// both functions of PutClients are called from several threads, those of one slot from one of them.
//
// Lifetime   key and value live until the put of their slot is reported.
#pragma once

#include <string_view>

namespace cambium::bench {

class PutClients {
 public:
  // The next put of this slot; false: the slot is done.
  virtual bool next(unsigned slot, std::string_view& key, std::string_view& value) = 0;
  virtual void on_durable(unsigned slot) = 0;

 protected:
  ~PutClients() = default;
};

class DurablePutter {
 public:
  // Keeps a put in flight for every slot below `slot_count` until all of them are done.
  virtual void run(PutClients& clients, unsigned slot_count) = 0;

  // How long a wait looks for completions before it blocks. False: the engine has no such setting.
  virtual bool set_spin_us(unsigned) { return false; }

 protected:
  ~DurablePutter() = default;
};

}  // namespace cambium::bench
