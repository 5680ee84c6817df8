// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Event, Semaphore, Mutex, Gate, CancelSource and deadlines: all of them are WaitQueue underneath.
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include <cambium/rt/cancel.h>
#include <cambium/rt/event.h>
#include <cambium/rt/gate.h>
#include <cambium/rt/semaphore.h>
#include <cambium/rt/when_all.h>

#include "runtime/base/death.h"
#include "runtime/rt/core_fixture.h"

namespace cambium {
namespace {

// Runs the body on a core of its own.
void run(Task<void> (*body)(Core&)) {
  const auto core = test::make_core(Backend::threads);
  core->run(body(*core));
}

// ---------------------------------------------------------------------------------------------- event

Task<void> wait_on(Event& event, std::vector<int>& order, int id) {
  const Errc outcome = co_await event.wait();
  CHECK(outcome == Errc::ok);
  order.push_back(id);
}

Task<void> event_body(Core& core) {
  Event event;
  std::vector<int> order;
  TaskGroup group;
  for (int i = 0; i < 5; ++i) group.add(wait_on(event, order, i));
  co_await core.yield();
  CHECK(order.empty());
  event.set();
  CHECK(order.empty());  // through the run queue, never inline
  co_await group.join();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
  const Errc at_once = co_await event.wait();
  CHECK(at_once == Errc::ok);
  event.reset();
  const Errc late = co_await event.wait(nullptr, core.now_ns() + 1'000'000);
  CHECK(late == Errc::timeout);
}

TEST_CASE("event: set wakes everybody in order, stays set, and can be reset") { run(&event_body); }

// ---------------------------------------------------------------------------------------------- cancel, deadline

Task<void> wait_cancelled(Event& event, CancelSource& cancel, Errc& outcome) { outcome = co_await event.wait(&cancel); }

Task<void> cancel_body(Core& core) {
  Event event;
  CancelSource cancel;
  Errc first = Errc::ok;
  Errc second = Errc::ok;
  TaskGroup group;
  group.add(wait_cancelled(event, cancel, first));
  group.add(wait_cancelled(event, cancel, second));
  co_await core.yield();
  cancel.request();
  cancel.request();  // idempotent
  CHECK(group.running() == 2);
  co_await group.join();
  CHECK(first == Errc::cancelled);
  CHECK(second == Errc::cancelled);
  const Errc at_once = co_await event.wait(&cancel);  // requested before it waits
  CHECK(at_once == Errc::cancelled);
  {
    CancelSource short_lived;
    group.add(wait_cancelled(event, short_lived, first));
  }  // unlinks its waiters
  event.set();
  co_await group.join();
  CHECK(first == Errc::ok);
}

TEST_CASE("cancel: a request ends every wait it was given to, once") { run(&cancel_body); }

Task<void> set_then_cancel_body(Core& core) {
  Event event;
  CancelSource cancel;
  Errc outcome = Errc::closed;
  TaskGroup group;
  group.add(wait_cancelled(event, cancel, outcome));
  co_await core.yield();
  event.set();
  cancel.request();  // too late: it is on its way
  co_await group.join();
  CHECK(outcome == Errc::ok);
}

TEST_CASE("cancel: what was woken already keeps its outcome") { run(&set_then_cancel_body); }

Task<void> deadline_body(Core& core) {
  Event event;
  const std::int64_t start = core.now_ns();
  const Errc outcome = co_await event.wait(nullptr, start + 2'000'000);
  CHECK(outcome == Errc::timeout);
  CHECK(core.now_ns() >= start + 2'000'000);
  const Errc past = co_await event.wait(nullptr, start);
  CHECK(past == Errc::timeout);
  CHECK(core.next_timer_ns() == -1);
}

TEST_CASE("wait queue: a deadline ends the wait, even one that has passed") { run(&deadline_body); }

// ---------------------------------------------------------------------------------------------- semaphore

Task<void> take(Semaphore& semaphore, std::uint64_t count, std::vector<std::string>& log, std::string name,
                CancelSource* cancel, std::int64_t deadline_ns) {
  const Errc outcome = co_await semaphore.acquire(count, cancel, deadline_ns);
  log.push_back(name + (outcome == Errc::ok ? "" : outcome == Errc::cancelled ? " cancelled" : " timeout"));
}
using Log = std::vector<std::string>;

Task<void> fairness_body(Core& core) {
  Semaphore semaphore(2);
  Log log;
  TaskGroup group;
  group.add(take(semaphore, 2, log, "a", nullptr, 0));
  group.add(take(semaphore, 3, log, "b", nullptr, 0));  // large, and first in line
  group.add(take(semaphore, 1, log, "c", nullptr, 0));
  CHECK(log == Log{"a"});
  semaphore.release(1);
  CHECK(!semaphore.try_acquire());  // there is one, but b and c were here first
  co_await core.yield();
  CHECK(log == Log{"a"});
  semaphore.release(2);
  co_await core.yield();
  CHECK(log == Log{"a", "b"});
  semaphore.release(5);
  co_await group.join();
  CHECK(log == Log{"a", "b", "c"});
  CHECK(semaphore.available() == 4);
}

TEST_CASE("semaphore: permits go strictly in the order of asking, large requests included") { run(&fairness_body); }

Task<void> cancel_in_line_body(Core& core) {
  Semaphore semaphore(1);
  Log log;
  CancelSource cancel;
  TaskGroup group;
  group.add(take(semaphore, 2, log, "front", nullptr, 0));
  group.add(take(semaphore, 1, log, "middle", &cancel, 0));
  group.add(take(semaphore, 1, log, "last", nullptr, 0));
  cancel.request();
  co_await core.yield();
  co_await core.yield();
  // Once, a cancel in the middle let the last one overtake the front.
  CHECK(log == Log{"middle cancelled"});
  semaphore.release(1);
  co_await core.yield();
  CHECK(log == Log{"middle cancelled", "front"});
  semaphore.release(1);
  co_await group.join();
  CHECK(log.back() == "last");
}

TEST_CASE("semaphore: a waiter that is cancelled lets nobody overtake") { run(&cancel_in_line_body); }

Task<void> front_leaves_body(Core& core) {
  Semaphore semaphore(1);
  Log log;
  TaskGroup group;
  group.add(take(semaphore, 2, log, "front", nullptr, core.now_ns() + 1'000'000));
  group.add(take(semaphore, 1, log, "next", nullptr, 0));
  co_await group.join();
  CHECK(log == Log{"front timeout", "next"});  // there was room for it all along
  CHECK(semaphore.available() == 0);
}

TEST_CASE("semaphore: when the front gives up, those behind that fit are served") { run(&front_leaves_body); }

Task<void> destroyed_waiters_body(Core& core) {
  Semaphore semaphore(0);
  Log log;
  TaskGroup group;
  {
    const Task<void> front = take(semaphore, 2, log, "front", nullptr, 0);
    front.start();
    group.add(take(semaphore, 1, log, "next", nullptr, 0));
    semaphore.release(1);
    co_await core.yield();
    CHECK(log.empty());
  }  // the front is gone: its place is free
  co_await group.join();
  CHECK(log == Log{"next"});
  {
    const Task<void> granted = take(semaphore, 1, log, "granted", nullptr, 0);
    granted.start();
    semaphore.release(1);
    CHECK(semaphore.available() == 0);
  }  // destroyed with the permit in its hands
  CHECK(semaphore.available() == 1);
}

TEST_CASE("semaphore: a waiter that is destroyed leaves the line, and gives back what it was granted") {
  run(&destroyed_waiters_body);
}

Task<void> critical(Core& core, Mutex& mutex, int& inside, int& total) {
  co_await mutex.lock();
  const MutexGuard guard(mutex);
  CHECK(++inside == 1);
  co_await core.yield();
  ++total;
  --inside;
}
Task<void> mutex_body(Core& core) {
  Mutex mutex;
  int inside = 0;
  int total = 0;
  TaskGroup group;
  for (int i = 0; i < 20; ++i) group.add(critical(core, mutex, inside, total));
  CHECK(mutex.locked());
  CHECK(!mutex.try_lock());
  co_await group.join();
  CHECK(total == 20);
  CHECK(!mutex.locked());
  CHECK(mutex.try_lock());
  const Errc outcome = co_await mutex.lock(nullptr, core.now_ns() + 500'000);
  CHECK(outcome == Errc::timeout);
  mutex.unlock();
}

TEST_CASE("mutex: one at a time, over suspensions") { run(&mutex_body); }

// ---------------------------------------------------------------------------------------------- gate

Task<void> inside_gate(Core& core, Gate& gate, bool& left) {
  const GatePass pass(gate);
  CHECK(pass);
  co_await core.sleep_ns(500'000);
  left = true;
}
Task<void> gate_body(Core& core) {
  Gate gate;
  bool left = false;
  TaskGroup group;
  group.add(inside_gate(core, gate, left));
  CHECK(gate.count() == 1);
  co_await gate.close();
  CHECK(left);
  CHECK(gate.closed());
  CHECK(!GatePass(gate));
  CHECK(!gate.try_enter());
  co_await gate.close();  // again: at once
  co_await group.join();
}

TEST_CASE("gate: close refuses newcomers and waits for the last one") { run(&gate_body); }

TEST_CASE("gate: destroyed while something is inside, it ends the process") {
  CHECK(rt::testing::run_in_child([] {
          Gate gate;
          static_cast<void>(gate.try_enter());
        }).by_abort);
}

}  // namespace
}  // namespace cambium
