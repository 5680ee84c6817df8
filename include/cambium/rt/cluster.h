// SPDX-License-Identifier: MIT OR Apache-2.0
// Cluster: N cores, each a pinned thread with a loop of its own, and calls between them.
//
//   Cluster cluster({.cores = 2});
//   Status status = cluster.run(init);            // init(cluster, core_index) runs on every core; the first error wins
//
// on(core_index, function, arguments...) runs a coroutine or a plain function on that core and brings its result back.
// Cores talk through single-producer single-consumer queues, one per pair, and wake each other through MSG_RING
// (an eventfd under the threads backend) only when the receiver sleeps.
//
// Invariants
//   1. A message is run by the receiving core's loop, and its record is freed by the core that sent it.
//   2. No thread ends before every core has ended its init, all that was spawned on it, its I/O and its calls.
//      request_shutdown() cuts nothing short: it tells long-running tasks, which look at shutting_down(), to end.
//
// Errors     run() returns the first error of any core's init.
// Lifetime   arguments are moved into the message: pass values; what a view shows must live until the call returns.
//            Callables must be captureless or named. post() from other threads must have ended before run() returns.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <cambium/rt/core.h>
#include <cambium/rt/export.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

namespace cambium {

namespace rt {
template <class F, class... A>
class RemoteRecord;
template <class F, class... A>
class RemoteCall;
}  // namespace rt

struct ClusterOptions {
  unsigned cores = 0;  // 0 = as many as this process may run on
  bool pin = true;     // thread i to the i-th processor it may run on
  CoreOptions core = {};
};

class CAMBIUM_EXPORT Cluster {
 public:
  explicit Cluster(ClusterOptions options = {});
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();

  using Init = Task<Status> (*)(Cluster&, unsigned core_index);
  // Starts the threads, runs init on each core, and returns when every init, and everything spawned, has ended. An
  // init that fails requests the shutdown.
  Status run(Init init);
  void request_shutdown() noexcept;  // thread-safe
  bool shutting_down() const noexcept;

  unsigned size() const noexcept;
  Core& core(unsigned index) noexcept;
  static unsigned current_index() noexcept;  // Requires: called on a core of a cluster

  // From a coroutine on one of the cores: runs function(arguments...) on core `index` and yields what it returns
  // (for a Task<T>: its T). A call to the own core runs without a message.
  template <class F, class... A>
  rt::RemoteCall<F, A...> on(unsigned index, F function, A... arguments);

 private:
  struct State;
  template <class F, class... A>
  friend class rt::RemoteRecord;
  void send(unsigned to, rt::Message& message) noexcept;  // from a core of this cluster to another
  void call_started() noexcept;                           // on the calling core
  void call_arrived() noexcept;                           // on the called core
  void call_ended() noexcept;                             // on the calling core, when the record is back

  std::unique_ptr<State> state_;
};

namespace rt {

template <class T>
struct TaskResult {
  using Type = T;
  static constexpr bool kIsTask = false;
};
template <class T>
struct TaskResult<Task<T>> {
  using Type = T;
  static constexpr bool kIsTask = true;
};

// A call on its way to another core and back. Lives in the frame pool of the calling core.
template <class F, class... A>
class RemoteRecord final : public Message, public PooledFrame {
  // Arguments are moved on into the function, unless it takes them by lvalue reference.
  static constexpr bool kMoves = std::is_invocable_v<F&, A...>;

 public:
  using Returned =
      typename std::conditional_t<kMoves, std::invoke_result<F&, A...>, std::invoke_result<F&, A&...>>::type;
  using Value = typename TaskResult<Returned>::Type;
  static constexpr bool kIsTask = TaskResult<Returned>::kIsTask;
  static constexpr bool kIsVoid = std::is_void_v<Value>;

  RemoteRecord(Cluster& cluster, unsigned to, F function, A... arguments)
      : cluster_(cluster),
        to_(to),
        from_(Cluster::current_index()),
        function_(std::move(function)),
        arguments_(std::move(arguments)...) {}

  bool local() const noexcept { return to_ == from_; }

  // On the calling core.
  void send(std::coroutine_handle<> caller) noexcept {
    resumption_.suspend(Core::current(), caller);
    state_ = State::travelling;
    cluster_.call_started();
    cluster_.send(to_, *this);
  }
  // The caller's frame is gone: the record frees itself when it is back.
  void abandon() noexcept {
    if (state_ == State::travelling) {
      state_ = State::abandoned;
    } else {
      delete this;
    }
  }
  // A call to the own core. True when it has ended.
  bool start_here() {
    if constexpr (kIsTask) {
      task_.emplace(invoke());
      task_->start();
      return task_->done();
    } else {
      keep();
      return true;
    }
  }
  void continue_here(std::coroutine_handle<> caller) noexcept {
    if constexpr (kIsTask) task_->continue_with(caller);
  }
  Value take() {
    resumption_.resumed();
    if constexpr (kIsTask) {
      if (task_) return task_->take();
    }
    if constexpr (!kIsVoid) return std::move(*value_);
  }

 private:
  // Written by the calling core only. The called core tells by `answered_`, which travels with the message.
  enum class State : std::uint8_t { fresh, travelling, abandoned, back };
  struct Nothing {};

  Returned invoke() {
    return std::apply(
        [this](A&... arguments) -> Returned {
          if constexpr (kMoves) {
            return function_(std::move(arguments)...);
          } else {
            return function_(arguments...);
          }
        },
        arguments_);
  }
  void keep() {
    if constexpr (kIsVoid) {
      invoke();
    } else {
      value_.emplace(invoke());
    }
  }

  void run() noexcept override {
    if (answered_) return back();
    cluster_.call_arrived();
    if constexpr (kIsTask) {
      Core::current().spawn(perform(*this));
    } else {
      keep();
      answer();
    }
  }
  static Task<void> perform(RemoteRecord& record) {
    if constexpr (kIsTask) {
      Returned task = record.invoke();
      if constexpr (kIsVoid) {
        co_await task;
      } else {
        Value value = co_await task;
        record.value_.emplace(std::move(value));
      }
    }
    record.answer();  // from here on it belongs to the calling core
  }
  void answer() noexcept {
    answered_ = true;
    cluster_.send(from_, *this);
  }
  void back() noexcept {
    cluster_.call_ended();
    if (state_ == State::abandoned) {
      delete this;
      return;
    }
    state_ = State::back;
    resumption_.schedule();
  }

  Cluster& cluster_;
  unsigned to_;
  unsigned from_;
  F function_;
  std::tuple<A...> arguments_;
  std::optional<std::conditional_t<kIsVoid, Nothing, Value>> value_;
  std::optional<std::conditional_t<kIsTask, Returned, Nothing>> task_;  // of a call to the own core
  Resumption resumption_;
  State state_ = State::fresh;
  bool answered_ = false;
};

// What on() returns: awaited by the expression that made it.
template <class F, class... A>
class [[nodiscard]] RemoteCall {
  using Record = RemoteRecord<F, A...>;

 public:
  RemoteCall(Cluster& cluster, unsigned to, F function, A... arguments)
      : record_(new Record(cluster, to, std::move(function), std::move(arguments)...)) {}
  RemoteCall(const RemoteCall&) = delete;
  RemoteCall& operator=(const RemoteCall&) = delete;
  ~RemoteCall() { record_->abandon(); }

  bool await_ready() { return record_->local() && record_->start_here(); }
  void await_suspend(std::coroutine_handle<> caller) noexcept {
    if (record_->local()) {
      record_->continue_here(caller);
    } else {
      record_->send(caller);
    }
  }
  typename Record::Value await_resume() { return record_->take(); }

 private:
  Record* record_;
};

}  // namespace rt

template <class F, class... A>
rt::RemoteCall<F, A...> Cluster::on(unsigned index, F function, A... arguments) {
  return rt::RemoteCall<F, A...>(*this, index, std::move(function), std::move(arguments)...);
}

}  // namespace cambium
