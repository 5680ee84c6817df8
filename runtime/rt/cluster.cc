// SPDX-License-Identifier: MIT OR Apache-2.0
//
// How the cores of a cluster live and end.
//
// The end is found by counting: busy_ holds the cores that have not gone quiet. A core goes quiet when its init has
// ended and it has nothing spawned, runnable, timed, in flight or called. A call wakes it up again before the caller,
// which is busy until the answer is back, can go quiet: so busy_ reaches 0 once, and then nothing can start any more.
#include <cambium/rt/cluster.h>

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <barrier>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "base/spsc_queue.h"
#include "base/text.h"
#include "rt/core_state.h"
#include "rt/io_backend.h"
#include "rt/uring_backend.h"

namespace cambium {
namespace {

constexpr std::size_t kRingEntries = 256;
constexpr unsigned kCoresMax = 1024;
using Ring = rt::SpscQueue<rt::Message*, kRingEntries>;

std::vector<int> allowed_processors() {
  std::vector<int> processors;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(static_cast<unsigned>(i), &set)) processors.push_back(i);
    }
  }
  if (processors.empty()) processors.push_back(0);
  return processors;
}

// A member of a cluster: what other cores write, and what is its own.
class Member final : public rt::MessageSource {
 public:
  Member(unsigned index, unsigned cores, const std::atomic<bool>& ended) : ended_(ended), index_(index) {
    for (unsigned i = 0; i < cores; ++i) rings_.push_back(std::make_unique<Ring>());
  }

  bool empty() const noexcept override {
    // The end counts as a message. A turn may take in the wake-up that announced it, and would then sleep for good.
    if (ended_.load(std::memory_order_seq_cst)) return false;
    for (const auto& ring : rings_) {
      if (!ring->empty()) return false;
    }
    return true;
  }
  // At most one ringful from each core: a chatty one must not hold the loop.
  std::size_t run_all() noexcept override {
    std::size_t ran = 0;
    for (const auto& ring : rings_) {
      rt::Message* message = nullptr;
      for (std::size_t i = 0; i < kRingEntries && ring->try_pop(message); ++i, ++ran) message->run();
    }
    return ran;
  }
  Ring& from(unsigned index) noexcept { return *rings_[index]; }
  unsigned index() const noexcept { return index_; }

  std::unique_ptr<Core> core;
  // Of its own thread.
  std::uint64_t calls = 0;  // calls to other cores whose answer is outstanding
  bool initialised = false;
  bool busy = true;  // counted in busy_

 private:
  const std::atomic<bool>& ended_;  // of the cluster
  unsigned index_;
  std::vector<std::unique_ptr<Ring>> rings_;  // by sender
};

constinit thread_local Member* current_member = nullptr;

}  // namespace

struct Cluster::State {
  explicit State(ClusterOptions o) : options(std::move(o)) {}

  void serve(Cluster& cluster, Member& member, Init init);
  void loop(Member& member);
  void end() noexcept;
  void fail(const Error& error);
  bool quiet(const Member& member) const noexcept;

  ClusterOptions options;
  unsigned cores = 0;
  std::vector<int> processors;
  std::vector<std::unique_ptr<Member>> members;
  std::atomic<bool> shutting_down{false};
  std::atomic<bool> ended{false};
  std::atomic<bool> running{false};
  std::atomic<unsigned> busy_{0};
  std::optional<std::barrier<>> all_here;

  std::mutex mutex;  // guards error
  std::optional<Error> error;
};

Cluster::Cluster(ClusterOptions options) : state_(std::make_unique<State>(options)) {
  state_->processors = allowed_processors();
  state_->cores = options.cores != 0 ? options.cores : static_cast<unsigned>(state_->processors.size());
}

Cluster::~Cluster() { CAMBIUM_ASSERT_MSG(!state_->running, "a cluster is destroyed while it runs"); }

unsigned Cluster::size() const noexcept { return state_->cores; }

Core& Cluster::core(unsigned index) noexcept {
  CAMBIUM_ASSERT(index < state_->members.size() && state_->members[index]->core != nullptr);
  return *state_->members[index]->core;
}

unsigned Cluster::current_index() noexcept {
  CAMBIUM_ASSERT_MSG(current_member != nullptr, "called outside the cores of a cluster");
  return current_member->index();
}

bool Cluster::shutting_down() const noexcept { return state_->shutting_down.load(std::memory_order_acquire); }
void Cluster::request_shutdown() noexcept { state_->shutting_down.store(true, std::memory_order_release); }

Status Cluster::run(Init init) {
  State& s = *state_;
  if (s.cores > kCoresMax) {
    return Error(Errc::invalid_argument, rt::str("a cluster of ", s.cores, " cores"),
                 rt::str("choose at most ", kCoresMax));
  }
  CAMBIUM_ASSERT_MSG(!s.running.exchange(true), "a cluster runs once at a time");
  s.members.clear();
  for (unsigned i = 0; i < s.cores; ++i) s.members.push_back(std::make_unique<Member>(i, s.cores, s.ended));
  s.shutting_down = false;
  s.ended = false;
  s.busy_ = s.cores;
  s.error.reset();
  s.all_here.emplace(static_cast<std::ptrdiff_t>(s.cores));

  std::vector<std::thread> threads;
  for (const auto& member : s.members) {
    threads.emplace_back([this, &s, &member, init] { s.serve(*this, *member, init); });
  }
  for (std::thread& thread : threads) thread.join();
  s.members.clear();
  s.running = false;
  if (s.error) return *s.error;
  return {};
}

// ---------------------------------------------------------------------------------------------- one core's life

namespace {

void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(processor), &set);
  const int outcome = ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
  if (outcome != 0) {
    rt::log_once("pin", rt::LogLevel::warn, rt::str("cannot pin a core to processor ", processor));
  }
}

Task<void> run_init(Cluster& cluster, Member& member, Cluster::Init init, std::optional<Error>& error) {
  const Status status = co_await init(cluster, member.index());
  if (!status) error = status.error();
  member.initialised = true;
}

}  // namespace

void Cluster::State::serve(Cluster& cluster, Member& member, Init init) {
  if (options.pin) pin_to(processors[member.index() % processors.size()]);
  // 1. Every core is there before any code runs that could call it.
  Result<std::unique_ptr<Core>> created = Core::create(options.core);
  if (created) {
    member.core = std::move(*created);
    member.core->state_->source = &member;
  } else {
    fail(created.error().within(rt::str("core ", member.index())));
    ended = true;
  }
  all_here->arrive_and_wait();
  // 2. Init, then whatever it started, here or from other cores.
  if (!ended) {
    current_member = &member;
    std::optional<Error> init_error;
    member.core->run(run_init(cluster, member, init, init_error));
    if (init_error) {
      fail(*init_error);
      cluster.request_shutdown();
    }
    loop(member);
    current_member = nullptr;
    // 3. Our last messages must have reached rings that still exist.
    if (member.core->backend_kind() == Backend::uring) {
      static_cast<rt::UringBackend&>(member.core->backend()).settle();
    }
  }
  all_here->arrive_and_wait();
  // A ring is closed by the thread that made it.
  member.core.reset();
}

void Cluster::State::loop(Member& member) {
  while (!ended.load(std::memory_order_acquire)) {
    if (member.busy && quiet(member)) {
      member.busy = false;
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) return end();
    }
    member.core->turn(true);
  }
}

bool Cluster::State::quiet(const Member& member) const noexcept {
  return member.initialised && member.calls == 0 && member.core->spawned() == 0 && member.core->idle();
}

void Cluster::State::end() noexcept {
  ended.store(true, std::memory_order_seq_cst);  // before the wake-ups: whoever takes one in finds it set
  // Unconditionally: a core that sleeps already gets no message.
  for (const auto& member : members) member->core->backend().wake();
}

void Cluster::State::fail(const Error& e) {
  const std::lock_guard lock(mutex);
  if (!error) error = e;
}

// ---------------------------------------------------------------------------------------------- calls

void Cluster::send(unsigned to, rt::Message& message) noexcept {
  CAMBIUM_ASSERT_MSG(to < state_->cores, "a call to a core that the cluster does not have");
  Member& own = *current_member;
  Member& other = *state_->members[to];
  if (!other.from(own.index()).try_push(&message)) {
    other.core->post(message);  // the ring is full: the inbox never is
    return;
  }
  if (!other.core->state_->sleep.claim()) return;
  rt::IoBackend& from = own.core->backend();
  rt::IoBackend& target = other.core->backend();
  if (from.kind() == Backend::uring && target.kind() == Backend::uring) {
    static_cast<rt::UringBackend&>(target).wake_from(static_cast<rt::UringBackend&>(from));
  } else {
    target.wake();
  }
}

void Cluster::call_started() noexcept {
  ++current_member->calls;
  // An answer is due: worth a short spin.
  current_member->core->state_->message_spins = Core::State::kMessageSpins;
}

void Cluster::call_arrived() noexcept {
  if (current_member->busy) return;
  current_member->busy = true;
  state_->busy_.fetch_add(1, std::memory_order_acq_rel);
}

void Cluster::call_ended() noexcept {
  CAMBIUM_ASSERT(current_member->calls != 0);
  --current_member->calls;
}

}  // namespace cambium
