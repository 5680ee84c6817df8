// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/core.h>

#include <poll.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <cambium/rt/event.h>

#include "base/clock.h"
#include "runtime/base/death.h"
#include "runtime/rt/core_fixture.h"

namespace cambium {
namespace {

using test::make_core;

Task<void> note(std::vector<int>& notes, int value) {
  notes.push_back(value);
  co_return;
}
Task<void> sleep_for(Core& core, std::int64_t ns) { co_await core.sleep_ns(ns); }

bool readable(const Core& core, int timeout_ms) {
  pollfd event = {.fd = core.fd(), .events = POLLIN, .revents = 0};
  return ::poll(&event, 1, timeout_ms) == 1;
}

// ---------------------------------------------------------------------------------------------- priorities

TEST_CASE("core: foreground runs before background, both in the order of scheduling") {
  const auto core = make_core(Backend::threads);
  std::vector<int> notes;
  for (int i = 0; i < 3; ++i) core->spawn(note(notes, 10 + i), Priority::background);
  for (int i = 0; i < 3; ++i) core->spawn(note(notes, i));
  while (core->poll()) {
  }
  CHECK(notes == std::vector<int>{0, 1, 2, 10, 11, 12});
}

Task<void> spins(Core& core, const bool& stop, std::uint64_t& rounds) {
  while (!stop) {
    ++rounds;
    co_await core.yield();
  }
}
Task<void> background_work(Core& core, int steps, bool& stop, Priority& seen) {
  for (int i = 0; i < steps; ++i) co_await core.yield();
  seen = core.current_priority();
  stop = true;
}

TEST_CASE("core: a busy foreground does not starve the background") {
  const auto core = make_core(Backend::threads);
  bool stop = false;
  std::uint64_t rounds = 0;
  Priority seen = Priority::foreground;
  core->spawn(background_work(*core, 100, stop, seen), Priority::background);
  core->run(spins(*core, stop, rounds));
  CHECK(stop);
  CHECK(seen == Priority::background);
  CHECK(rounds >= 256);  // and the foreground had its bursts
  CHECK(core->spawned() == 0);
}

Task<void> sleeps_in_background(Core& core, std::vector<Priority>& seen) {
  seen.push_back(core.current_priority());
  co_await core.sleep_ns(100'000);
  seen.push_back(core.current_priority());
  co_await core.yield();
  seen.push_back(core.current_priority());
}

TEST_CASE("core: a task keeps its priority over waits") {
  const auto core = make_core(Backend::threads);
  std::vector<Priority> seen;
  core->spawn(sleeps_in_background(*core, seen), Priority::background);
  while (core->spawned() != 0) core->poll();
  CHECK(seen == std::vector<Priority>(3, Priority::background));
}

// ---------------------------------------------------------------------------------------------- timers

Task<void> note_after(Core& core, std::vector<int>& notes, std::int64_t ns, int value) {
  co_await core.sleep_ns(ns);
  notes.push_back(value);
}

TEST_CASE("core: timers fire in the order of their deadlines") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  std::vector<int> notes;
  for (const int ms : {7, 3, 9, 1, 5}) core->spawn(note_after(*core, notes, ms * 1'000'000, ms));
  const std::int64_t start = core->now_ns();
  core->run(sleep_for(*core, 10'000'000));
  CHECK(core->now_ns() - start >= 10'000'000);
  CHECK(notes == std::vector<int>{1, 3, 5, 7, 9});
}

struct Fired {
  std::vector<int>* order;
  int id;
};

TEST_CASE("core: timers with the same deadline fire in the order of arming, and disarmed ones not at all") {
  const auto core = make_core(Backend::threads);
  std::vector<int> order;
  std::vector<Fired> fired;
  for (int i = 0; i < 100; ++i) fired.push_back({&order, i});
  std::vector<rt::Timer> timers(100);
  const std::int64_t deadline = core->now_ns() + 1'000'000;
  for (std::size_t i = 0; i < timers.size(); ++i) {
    timers[i].arm(
        *core, deadline, [](void* f) noexcept { static_cast<Fired*>(f)->order->push_back(static_cast<Fired*>(f)->id); },
        &fired[i]);
  }
  CHECK(core->next_timer_ns() == deadline);
  for (std::size_t i = 0; i < timers.size(); i += 3) timers[i].disarm();
  timers[1].arm(
      *core, deadline,
      [](void* f) noexcept {  // armed again: now the last
        static_cast<Fired*>(f)->order->push_back(static_cast<Fired*>(f)->id);
      },
      &fired[1]);
  core->run(sleep_for(*core, 2'000'000));
  CHECK(core->next_timer_ns() == -1);
  std::vector<int> expected;
  for (int i = 2; i < 100; ++i) {
    if (i % 3 != 0) expected.push_back(i);
  }
  expected.push_back(1);
  CHECK(order == expected);
}

// ---------------------------------------------------------------------------------------------- stalls and budgets

Task<void> hogs(std::int64_t ns) {
  const auto end = static_cast<std::int64_t>(rt::now_ns()) + ns;
  while (static_cast<std::int64_t>(rt::now_ns()) < end) {
  }
  co_return;
}
Task<void> hogs_often(Core& core, int times) {
  for (int i = 0; i < times; ++i) {
    co_await hogs(3'000'000);
    co_await core.yield();
  }
}

TEST_CASE("core: a task that holds the loop is counted as a stall, alone or in company") {
  const auto core = make_core(Backend::threads);
  core->run(sleep_for(*core, 1000));
  const std::uint64_t before = core->stats().stalls;
  core->spawn(hogs(3'000'000));
  core->run(sleep_for(*core, 1'000'000));
  CHECK(core->stats().stalls >= before + 1);
  CHECK(core->stats().stall_ns_max >= 3'000'000);

  std::vector<int> notes;
  for (int i = 0; i < 200; ++i) core->spawn(note(notes, i));
  core->spawn(hogs_often(*core, 5));
  for (int i = 0; i < 200; ++i) core->spawn(note(notes, i));
  core->run(sleep_for(*core, 1'000'000));
  CHECK(core->stats().stalls >= before + 5);  // the first in company may go uncounted: it starts the timing
}

Task<void> long_work(Core& core, int& yields) {
  const std::int64_t give_up = core.now_ns() + 10'000'000'000;
  while (yields < 5 && core.now_ns() < give_up) {
    if (!core.over_budget()) continue;
    ++yields;
    co_await core.yield();
  }
}

TEST_CASE("core: over_budget() tells a long task when to yield, and not before") {
  const auto core = make_core(Backend::threads);
  int yields = 0;
  const std::int64_t start = core->now_ns();
  core->run(long_work(*core, yields));
  CHECK(yields == 5);
  CHECK(core->now_ns() - start >= 5 * 300'000);
}

// ---------------------------------------------------------------------------------------------- messages, poll, fd

class Count final : public rt::Message {
 public:
  void run() noexcept override {
    ran.fetch_add(1);
    if (event != nullptr) event->set();
  }
  std::atomic<int> ran{0};
  Event* event = nullptr;
};

Task<void> wait_for(Event& event) { co_await event.wait(); }

TEST_CASE("core: a message from another thread wakes a sleeping loop") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  for (int i = 0; i < 20; ++i) {
    Event event;
    Count message;
    message.event = &event;
    std::thread sender([&core, &message] {
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      core->post(message);
    });
    core->run(wait_for(event));
    sender.join();
    CHECK(message.ran == 1);
  }
  CHECK(core->stats().messages == 20);
}

TEST_CASE("core: messages of several threads all arrive, each thread's in order") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  constexpr int kThreads = 3;
  constexpr int kEach = 5000;
  struct Numbered final : rt::Message {
    void run() noexcept override {
      if (*last >= number) ++*disorder;
      *last = number;
      ++*ran;
    }
    int number = 0;
    int* last = nullptr;
    int* disorder = nullptr;
    int* ran = nullptr;
  };
  int ran = 0;
  int disorder = 0;
  int last[kThreads] = {-1, -1, -1};
  std::vector<std::vector<Numbered>> messages(kThreads);
  for (auto& list : messages) list = std::vector<Numbered>(kEach);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kEach; ++i) {
      Numbered& message = messages[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)];
      message.number = i;
      message.last = &last[t];
      message.disorder = &disorder;
      message.ran = &ran;
    }
    threads.emplace_back([&core, &list = messages[static_cast<std::size_t>(t)]] {
      for (Numbered& message : list) core->post(message);
    });
  }
  while (ran != kThreads * kEach) core->run(sleep_for(*core, 100'000));
  for (std::thread& thread : threads) thread.join();
  CHECK(disorder == 0);
}

TEST_CASE("core: in another event loop, fd() is readable when poll() has something to do") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  const auto drain = [&core] {
    while (core->poll()) {
    }
  };
  drain();
  drain();
  CHECK(!readable(*core, 0));
  Count message;
  std::thread([&core, &message] { core->post(message); }).join();
  CHECK(readable(*core, 1000));
  drain();
  CHECK(message.ran == 1);
  CHECK(!readable(*core, 0));

  // More than one burst: the rest makes it readable.
  std::vector<int> notes;
  for (int i = 0; i < 1000; ++i) core->spawn(note(notes, i));
  core->poll();
  CHECK(notes.size() < 1000);
  CHECK(readable(*core, 0));
  drain();
  CHECK(notes.size() == 1000);

  // After run(), too.
  core->run(sleep_for(*core, 1000));
  drain();
  Count second;
  core->post(second);
  CHECK(readable(*core, 1000));
  drain();
  CHECK(second.ran == 1);
}

TEST_CASE("core: next_timer_ns() is how long another event loop may wait") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  CHECK(core->next_timer_ns() == -1);
  core->spawn(sleep_for(*core, 5'000'000));
  core->poll();
  const std::int64_t due = core->next_timer_ns();
  CHECK(due > core->now_ns());
  while (core->now_ns() < due) readable(*core, 1);
  while (core->poll()) {
  }
  CHECK(core->spawned() == 0);
  CHECK(core->idle());
}

Task<void> nested_run(Core& outer, Core& inner, bool& checked) {
  inner.run(sleep_for(inner, 100'000));
  CHECK(&Core::current() == &outer);
  co_await outer.yield();
  CHECK(&Core::current() == &outer);
  checked = true;
}

TEST_CASE("core: one core may be driven from inside another's turn") {
  const auto outer = make_core(Backend::threads);
  const auto inner = make_core(Backend::threads);
  bool checked = false;
  CHECK(Core::current_or_null() == nullptr);
  outer->run(nested_run(*outer, *inner, checked));
  CHECK(checked);
  CHECK(Core::current_or_null() == nullptr);
}

// ---------------------------------------------------------------------------------------------- making, ending

TEST_CASE("core: options out of range, and a simulated core, are refused with a reason") {
  CHECK(Core::create({.queue_depth = 0}).code() == Errc::invalid_argument);
  CHECK(Core::create({.queue_depth = 40'000}).code() == Errc::invalid_argument);
  CHECK(Core::create({.backend = Backend::simulated}).code() == Errc::invalid_argument);
}

TEST_CASE("core: CAMBIUM_BACKEND chooses where the options leave it open") {
  REQUIRE(::setenv("CAMBIUM_BACKEND", "threads", 1) == 0);
  CHECK((*Core::create())->backend_kind() == Backend::threads);
  if (const auto core = make_core(Backend::uring)) CHECK(core->backend_kind() == Backend::uring);
  REQUIRE(::setenv("CAMBIUM_BACKEND", "thread", 1) == 0);
  const Result<std::unique_ptr<Core>> core = Core::create();
  CHECK(core.code() == Errc::invalid_argument);
  CHECK(core.error().message() == "CAMBIUM_BACKEND is \"thread\"");
  REQUIRE(::unsetenv("CAMBIUM_BACKEND") == 0);
}

Task<void> spawned_work(Core& core, bool& ended) {
  co_await core.sleep_ns(2'000'000);
  ended = true;
}
bool spawned_ended = false;
Task<Status> good_app(Core& core) {
  core.spawn(spawned_work(core, spawned_ended));
  co_return Status();
}
Task<Status> bad_app(Core& core) {
  co_await core.yield();
  co_return Error(Errc::no_space, "the disk is full", "free some space");
}

TEST_CASE("run: is 0 after a good end, with what was spawned") {
  spawned_ended = false;
  CHECK(run(&good_app) == 0);
  CHECK(spawned_ended);
}

TEST_CASE("run: is 1 after an error, which it prints with its hint") {
  const rt::testing::Death death =
      rt::testing::run_in_child([] { test::exit_child(run(&bad_app, {.backend = Backend::threads})); });
  CHECK(death.at_all);
  CHECK(!death.by_abort);
  CHECK(death.output == "error: the disk is full\nhint: free some space\n");
}

TEST_CASE("core: Core::current() outside a turn, and a core destroyed with a timer armed, end the process") {
  CHECK(rt::testing::run_in_child([] { static_cast<void>(Core::current()); }).by_abort);
  CHECK(rt::testing::run_in_child([] {
          auto core = make_core(Backend::threads);
          core->spawn(sleep_for(*core, 1'000'000'000));
          core->poll();
          core.reset();
        }).by_abort);
}

}  // namespace
}  // namespace cambium
