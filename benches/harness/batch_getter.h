// SPDX-License-Identifier: MIT OR Apache-2.0
// An AsyncGetter for engines whose only way to have several reads in flight on a thread is a batched get.
//
// Each round asks every slot for a key and hands all of them to multi_get(): what a single-threaded user of such an
// engine can do. It lets a peer be shown beside ours in bench_miss; it is not used for Cambium.
#pragma once

#include <vector>

#include "harness/kv_adapter.h"

namespace cambium::bench {

class BatchGetter final : public AsyncGetter {
 public:
  explicit BatchGetter(KvAdapter& engine) : engine_(engine) {}

  void run(GetClients& clients, unsigned slot_count) override;
  bool set_spin_us(unsigned) override { return false; }

 private:
  KvAdapter& engine_;
  std::vector<unsigned> slots_;
  std::vector<std::string_view> views_;
  std::vector<bool> found_;
};

}  // namespace cambium::bench
