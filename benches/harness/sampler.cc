// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/sampler.h"

#include <algorithm>
#include <chrono>

#include "harness/data_file.h"
#include "harness/measure.h"

namespace cambium::bench {

Sampler::Sampler(std::string dir, std::function<std::uint64_t()> operation_count)
    : dir_(std::move(dir)), operation_count_(std::move(operation_count)), thread_([this] { watch(); }) {}

Sampler::~Sampler() { stop(); }

void Sampler::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
  bytes_max_ = std::max(bytes_max_, allocated_bytes(dir_));
}

double Sampler::worst_rate(double mean_rate) const {
  return rates_.size() < 2 ? mean_rate : *std::min_element(rates_.begin(), rates_.end());
}

void Sampler::watch() {
  std::uint64_t seen = operation_count_();
  double seen_at = now_seconds();
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::seconds(1), [this] { return ending_; })) {
    const std::uint64_t count = operation_count_();
    const double now = now_seconds();
    // The flag is looked at after the count: a second that the window's end cuts is no whole one.
    if (in_window_) rates_.push_back(static_cast<double>(count - seen) / (now - seen_at));
    seen = count;
    seen_at = now;
    bytes_max_ = std::max(bytes_max_, allocated_bytes(dir_));
  }
}

}  // namespace cambium::bench
