// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/driver.h"

namespace cambium::bench {

std::uint64_t operation_count(const Clients& clients) {
  std::uint64_t count = 0;
  for (const auto& client : clients) count += client->operation_count();
  return count;
}

void run_clients(ConcurrentStore& store, const Clients& clients) {
  std::vector<Client*> views;
  for (const auto& client : clients) views.push_back(client.get());
  store.run(views);
}

void add_latencies(Sample& sample, const Clients& timed) {
  const auto all = std::make_unique<rt::Histogram>();
  for (const auto& client : timed) all->merge(client->latencies_ns());
  constexpr double kMicrosecond = 1e-3;
  sample.extras.emplace_back("p50_us", kMicrosecond * static_cast<double>(all->percentile(50)));
  sample.extras.emplace_back("p99_us", kMicrosecond * static_cast<double>(all->percentile(99)));
  sample.extras.emplace_back("p999_us", kMicrosecond * static_cast<double>(all->percentile(99.9)));
  sample.extras.emplace_back("max_us", kMicrosecond * static_cast<double>(all->max()));
}

}  // namespace cambium::bench
