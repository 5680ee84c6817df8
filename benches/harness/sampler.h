// SPDX-License-Identifier: MIT OR Apache-2.0
// Looks at a run once a second, from a thread of its own: operations per second, and the space its files take.
//
// A mean hides a store that stands still for a second while it compacts; the worst second shows it.
//
// Invariants
//   1. Only whole seconds before end_window() count; a run of less than two has no worst second but its mean.
//
// Units      operations per second; bytes allocated by the file system, not lengths of files.
// Lifetime   joined by stop() or the destructor; what it reads outlives it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cambium::bench {

class Sampler {
 public:
  Sampler(std::string dir, std::function<std::uint64_t()> operation_count);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  void end_window() { in_window_ = false; }  // from here on only the space is looked at
  void stop();

  // After stop().
  const std::vector<double>& rates() const { return rates_; }
  double worst_rate(double mean_rate) const;
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  void watch();

  std::string dir_;
  std::function<std::uint64_t()> operation_count_;
  std::atomic<bool> in_window_ = true;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;  // guarded by mutex_
  std::vector<double> rates_;
  std::uint64_t bytes_max_ = 0;
  std::thread thread_;
};

}  // namespace cambium::bench
