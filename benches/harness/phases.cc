// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/phases.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "harness/fail.h"

namespace cambium::bench {
namespace {

void check_value(Workload& workload, const Key& key, std::string_view value) {
  if (!workload.matches(key.view(), value)) fail("a get returned a wrong value");
}

}  // namespace

void put_all(KvAdapter& engine, Workload& workload) {
  for (std::uint64_t position = 0; position < workload.key_count(); ++position) {
    const Key key = workload.load_key(position);
    engine.put(key.view(), workload.value(key.view()));
  }
}

void load_and_settle(KvAdapter& engine, Workload& workload) {
  put_all(engine, workload);
  engine.sync();
  engine.settle();
  verify_all(engine, workload);
}

void verify_all(KvAdapter& engine, Workload& workload) {
  std::string previous;
  auto verify = [&](std::string_view key, std::string_view value) {
    if (!previous.empty() && !(previous < key)) fail(engine.name() + ": a scan left the key order");
    if (!workload.matches(key, value)) fail(engine.name() + ": a scan returned a wrong value");
    previous.assign(key);
  };
  const std::uint64_t count = engine.scan(Direction::forward, verify);
  if (count != workload.key_count()) {
    fail(engine.name() + ": a scan returned " + std::to_string(count) + " entries of " +
         std::to_string(workload.key_count()));
  }
}

Sample timed_gets(KvAdapter& engine, Workload& workload, std::uint64_t get_count, std::uint64_t seed) {
  Random random(seed);
  return measure([&] {
    for (std::uint64_t done = 0; done < get_count; ++done) {
      const Key key = workload.key(random.below(workload.key_count()));
      auto use = [&](std::string_view value) { check_value(workload, key, value); };
      if (!engine.get(key.view(), use)) fail(engine.name() + ": a get did not find its key");
    }
    return get_count;
  });
}

Sample timed_multi_gets(KvAdapter& engine, Workload& workload, std::uint64_t get_count, std::size_t batch_size,
                        std::uint64_t seed) {
  Random random(seed);
  std::vector<Key> keys(batch_size);
  std::vector<std::string_view> views;
  for (const Key& key : keys) views.push_back(key.view());
  const std::uint64_t batch_count = std::max<std::uint64_t>(1, get_count / batch_size);
  auto use = [&](std::size_t index, std::string_view value) { check_value(workload, keys[index], value); };
  return measure([&] {
    for (std::uint64_t batch = 0; batch < batch_count; ++batch) {
      for (Key& key : keys) key = workload.key(random.below(workload.key_count()));
      if (engine.multi_get(views, use) != batch_size) fail(engine.name() + ": a multi_get did not find all keys");
    }
    return batch_count * batch_size;
  });
}

Sample timed_get_latencies(KvAdapter& engine, Workload& workload, std::uint64_t get_count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> latencies_ns;
  latencies_ns.reserve(get_count);
  Sample sample = measure([&] {
    for (std::uint64_t done = 0; done < get_count; ++done) {
      const Key key = workload.key(random.below(workload.key_count()));
      auto use = [&](std::string_view value) { check_value(workload, key, value); };
      const double start = now_seconds();
      const bool found = engine.get(key.view(), use);
      latencies_ns.push_back(static_cast<float>((now_seconds() - start) * 1e9));
      if (!found) fail(engine.name() + ": a get did not find its key");
    }
    return get_count;
  });
  sample.extras.emplace_back("p50_ns", percentile(latencies_ns, 0.50));
  sample.extras.emplace_back("p99_ns", percentile(latencies_ns, 0.99));
  sample.extras.emplace_back("p999_ns", percentile(latencies_ns, 0.999));
  return sample;
}

Sample harness_cost(Workload& workload, std::uint64_t get_count, std::uint64_t seed) {
  Random random(seed);
  const Key first = workload.key(0);
  const std::string other(workload.value(first.view()));
  std::uint64_t equal_count = 0;
  Sample sample = measure([&] {
    for (std::uint64_t done = 0; done < get_count; ++done) {
      const Key key = workload.key(random.below(workload.key_count()));
      if (workload.matches(key.view(), other)) ++equal_count;
    }
    return get_count;
  });
  require(equal_count < get_count || workload.key_count() == 1, "different keys had equal values");
  return sample;
}

void quiesce(const std::string& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("cannot open " + dir);
  if (syncfs(fd) != 0) fail("cannot sync the file system of " + dir);
  ::close(fd);
  const timespec pause{.tv_sec = 0, .tv_nsec = 500'000'000};  // discards are sent after the journal's commit
  nanosleep(&pause, nullptr);
}

}  // namespace cambium::bench
