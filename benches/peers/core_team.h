// SPDX-License-Identifier: MIT OR Apache-2.0
// The cores of a cluster, serving a thread that is none of them: the bench tells all of them to do something, and
// waits.
//
// Invariants
//   1. everywhere() returns when the work has ended on every core; a failed one ends the program.
//   2. One team at a time: a cluster's init takes no argument, so it finds its team in a global.
//
// Lifetime   the threads live as long as the object; what a core owns is released by work on that core before.
#pragma once

#include <cambium/cambium.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cambium::bench {

class CoreTeam {
 public:
  using Work = Task<Status> (*)(unsigned core_index, void* context);

  explicit CoreTeam(unsigned cores);
  ~CoreTeam();
  CoreTeam(const CoreTeam&) = delete;
  CoreTeam& operator=(const CoreTeam&) = delete;

  unsigned size() const { return static_cast<unsigned>(members_.size()); }
  Cluster& cluster() { return cluster_; }
  void everywhere(Work work, void* context);

 private:
  // Told by post() from the bench's thread; runs on its core.
  struct Member final : rt::Message {
    void run() noexcept override { told.set(); }
    Core* core = nullptr;
    Event told;
  };
  static Task<Status> serve(Cluster& cluster, unsigned index);
  void tell_all();
  void report();  // of one core: its work has ended

  Cluster cluster_;
  std::vector<std::unique_ptr<Member>> members_;
  Work work_ = nullptr;  // null: the end
  void* context_ = nullptr;
  std::mutex mutex_;
  std::condition_variable all_reported_;
  unsigned reports_ = 0;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace cambium::bench
