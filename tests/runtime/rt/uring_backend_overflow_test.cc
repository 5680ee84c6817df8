// SPDX-License-Identifier: MIT OR Apache-2.0
// Both queues of a ring full: more is asked for than they hold, what completed is left lying, messages of other rings
// come on top, transfers stop short. Nothing is lost, nothing comes twice.
#include <unistd.h>

#include <catch2/catch.hpp>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "rt/uring_backend.h"
#include "runtime/rt/core_fixture.h"

namespace cambium {
namespace {

using rt::IoKind;
using rt::IoRequest;
using rt::UringBackend;

constexpr std::uint32_t kPage = 4096;
constexpr std::uint64_t kFilePages = 64;

// A request that counts how often it completed.
struct Counted : IoRequest {
  int completions = 0;
  static void note(IoRequest& request) noexcept { ++static_cast<Counted&>(request).completions; }
};

struct Rig {
  explicit Rig(unsigned depth) {
    if (test::make_core(Backend::uring) == nullptr) return;
    backend = UringBackend::create({.queue_depth = depth}).value();
    // Buffered: a transfer that meets the end of the file stops short instead of being refused.
    file = backend->open_file({.path = directory.file("data"), .create = true, .direct = false}).value().file;
    content.resize(kFilePages * kPage);
    rt::Random random(5);
    for (char& byte : content) byte = static_cast<char>(random.below(256));
    Counted write;
    write.kind = IoKind::write;
    write.file = file;
    write.bytes = static_cast<std::uint32_t>(content.size());
    write.data = content.data();
    write.complete = &Counted::note;
    backend->submit(write);
    drain();
    REQUIRE(write.result == static_cast<std::int32_t>(content.size()));
  }
  ~Rig() {
    if (backend) backend->close_file(file);
  }
  void drain() {
    while (backend->in_flight() != 0) {
      backend->wait(-1);
      backend->reap();
    }
  }
  // Reads of one to three pages all over the file; those at its end stop short, those behind it read nothing.
  void submit_reads(std::size_t count) {
    reads = std::vector<Counted>(count);
    buffers.assign(count * 3 * kPage, '\0');
    for (std::size_t i = 0; i < count; ++i) {
      Counted& read = reads[i];
      read.kind = IoKind::read;
      read.file = file;
      read.bytes = static_cast<std::uint32_t>(1 + i % 3) * kPage;
      read.offset = (i * 7 % (kFilePages + 2)) * kPage - (i % 5 == 4 && i * 7 % (kFilePages + 2) != 0 ? 100 : 0);
      read.data = buffers.data() + i * 3 * kPage;
      read.complete = &Counted::note;
      backend->submit(read);
    }
  }
  // How many requests did not complete exactly once, with the bytes that are there.
  std::size_t wrong() const {
    std::size_t count = 0;
    for (const Counted& read : reads) {
      const std::uint64_t there = read.offset >= content.size() ? 0 : content.size() - read.offset;
      const std::uint64_t bytes = there < read.bytes ? there : read.bytes;
      const bool right = read.completions == 1 && read.result == static_cast<std::int32_t>(bytes) &&
                         std::memcmp(read.data, content.data() + (bytes == 0 ? 0 : read.offset), bytes) == 0;
      if (!right) ++count;
    }
    return count;
  }

  test::TempDirectory directory;
  std::unique_ptr<UringBackend> backend;  // null where io_uring is refused
  std::int32_t file = -1;
  std::string content;
  std::vector<Counted> reads;
  std::string buffers;
};

TEST_CASE("uring overflow: thousands of requests on a small ring, whose completions lie for long") {
  const unsigned depth = GENERATE(1u, 2u, 8u);
  CAPTURE(depth);
  Rig rig(depth);
  if (!rig.backend) return;
  rig.submit_reads(5000);
  CHECK(rig.backend->in_flight() == 5000);
  ::usleep(20'000);  // what the kernel has been given is done by now, and nobody has looked
  for (const Counted& read : rig.reads) REQUIRE(read.completions == 0);
  for (int turn = 0; turn < 20; ++turn) {
    rig.backend->reap();
    ::usleep(1000);
  }
  rig.drain();
  CHECK(rig.wrong() == 0);
  CHECK(rig.backend->reap() == 0);
}

TEST_CASE("uring overflow: messages of other rings overrun the completion queue, and requests survive them") {
  const unsigned depth = GENERATE(1u, 4u);
  CAPTURE(depth);
  Rig rig(depth);
  if (!rig.backend) return;
  const std::unique_ptr<UringBackend> sender = UringBackend::create({.queue_depth = 256}).value();
  for (int round = 0; round < 5; ++round) {
    rig.submit_reads(500);
    for (int i = 0; i < 2000; ++i) {  // far more than the queue holds: the rest comes over the eventfd, or waits
      rig.backend->wake_from(*sender);
      if (i % 100 == 99) sender->reap();
    }
    sender->reap();
    ::usleep(2000);
    rig.drain();
    REQUIRE(rig.wrong() == 0);
    sender->settle();
  }
  // It still sleeps and wakes.
  const std::int64_t began_ns = rig.backend->now_ns();
  while (rig.backend->now_ns() - began_ns < 20'000'000) {
    rig.backend->wait(rig.backend->now_ns() + 5'000'000);
    rig.backend->reap();
  }
  rig.submit_reads(100);
  rig.drain();
  CHECK(rig.wrong() == 0);
}

TEST_CASE("uring overflow: cancels beyond what the queues hold end every request once") {
  Rig rig(2);
  if (!rig.backend) return;
  rig.submit_reads(3000);
  for (Counted& read : rig.reads) {
    rig.backend->cancel(read);
    rig.backend->cancel(read);
  }
  rig.drain();
  std::size_t cancelled = 0;
  for (Counted& read : rig.reads) {
    REQUIRE(read.completions == 1);
    if (read.result == -ECANCELED) ++cancelled;
  }
  CHECK(cancelled > 2900);
  rig.submit_reads(100);
  rig.drain();
  CHECK(rig.wrong() == 0);
}

}  // namespace
}  // namespace cambium
