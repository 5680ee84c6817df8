// SPDX-License-Identifier: MIT OR Apache-2.0
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/cluster.h>
#include <cambium/rt/event.h>
#include <cambium/rt/when_all.h>

#include "runtime/rt/core_fixture.h"

namespace cambium {
namespace {

ClusterOptions with(unsigned cores, Backend backend) {
  ClusterOptions options;
  options.cores = cores;
  options.core.backend = backend;
  return options;
}

// Catch2's macros are not for several threads: cores count what is wrong, the test looks at the count.
std::atomic<int> wrong{0};
void expect(bool holds) {
  if (!holds) ++wrong;
}
Status run_cleanly(Cluster& cluster, Cluster::Init init) {
  wrong = 0;
  Status status = cluster.run(init);
  CHECK(wrong == 0);
  return status;
}

// Whether this machine has the backend; uring may be refused.
bool have(Backend backend) { return test::make_core(backend) != nullptr; }

// ---------------------------------------------------------------------------------------------- calls

int plain(int a, int b) { return a * 10 + b + static_cast<int>(Cluster::current_index()) * 1000; }
void nothing() {}
std::string text(std::string a, const std::string& b) { return a + b; }
std::unique_ptr<int> owned(std::unique_ptr<int> value) {
  ++*value;
  return value;
}
Task<int> slow(int value) {
  co_await Core::current().sleep_ns(200'000);
  co_return value + static_cast<int>(Cluster::current_index());
}
Task<void> slow_nothing() { co_await Core::current().sleep_ns(100'000); }
Task<Result<int>> failing(int value) {
  co_await Core::current().yield();
  if (value < 0) co_return Error(Errc::invalid_argument, "negative");
  co_return value;
}

Task<Status> call_everything(Cluster& cluster, unsigned index) {
  if (index != 0) co_return Status();
  for (unsigned to = 0; to < cluster.size(); ++to) {
    const int product = co_await cluster.on(to, &plain, 4, 2);
    expect(product == 42 + static_cast<int>(to) * 1000);
    co_await cluster.on(to, &nothing);
    const std::string joined = co_await cluster.on(to, &text, std::string("left "), std::string("right"));
    expect(joined == "left right");
    const std::unique_ptr<int> moved = co_await cluster.on(to, &owned, std::make_unique<int>(41));
    expect(*moved == 42);
    const int later = co_await cluster.on(to, &slow, 100);
    expect(later == 100 + static_cast<int>(to));
    co_await cluster.on(to, &slow_nothing);
    const Result<int> bad = co_await cluster.on(to, &failing, -1);
    expect(bad.code() == Errc::invalid_argument);
    Result<int> good = co_await cluster.on(to, &failing, 5);
    expect(*good == 5);
  }
  co_return Status();
}

TEST_CASE("cluster: plain functions and tasks run on the other core and bring their result back", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  Cluster cluster(with(GENERATE(1u, 2u, 4u), backend));
  CHECK(run_cleanly(cluster, &call_everything));
}

// ---------------------------------------------------------------------------------------------- many

std::uint64_t add_one(std::uint64_t value) { return value + 1; }

Task<void> many_calls(Cluster& cluster, unsigned to, std::uint64_t& sum) {
  for (std::uint64_t i = 0; i < 500; ++i) {
    const std::uint64_t value = co_await cluster.on(to, &add_one, i);
    sum += value;
  }
}

Task<Status> everybody_calls_everybody(Cluster& cluster, unsigned index) {
  std::uint64_t sum = 0;
  TaskGroup group;
  for (int i = 0; i < 8; ++i) {
    for (unsigned to = 0; to < cluster.size(); ++to) {
      if (to != index) group.add(many_calls(cluster, to, sum));
    }
  }
  co_await group.join();
  expect(sum == 8u * (cluster.size() - 1) * (500u * 501u / 2));
  co_return Status();
}

TEST_CASE("cluster: all cores call all others at once", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  Cluster cluster(with(GENERATE(2u, 3u), backend));
  CHECK(run_cleanly(cluster, &everybody_calls_everybody));
}

Task<void> one_call(Cluster& cluster, std::uint64_t value, std::uint64_t& sum) {
  const std::uint64_t result = co_await cluster.on(1, &add_one, value);
  sum += result;
}

Task<Status> flood(Cluster& cluster, unsigned index) {
  if (index != 0) co_return Status();
  std::uint64_t sum = 0;
  TaskGroup group;  // 5,000 calls before the first answer: far more than a ring holds
  for (std::uint64_t i = 0; i < 5000; ++i) group.add(one_call(cluster, i, sum));
  co_await group.join();
  expect(sum == 5000u * 5001u / 2);
  co_return Status();
}

TEST_CASE("cluster: more calls than the ring between two cores holds", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  Cluster cluster(with(2, backend));
  CHECK(run_cleanly(cluster, &flood));
}

// ---------------------------------------------------------------------------------------------- sleeping receivers

Task<Status> call_sleepers(Cluster& cluster, unsigned index) {
  if (index != 0) co_return Status();
  for (int i = 0; i < 50; ++i) {
    co_await Core::current().sleep_ns(500'000);  // long enough for the other core to stop spinning and block
    const std::uint64_t value = co_await cluster.on(1, &add_one, static_cast<std::uint64_t>(i));
    expect(value == static_cast<std::uint64_t>(i) + 1);
  }
  co_return Status();
}

TEST_CASE("cluster: a core that sleeps is woken by a call", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  Cluster cluster(with(2, backend));
  CHECK(run_cleanly(cluster, &call_sleepers));
}

// ---------------------------------------------------------------------------------------------- abandoned calls

std::atomic<int> effects{0};
Task<int> slow_effect(int value) {
  co_await Core::current().sleep_ns(300'000);
  ++effects;
  co_return value;
}
Task<void> calls_and_is_dropped(Cluster& cluster) {
  const int value = co_await cluster.on(1, &slow_effect, 1);
  expect(value < 0);  // never reached: the frame is gone
}

Task<Status> drop_calls(Cluster& cluster, unsigned index) {
  if (index != 0) co_return Status();
  for (int i = 0; i < 10; ++i) {
    const Task<void> task = calls_and_is_dropped(cluster);
    task.start();
    expect(!task.done());
  }  // each is destroyed while its call is under way
  co_return Status();
}

TEST_CASE("cluster: a call whose caller is gone still runs, and the cluster waits for it", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  effects = 0;
  Cluster cluster(with(2, backend));
  CHECK(run_cleanly(cluster, &drop_calls));
  CHECK(effects == 10);
}

// ---------------------------------------------------------------------------------------------- life and death

Task<void> serve_until_shutdown(Cluster& cluster, std::atomic<int>& served) {
  while (!cluster.shutting_down()) {
    co_await Core::current().sleep_ns(200'000);
    ++served;
  }
  co_await Core::current().sleep_ns(2'000'000);
  served += 1000;  // finished after the request: nothing is cut short
}

std::atomic<int> served{0};

Task<Status> spawn_services(Cluster& cluster, unsigned index) {
  Core::current().spawn(serve_until_shutdown(cluster, served));
  if (index == 0) {
    co_await Core::current().sleep_ns(3'000'000);
    cluster.request_shutdown();
  }
  co_return Status();
}

TEST_CASE("cluster: a shutdown lets what was spawned finish", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  served = 0;
  Cluster cluster(with(2, backend));
  CHECK(run_cleanly(cluster, &spawn_services));
  CHECK(served >= 2000);
}

Task<Status> fail_on_one(Cluster& cluster, unsigned index) {
  if (index == 1) {
    co_await Core::current().sleep_ns(1'000'000);
    co_return Error(Errc::corruption, "core 1 found something");
  }
  while (!cluster.shutting_down()) co_await Core::current().sleep_ns(100'000);
  co_await Core::current().sleep_ns(1'000'000);
  co_return Error(Errc::io, "a later error");
}

TEST_CASE("cluster: the first error of an init wins, and asks the others to stop", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  Cluster cluster(with(3, backend));
  const Status status = run_cleanly(cluster, &fail_on_one);
  CHECK(status.code() == Errc::corruption);
  CHECK(status.error().message() == "core 1 found something");
  // And it can be run again.
  CHECK(run_cleanly(cluster, &call_everything));
}

Task<Status> never_started(Cluster&, unsigned) {
  expect(false);
  co_return Status();
}

TEST_CASE("cluster: a core that cannot be made is the error of run()", "[cluster]") {
  ClusterOptions options = with(2, Backend::threads);
  options.core.queue_depth = 0;
  Cluster cluster(options);
  const Status status = run_cleanly(cluster, &never_started);
  CHECK(status.code() == Errc::invalid_argument);
  CHECK(status.error().message().find("core ") == 0);
}

TEST_CASE("cluster: without a number it takes every processor it may run on", "[cluster]") {
  const Cluster cluster(ClusterOptions{});
  CHECK(cluster.size() >= 1);
}

// ---------------------------------------------------------------------------------------------- the end

struct Told final : rt::Message {
  void run() noexcept override { event.set(); }
  Event event;
  std::atomic<Core*> core = nullptr;
};
Told told[2];

Task<Status> wait_to_be_told(Cluster&, unsigned index) {
  told[index].event.reset();
  told[index].core = &Core::current();
  co_await told[index].event.wait();
  co_return Status();
}

// A bench hung here: the core that ended last woke the other one, which took the wake-up in with the first half of its
// turn, had nothing to do, and went to sleep in the second half.
TEST_CASE("cluster: cores that are told to end at the same moment all end", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  Cluster cluster(with(2, backend));
  for (int round = 0; round < 1'000; ++round) {
    for (Told& each : told) each.core = nullptr;
    std::thread outsider([] {
      for (Told& each : told) {
        while (each.core == nullptr) std::this_thread::yield();
      }
      for (Told& each : told) each.core.load()->post(each);
    });
    CHECK(cluster.run(&wait_to_be_told));
    outsider.join();
  }
}

// ---------------------------------------------------------------------------------------------- I/O on every core

test::TempDirectory* directory = nullptr;

Task<Status> write_own_file(Cluster&, unsigned index) {
  const std::string path = directory->file(std::to_string(index));
  Result<std::unique_ptr<BlockDevice>> device =
      co_await FileBlockDevice::open(Core::current(), path, {.create = true, .direct = false});
  if (!device) co_return device.error();
  std::string data(4096, static_cast<char>('a' + index));
  for (std::uint64_t i = 0; i < 32; ++i) {
    const Status status = co_await (*device)->write(i * 4096, data.data(), 4096);
    expect(status.has_value());
  }
  const Status synced = co_await (*device)->sync();
  expect(synced.has_value());
  std::string back(4096, '\0');
  const Status read = co_await (*device)->read(31 * 4096, back.data(), 4096);
  expect(read.has_value());
  expect(back == data);
  co_return Status();
}

TEST_CASE("cluster: every core does its own I/O", "[cluster]") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  if (!have(backend)) return;
  test::TempDirectory own;
  directory = &own;
  Cluster cluster(with(2, backend));
  CHECK(run_cleanly(cluster, &write_own_file));
}

}  // namespace
}  // namespace cambium
