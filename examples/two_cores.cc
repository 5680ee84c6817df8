// SPDX-License-Identifier: MIT OR Apache-2.0
// Two cores with a partition each: keys are sharded by their hash, and core 0 asks core 1 for what it does not hold.
//
// A partition is used on the core that opened it only. Another core reaches it by sending the work there: on() runs a
// function on the other core and brings its result back.
#include <cambium/cambium.h>

#include <array>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace cambium;

namespace {

constexpr unsigned kCores = 2;
constexpr int kKeys = 10'000;

// Each slot is touched by its own core only.
std::array<std::optional<Partition>, kCores> partitions;

unsigned owner_of(std::string_view key) { return static_cast<unsigned>(std::hash<std::string_view>()(key) % kCores); }

// These run on the owning core. Arguments of a call travel by value: the message owns the strings.
Task<Status> put_here(std::string& key, std::string& value) {
  co_return co_await partitions[Cluster::current_index()]->put(key, value);
}
Task<Result<std::string>> get_here(std::string& key) {
  const Value value = co_await check(partitions[Cluster::current_index()]->get(key));
  co_return value.str();  // a copy: a pinned value stays on its core
}
Task<Status> open_here() {
  const unsigned index = Cluster::current_index();
  const std::string path = "shard" + std::to_string(index) + ".cambium";
  Partition db = co_await check(Partition::open(Core::current(), {.path = path, .memory_bytes = 16 * MiB}));
  partitions[index].emplace(std::move(db));
  co_return Status();
}
Task<Status> close_here() {
  std::optional<Partition>& db = partitions[Cluster::current_index()];
  if (!db) co_return Status();  // it was never opened
  const Status closed = co_await db->close();
  db.reset();
  co_return closed;
}

Task<Status> write_and_read(Cluster& cluster) {
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = "key" + std::to_string(i);
    const Status stored = co_await cluster.on(owner_of(key), put_here, key, std::to_string(i));
    if (!stored) co_return stored.error();
  }
  std::array<int, kCores> found = {};
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = "key" + std::to_string(i);
    const unsigned owner = owner_of(key);
    const Result<std::string> value = co_await cluster.on(owner, get_here, key);
    if (!value || value.value() != std::to_string(i)) co_return Error(Errc::corruption, "a wrong value");
    ++found[owner];
  }
  std::printf("%d keys on core 0, %d on core 1\n", found[0], found[1]);
  if (found[0] == 0 || found[1] == 0) co_return Error(Errc::corruption, "one core holds everything");
  co_return Status();
}

// Runs on every core: core 0 leads, the others serve what is sent to them.
Task<Status> init(Cluster& cluster, unsigned index) {
  if (index != 0) co_return Status();
  Status outcome;
  for (unsigned i = 0; i < cluster.size() && outcome; ++i) {
    outcome = co_await cluster.on(i, open_here);
  }
  if (outcome) {
    outcome = co_await write_and_read(cluster);
  }
  // Whatever happened: a partition ends before its core does.
  for (unsigned i = 0; i < cluster.size(); ++i) {
    const Status closed = co_await cluster.on(i, close_here);
    if (!closed && outcome) outcome = closed.error();
  }
  co_return outcome;
}

}  // namespace

int main() {
  Cluster cluster({.cores = kCores});
  const Status status = cluster.run(init);
  if (status) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.error().message()).c_str());
  return 1;
}
