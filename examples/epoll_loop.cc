// SPDX-License-Identifier: MIT OR Apache-2.0
// Embeds a core in a loop that the program owns: epoll waits for its own descriptors and for the core's, and the core
// runs when there is something for it to do.
//
// The program's own work is a ticker every 5 ms; beside it, a coroutine writes and reads 2,000 keys and sleeps.
#include <cambium/cambium.h>
#include <sys/epoll.h>    // lint: allow(layering) the loop into which the core is embedded
#include <sys/timerfd.h>  // lint: allow(layering) that loop's own ticker
#include <unistd.h>       // lint: allow(layering) closes both

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

using namespace cambium;

namespace {

constexpr std::int64_t kTickNs = 5'000'000;
constexpr int kKeys = 2000;

Task<Status> work(Core& core) {
  Partition db = co_await check(Partition::open(core, {.path = "epoll.cambium", .memory_bytes = 16 * MiB}));
  for (int i = 0; i < kKeys; ++i) {
    co_await check(db.put(std::to_string(i), std::to_string(i * i)));
    if (i % 500 == 0) co_await check(db.flush());          // waits for the device: the ticker goes on
    if (i % 500 == 0) co_await core.sleep_ns(20'000'000);  // waits for a timer: next_timer_ns() tells epoll
  }
  for (int i = 0; i < kKeys; ++i) {
    const Value value = co_await check(db.get(std::to_string(i)));
    if (value.view() != std::to_string(i * i)) co_return Error(Errc::corruption, "a wrong value");
  }
  co_return co_await db.close();
}

// A task that is spawned has nobody who awaits it: it leaves its result where the loop looks.
Task<void> work_and_tell(Core& core, Status& outcome, bool& done) {
  outcome = co_await work(core);
  done = true;
}

// How long epoll may sleep: until the core's next timer, rounded up so that it is due then. -1: for ever.
int timeout_ms(const Core& core) {
  const std::int64_t due_ns = core.next_timer_ns();
  if (due_ns < 0) return -1;
  return static_cast<int>(std::clamp<std::int64_t>((due_ns - core.now_ns() + 999'999) / 1'000'000, 0, 1000));
}

void watch(int epoll, int fd) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

int main() {
  Result<std::unique_ptr<Core>> core = Core::create();
  if (!core) {
    std::fprintf(stderr, "%s\n", std::string(core.error().message()).c_str());
    return 1;
  }
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int ticker = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const itimerspec every = {.it_interval = {0, kTickNs}, .it_value = {0, kTickNs}};
  ::timerfd_settime(ticker, 0, &every, nullptr);
  watch(epoll, ticker);
  watch(epoll, (*core)->fd());

  Status outcome;
  bool done = false;
  std::uint64_t ticks = 0;
  std::uint64_t wake_ups = 0;
  (*core)->spawn(work_and_tell(**core, outcome, done));
  while (!done) {
    while ((*core)->poll()) {  // until nothing is left to run
    }
    if (done) break;
    epoll_event events[2];
    const int count = ::epoll_wait(epoll, events, 2, timeout_ms(**core));
    ++wake_ups;
    for (int i = 0; i < count; ++i) {
      std::uint64_t expired = 0;
      if (events[i].data.fd == ticker && ::read(ticker, &expired, sizeof expired) == sizeof expired) ticks += expired;
    }
  }
  (*core)->drain();  // a partition that an error left open winds down on the loop
  ::close(ticker);
  ::close(epoll);
  std::printf("%d keys beside %llu ticks of our own, %llu wake-ups\n", kKeys, static_cast<unsigned long long>(ticks),
              static_cast<unsigned long long>(wake_ups));
  if (!outcome) std::fprintf(stderr, "%s\n", std::string(outcome.error().message()).c_str());
  // Four sleeps of 20 ms: a loop that starved the ticker, or one that span, would show here.
  return outcome && ticks >= 8 && wake_ups < 100'000 ? 0 : 1;
}
