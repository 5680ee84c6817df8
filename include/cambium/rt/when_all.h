// SPDX-License-Identifier: MIT OR Apache-2.0
// when_all(): runs tasks concurrently on this core and waits for all of them.
//
// TaskGroup is the open-ended form: add() starts a task at once, join() waits for every one added so far.
//
// Suspends   until the last task has ended. Results stay in the order of the tasks.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <cambium/rt/contract.h>
#include <cambium/rt/core.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

namespace cambium {

class TaskGroup {
 public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() {
    if (running_ != 0) rt::contract_failed("a task group is destroyed while its tasks run: join() it first");
  }

  // Starts the task now; it runs until its first suspension. Requires: join() before the group is destroyed.
  void add(Task<void> task) {
    ++running_;
    Task<void> wrapped = follow(std::move(task), *this);
    auto handle = wrapped.release();
    handle.promise().detach();
    handle.resume();
  }
  Task<void> join() {
    while (running_ != 0) co_await idle_.wait();
  }
  std::size_t running() const noexcept { return running_; }

 private:
  static Task<void> follow(Task<void> task, TaskGroup& group) {
    co_await task;
    if (--group.running_ == 0) group.idle_.wake_all();
  }

  std::size_t running_ = 0;
  rt::WaitQueue idle_;
};

namespace rt {

template <class T>
Task<void> collect(Task<T> task, std::optional<T>& slot) {
  T value = co_await task;
  slot.emplace(std::move(value));
}

}  // namespace rt

// Requires: T is not void.
template <class T>
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks) {
  std::vector<std::optional<T>> slots(tasks.size());
  TaskGroup group;
  for (std::size_t i = 0; i < tasks.size(); ++i) group.add(rt::collect<T>(std::move(tasks[i]), slots[i]));
  co_await group.join();
  std::vector<T> results;
  results.reserve(slots.size());
  for (auto& slot : slots) results.push_back(std::move(*slot));
  co_return results;
}

}  // namespace cambium
