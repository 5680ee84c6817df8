// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/task.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/check.h>
#include <cambium/rt/core.h>
#include <cambium/rt/event.h>
#include <cambium/rt/op.h>
#include <cambium/rt/semaphore.h>
#include <cambium/rt/when_all.h>

#include "runtime/rt/core_fixture.h"

namespace cambium {
namespace {

using test::make_core;

std::unique_ptr<Core> any_core() { return make_core(Backend::threads); }

// Says when a frame that holds it is gone.
class Witness {
 public:
  explicit Witness(int& gone) noexcept : gone_(&gone) {}
  Witness(Witness&& other) noexcept : gone_(std::exchange(other.gone_, nullptr)) {}
  Witness& operator=(Witness&&) = delete;
  ~Witness() {
    if (gone_ != nullptr) ++*gone_;
  }

 private:
  int* gone_;
};

// ---------------------------------------------------------------------------------------------- awaits that end at
// once

Task<int> at_once(int value) { co_return value; }
Task<Result<int>> at_once_result(int value) { co_return value; }
Op<int> ready_op(int value) { return Result<int>(value); }
Op<int> eager_op(int value) { co_return value; }

Task<std::uint64_t> await_a_million(Core& core) {
  std::uint64_t sum = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const int value = co_await at_once(1);
    sum += static_cast<std::uint64_t>(value);
  }
  co_await core.yield();
  co_return sum;
}
Task<Result<std::uint64_t>> check_a_million(Core& core) {
  std::uint64_t sum = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const int value = co_await check(at_once_result(1));
    sum += static_cast<std::uint64_t>(value);
  }
  for (int i = 0; i < 1'000'000; ++i) {
    const int value = co_await check(ready_op(1));
    sum += static_cast<std::uint64_t>(value);
  }
  for (int i = 0; i < 1'000'000; ++i) {
    const int value = co_await check(eager_op(1));
    sum += static_cast<std::uint64_t>(value);
  }
  co_await core.yield();
  co_return sum;
}

TEST_CASE("task: 1,000,000 awaits that finish at once do not grow the stack") {
  const auto core = any_core();
  CHECK(core->run(await_a_million(*core)) == 1'000'000);
  Result<std::uint64_t> checked = core->run(check_a_million(*core));
  CHECK(*checked == 3'000'000);
}

Task<int> yields_once(Core& core, int value) {
  co_await core.yield();
  co_return value;
}
Task<int> await_suspended(Core& core) {
  int sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    const int value = co_await yields_once(core, 1);
    sum += value;
  }
  co_return sum;
}

TEST_CASE("task: 100,000 awaits that suspend do not grow the stack either") {
  const auto core = any_core();
  CHECK(core->run(await_suspended(*core)) == 100'000);
}

Task<std::uint64_t> frames_for_ready_ops() {
  const std::uint64_t before = rt::frames_allocated();
  int sum = 0;
  for (int i = 0; i < 100; ++i) {
    Result<int> value = co_await ready_op(i);
    sum += *value;
  }
  CHECK(sum == 4950);
  co_return rt::frames_allocated() - before;
}

TEST_CASE("op: a ready one costs no frame") {
  const auto core = any_core();
  CHECK(core->run(frames_for_ready_ops()) == 0);
}

// ---------------------------------------------------------------------------------------------- check()

Result<int> bad() { return Error(Errc::corruption, "page 7 is damaged", "run cambium check"); }
Op<int> bad_op() { return bad(); }
Op<int> late_bad_op(Core& core) {
  co_await core.yield();
  co_return bad();
}
Op<void> late_good_op(Core& core) {
  co_await core.yield();
  co_return Status();
}
Task<Result<int>> late_bad_task(Core& core) {
  co_await core.yield();
  co_return bad();
}

enum class Kind { result, ready_op, late_op, late_task };

Task<Result<int>> ends_at_check(Core& core, Kind kind, int& gone, bool& passed) {
  const Witness witness(gone);
  const std::string local(100, 'x');  // destroyed with the frame, or the sanitizer tells
  int value = 0;
  if (kind == Kind::result) value = co_await check(bad());
  if (kind == Kind::ready_op) value = co_await check(bad_op());
  if (kind == Kind::late_op) value = co_await check(late_bad_op(core));
  if (kind == Kind::late_task) value = co_await check(late_bad_task(core));
  passed = true;
  co_return value + static_cast<int>(local.size());
}
Task<Result<int>> outer(Core& core, Kind kind, int& gone, bool& passed) {
  const Witness witness(gone);
  const int value = co_await check(ends_at_check(core, kind, gone, passed));
  passed = true;
  co_return value;
}

TEST_CASE("check: an error ends the task that checks, and those above it, and destroys their locals") {
  const auto core = any_core();
  const Kind kind = GENERATE(Kind::result, Kind::ready_op, Kind::late_op, Kind::late_task);
  int gone = 0;
  bool passed = false;
  const Result<int> result = core->run(outer(*core, kind, gone, passed));
  CHECK(result.code() == Errc::corruption);
  CHECK(result.error().message() == "page 7 is damaged");
  CHECK(result.error().hint() == "run cambium check");
  CHECK(!passed);
  CHECK(gone == 2);
}

Op<int> op_ends_at_check(Core& core, Kind kind, int& gone) {
  const Witness witness(gone);
  int value = 0;
  if (kind == Kind::result) value = co_await check(bad());
  if (kind == Kind::ready_op) value = co_await check(bad_op());
  if (kind == Kind::late_op) value = co_await check(late_bad_op(core));
  if (kind == Kind::late_task) value = co_await check(late_bad_task(core));
  co_return value;
}
Task<Errc> awaits_op(Core& core, Kind kind, int& gone) {
  const Result<int> result = co_await op_ends_at_check(core, kind, gone);
  co_return result.code();
}

TEST_CASE("check: an error ends an operation that checks") {
  const auto core = any_core();
  const Kind kind = GENERATE(Kind::result, Kind::ready_op, Kind::late_op, Kind::late_task);
  int gone = 0;
  CHECK(core->run(awaits_op(*core, kind, gone)) == Errc::corruption);
  CHECK(gone == 1);
}

Task<Status> good_checks(Core& core) {
  co_await check(late_good_op(core));
  co_await check(Status());
  const int one = co_await check(eager_op(1));
  CHECK(one == 1);
  const std::string text = co_await check(Result<std::string>(std::string("text")));
  CHECK(text == "text");
  co_return Status();
}

TEST_CASE("check: yields the values of what succeeds") {
  const auto core = any_core();
  CHECK(core->run(good_checks(*core)));
}

Task<void> spawned_check(Core& core, Kind kind, int& gone, bool& passed) {
  const Result<int> result = co_await ends_at_check(core, kind, gone, passed);
  CHECK(result.code() == Errc::corruption);
}
Task<Status> spawned_directly(Core& core, Kind kind, int& gone) {
  const Witness witness(gone);
  if (kind == Kind::result) co_await check(Result<int>(bad()));
  if (kind == Kind::late_op) co_await check(late_bad_op(core));
  FAIL_CHECK("went on after an error");
  co_return Status();
}
Task<void> until_nothing_is_spawned(Core& core) {
  while (core.spawned() != 0) co_await core.yield();
}

TEST_CASE("check: an error ends a spawned task, which frees itself") {
  const auto core = any_core();
  int gone = 0;
  bool passed = false;
  core->spawn(spawned_check(*core, Kind::late_op, gone, passed));
  core->spawn(spawned_directly(*core, Kind::result, gone));
  core->spawn(spawned_directly(*core, Kind::late_op, gone));
  CHECK(core->spawned() == 3);
  core->run(until_nothing_is_spawned(*core));
  CHECK(gone == 3);
}

// ---------------------------------------------------------------------------------------------- dropping

Task<void> waits_for(Event& event, int& gone) {
  const Witness witness(gone);
  co_await event.wait();
  FAIL_CHECK("resumed after it was destroyed");
}
Task<void> sleeps(Core& core, int& gone) {
  const Witness witness(gone);
  co_await core.sleep_ns(1'000'000);
  FAIL_CHECK("resumed after it was destroyed");
}
Task<void> yields(Core& core, int& gone) {
  const Witness witness(gone);
  co_await core.yield();
  FAIL_CHECK("resumed after it was destroyed");
}
Task<void> nested(Event& event, int& gone) {
  const Witness witness(gone);
  co_await waits_for(event, gone);
}
Task<Result<int>> checks_late(Core& core, int& gone) {
  const Witness witness(gone);
  const int value = co_await check(late_bad_op(core));
  co_return value;
}

Task<void> destroys_suspended(Core& core) {
  Event event;
  int gone = 0;
  {
    const Task<void> waiting = waits_for(event, gone);
    waiting.start();
    const Task<void> sleeping = sleeps(core, gone);
    sleeping.start();
    const Task<void> yielding = yields(core, gone);
    yielding.start();
    const Task<void> deep = nested(event, gone);
    deep.start();
    const Task<Result<int>> checking = checks_late(core, gone);
    checking.start();
    const Task<void> never_started = sleeps(core, gone);
  }
  CHECK(gone == 6);
  event.set();
  co_await core.sleep_ns(2'000'000);
}
Task<void> destroys_woken(Core& core) {
  Event event;
  int gone = 0;
  {
    const Task<void> waiting = nested(event, gone);
    waiting.start();
    event.set();  // in the run queue now, and destroyed there
  }
  CHECK(gone == 2);
  co_await core.yield();
}

TEST_CASE("task: a suspended one may be destroyed, whatever it waits for, and is never resumed") {
  const auto core = any_core();
  core->run(destroys_suspended(*core));
  core->run(destroys_woken(*core));
}

Op<int> works_on(Core& core, int& finished) {
  co_await core.sleep_ns(20'000'000);
  ++finished;
  co_return finished;
}
Task<void> drops_ops(Core& core, int& finished) {
  {
    const Op<int> dropped = works_on(core, finished);
  }
  {
    const Op<int> dropped = works_on(core, finished);
    co_await core.yield();
  }
  Op<int> replaced = works_on(core, finished);
  replaced = ready_op(1);
  CHECK(replaced.ready());
  CHECK(finished == 0);
  while (finished != 3) co_await core.sleep_ns(200'000);
}
Task<void> awaits_dropped(Core& core, int& finished) {
  Result<int> value = co_await works_on(core, finished);
  FAIL_CHECK("resumed after it was destroyed: " << *value);
}
Task<void> drops_awaiting_task(Core& core, int& finished) {
  {
    const Task<void> task = awaits_dropped(core, finished);
    task.start();
  }
  while (finished != 1) co_await core.sleep_ns(200'000);
}

TEST_CASE("op: a dropped one works on, and frees itself") {
  const auto core = any_core();
  int finished = 0;
  core->run(drops_ops(*core, finished));
  finished = 0;
  core->run(drops_awaiting_task(*core, finished));
}

// ---------------------------------------------------------------------------------------------- groups

Task<std::size_t> sleeps_for(Core& core, std::size_t index) {
  co_await core.sleep_ns(static_cast<std::int64_t>(10 - index) * 100'000);
  co_return index;
}
Task<void> waits_for_all(Core& core) {
  std::vector<Task<std::size_t>> tasks;
  for (std::size_t i = 0; i < 10; ++i) tasks.push_back(sleeps_for(core, i));
  const std::vector<std::size_t> results = co_await when_all(std::move(tasks));
  CHECK(results.size() == 10);
  for (std::size_t i = 0; i < results.size(); ++i) CHECK(results[i] == i);
  std::vector<Task<std::size_t>> none;
  const std::vector<std::size_t> empty = co_await when_all(std::move(none));
  CHECK(empty.empty());
}

TEST_CASE("when_all: runs tasks at once and keeps their order") {
  const auto core = any_core();
  core->run(waits_for_all(*core));
}

}  // namespace
}  // namespace cambium
