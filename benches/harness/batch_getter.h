// SPDX-License-Identifier: MIT OR Apache-2.0
// An AsyncGetter for engines whose only way to have several reads in flight on a thread is a batched get.
//
// submit() collects, poll() hands the whole batch to multi_get(): what a single-threaded user of such an
// engine can do. It lets a peer be shown beside ours in bench_miss; it is not used for Cambium.
#pragma once

#include <string>
#include <vector>

#include "harness/kv_adapter.h"

namespace cambium::bench {

class BatchGetter final : public AsyncGetter {
 public:
  explicit BatchGetter(KvAdapter& engine) : engine_(engine) {}

  void start(GetListener& listener) override;
  void submit(std::string_view key, std::uint64_t tag) override;
  void poll() override;
  bool set_spin_us(unsigned) override { return false; }

 private:
  KvAdapter& engine_;
  GetListener* listener_ = nullptr;
  std::vector<std::string> keys_;  // strings are reused from batch to batch: no allocation in the loop
  std::vector<std::uint64_t> tags_;
  std::vector<std::string_view> views_;
  std::vector<bool> found_;
};

}  // namespace cambium::bench
