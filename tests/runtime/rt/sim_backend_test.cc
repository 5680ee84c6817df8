// SPDX-License-Identifier: MIT OR Apache-2.0
// How a simulated core's I/O behaves: time, order, faults, cancellation, steps, determinism.
#include <catch2/catch.hpp>

#include <cerrno>
#include <string>
#include <vector>

#include <cambium/rt/core.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/sanitizer.h"
#include "runtime/rt/sim_driver.h"

namespace cambium {
namespace {

using rt::IoKind;
using test::DrivenIo;
using test::sectors;
using test::SimDriver;

constexpr std::string_view kFile = SimDriver::kFile;

TEST_CASE("sim backend: nothing completes inside submit, and eager mode completes in order") {
  SimDisk disk;
  SimDriver driver(disk);
  std::string bytes = sectors(10, 'x');
  std::vector<DrivenIo*> submitted;
  for (std::size_t i = 0; i < 10; ++i) {
    submitted.push_back(&driver.start(IoKind::write, i * 512, bytes.data(), 512));
  }
  CHECK(driver.log().empty());
  CHECK(driver.backend().in_flight() == 10);
  CHECK(driver.backend().ready());
  CHECK(driver.backend().reap() == 10);
  CHECK(driver.log() == submitted);
  CHECK(driver.backend().in_flight() == 0);
}

TEST_CASE("sim backend: a seed draws latencies and order, within the queue depth") {
  SimDisk disk;
  SimDriver driver(disk, {.seed = 3, .queue_depth = 2, .latency_ticks = {1000, 1000, 1000, 1000}});
  std::string bytes = sectors(1, 'x');
  for (std::size_t i = 0; i < 6; ++i) driver.start(IoKind::write, i * 512, bytes.data(), 512);
  CHECK(driver.backend().reap() == 0);
  driver.finish_all();
  // Six requests, two at a time, a millisecond each.
  CHECK(driver.backend().now_ns() >= 3'000'000);
  CHECK(driver.backend().now_ns() < 3'100'000);
  bool reordered = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimDisk other;
    SimDriver drawn(other, {.seed = seed});
    std::vector<DrivenIo*> submitted;
    for (std::size_t i = 0; i < 6; ++i) submitted.push_back(&drawn.start(IoKind::write, i * 512, bytes.data(), 512));
    drawn.finish_all();
    reordered |= drawn.log() != submitted;
  }
  CHECK(reordered);
}

TEST_CASE("sim backend: waiting jumps to the next event, the deadline or a wake") {
  SimDisk disk;
  SimDriver driver(disk, {.latency_ticks = {500, 500, 500, 500}});
  rt::SimBackend& backend = driver.backend();
  const std::int64_t start = backend.now_ns();
  backend.wait(start + 7'000);
  CHECK(backend.now_ns() == start + 7'000);
  backend.wake();
  backend.wait(-1);
  CHECK(backend.now_ns() == start + 7'000);
  auto& sync = driver.start(IoKind::sync, 0);
  backend.wait(start + 8'000);
  CHECK(backend.now_ns() == start + 8'000);
  backend.wait(-1);
  CHECK(backend.now_ns() == start + 7'000 + 500'000);
  CHECK_FALSE(sync.done);
  driver.finish(sync);
}

TEST_CASE("sim backend: opening creates, finds, refuses and locks") {
  SimDisk disk;
  SimDriver driver(disk);
  rt::SimBackend other(disk.state(), {});
  CHECK(other.open_file({.path = "absent"}).code() == Errc::not_found);
  CHECK(other.open_file({.path = std::string(kFile), .create = true}).code() == Errc::exists);
  CHECK(other.open_file({.path = std::string(kFile)}).code() == Errc::busy);
  CHECK(other.open_file({.path = std::string(kFile), .read_only = true}).code() == Errc::busy);
  driver.backend().close_file(driver.file());
  Result<rt::OpenedFile> reader = other.open_file({.path = std::string(kFile), .read_only = true});
  REQUIRE(reader);
  CHECK(driver.backend().open_file({.path = std::string(kFile), .read_only = true}).has_value());
  CHECK(driver.backend().open_file({.path = std::string(kFile)}).code() == Errc::busy);
}

TEST_CASE("sim backend: locks go with the backend that held them") {
  SimDisk disk;
  {
    SimDriver driver(disk);
  }
  SimDriver again(disk);
  CHECK(again.file() >= 0);
}

TEST_CASE("sim backend: a file opened for reading, or a wrong handle, is refused") {
  SimDisk disk;
  SimDriver driver(disk);
  driver.backend().close_file(driver.file());
  CHECK(driver.write(0, "x") == -EBADF);
  const auto reader = driver.backend().open_file({.path = std::string(kFile), .read_only = true, .direct = true});
  const std::int32_t file = reader.value().file;
  alignas(512) char bytes[512] = {};
  CHECK(driver.finish(driver.submit({.kind = IoKind::write, .file = file, .bytes = 512, .data = bytes})) == -EBADF);
  // Direct I/O: memory, offset and length are aligned.
  CHECK(driver.finish(driver.submit({.kind = IoKind::read, .file = file, .bytes = 512, .data = bytes})) == 0);
  CHECK(driver.finish(driver.submit({.kind = IoKind::read, .file = file, .bytes = 511, .data = bytes})) == -EINVAL);
  CHECK(driver.finish(driver.submit({.kind = IoKind::read, .file = file, .bytes = 512, .offset = 8, .data = bytes})) ==
        -EINVAL);
}

TEST_CASE("sim backend: registered buffers are checked, counted, or refused") {
  SimDisk disk;
  {
    SimDriver driver(disk);
    std::string memory = sectors(2, 'm');
    const std::int32_t index = driver.backend().register_buffer(memory.data(), 512);
    REQUIRE(index >= 0);
    const rt::IoRequest write{
        .kind = IoKind::write, .file = driver.file(), .buffer_index = index, .bytes = 512, .data = memory.data()};
    CHECK(driver.finish(driver.submit(write)) == 512);
    rt::IoRequest outside = write;
    outside.data = memory.data() + 1;
    CHECK(driver.finish(driver.submit(outside)) == -EFAULT);
    driver.backend().unregister_buffer(index);
    CHECK(driver.finish(driver.submit(write)) == -EFAULT);
    driver.write(0, "plain");
    CoreStats stats;
    driver.backend().add_stats(stats);
    CHECK(stats.writes == 4);
    CHECK(stats.writes_fixed == 3);
    CHECK(stats.bytes_written == 517);
    CHECK(driver.backend().note().empty());
  }
  SimDriver refusing(disk, {.refuse_registration = true});
  char byte = 0;
  CHECK(refusing.backend().register_buffer(&byte, 1) == -1);
  CHECK_FALSE(refusing.backend().note().empty());
}

TEST_CASE("sim backend: reads stop at the end of the file") {
  SimDisk disk;
  SimDriver driver(disk);
  driver.write(0, "hello");
  CHECK(driver.read(0, 100) == "hello");
  CHECK(driver.read(4, 100) == "o");
  CHECK(driver.read(5, 100).empty());
  CHECK(driver.read(5000, 100).empty());
}

TEST_CASE("sim backend: a read buffer is scribbled on while in flight, and holds garbage after a failure") {
  SimDisk disk;
  SimDriver driver(disk, {.poison_reads = false});
  driver.write(0, sectors(1, 'f'));
  std::string buffer = sectors(1, 'b');
  auto& read = driver.start(IoKind::read, 0, buffer.data(), buffer.size());
  const std::string in_flight = buffer;
  CHECK(in_flight != sectors(1, 'b'));
  CHECK(in_flight != sectors(1, 'f'));
  CHECK(driver.finish(read) == 512);
  CHECK(buffer == sectors(1, 'f'));
  disk.plan({.error = EIO, .kind = IoKind::read});
  CHECK(driver.finish(driver.start(IoKind::read, 0, buffer.data(), buffer.size())) == -EIO);
  CHECK(buffer != sectors(1, 'f'));
}

#if CAMBIUM_ASAN
TEST_CASE("sim backend: buffers in flight are poisoned, and usable again when their request completes") {
  SimDisk disk;
  SimDriver driver(disk, {.poison_writes = true});
  std::string to = sectors(1, 'x');
  std::string from = sectors(1, 'y');
  auto& write = driver.start(IoKind::write, 0, from.data(), from.size());
  auto& read = driver.start(IoKind::read, 0, to.data(), to.size());
  CHECK(__asan_address_is_poisoned(to.data() + 100) == 1);
  CHECK(__asan_address_is_poisoned(from.data() + 100) == 1);
  driver.finish(write);
  driver.finish(read);
  CHECK(__asan_address_is_poisoned(to.data() + 100) == 0);
  CHECK(__asan_address_is_poisoned(from.data() + 100) == 0);
}
#endif

TEST_CASE("sim backend: planned faults strike the request they name, once or from then on") {
  SimDisk disk;
  SimDriver driver(disk);
  driver.write(0, sectors(4, 'o'));
  driver.sync();
  SECTION("the third write, once") {
    disk.plan({.error = EIO, .kind = IoKind::write, .operation = 2});
    CHECK(driver.write(0, "a") == 1);
    CHECK(driver.read(0, 1) == "a");
    CHECK(driver.write(1, "b") == 1);
    CHECK(driver.write(2, "c") == -EIO);
    CHECK(driver.write(3, "d") == 1);
    CHECK(disk.faults_struck() == 1);
  }
  SECTION("every operation from the second on, until cleared") {
    disk.plan({.error = ENOMEM, .operation = 1, .sticky = true});
    CHECK(driver.write(0, "a") == 1);
    CHECK(driver.sync() == -ENOMEM);
    CHECK(driver.resize(8192) == -ENOMEM);
    CHECK(driver.write(0, "b") == -ENOMEM);
    disk.clear_faults();
    CHECK(driver.sync() == 0);
    CHECK(driver.read(0, 1) == "a");
  }
  SECTION("what touches a region") {
    disk.plan({.error = EIO, .sticky = true, .region_offset = 512, .region_bytes = 512});
    CHECK(driver.write(0, sectors(1, 'x')) == 512);
    CHECK(driver.write(511, "xx") == -EIO);
    CHECK(driver.write(1023, "x") == -EIO);
    CHECK(driver.write(1024, "x") == 1);
    CHECK(driver.sync() == 0);
  }
  SECTION("shortened to some bytes, or none") {
    disk.plan({.action = FaultAction::shorten, .argument = 3, .kind = IoKind::write});
    disk.plan({.action = FaultAction::shorten, .argument = 0, .kind = IoKind::read});
    CHECK(driver.write(0, "abcdef") == 3);
    CHECK(driver.read(0, 6).empty());
    CHECK(driver.read(0, 6) == "abcooo");
  }
  SECTION("a lost write and a sync that lies report success") {
    disk.plan({.action = FaultAction::drop, .kind = IoKind::write});
    disk.plan({.action = FaultAction::drop, .kind = IoKind::sync});
    CHECK(driver.write(0, "lost") == 4);
    CHECK(driver.read(0, 4) == "oooo");
    CHECK(driver.write(0, "kept") == 4);
    CHECK(driver.sync() == 0);
    CHECK(disk.crash_image(PowerCutPolicy::none, 0).peek(kFile, 0, 4) == "oooo");
  }
  SECTION("a misdirected write lands elsewhere") {
    disk.plan({.action = FaultAction::misdirect, .argument = 1024, .kind = IoKind::write});
    CHECK(driver.write(0, "stray") == 5);
    CHECK(driver.read(0, 5) == "ooooo");
    CHECK(driver.read(1024, 5) == "stray");
  }
}

TEST_CASE("sim backend: a failed write leaves old sectors, or a new start of whole ones") {
  bool nothing = false;
  bool part = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    SimDriver driver(disk, {.seed = seed, .eager = true});
    driver.write(0, sectors(4, 'o'));
    disk.plan({.error = EIO, .kind = IoKind::write});
    REQUIRE(driver.write(0, sectors(4, 'n')) == -EIO);
    const std::string bytes = driver.read(0, 4 * 512);
    const std::size_t landed = bytes.find('o') == std::string::npos ? bytes.size() : bytes.find('o');
    REQUIRE(landed % 512 == 0);
    REQUIRE(bytes == std::string(landed, 'n') + std::string(bytes.size() - landed, 'o'));
    nothing |= landed == 0;
    part |= landed != 0;
  }
  CHECK((nothing && part));
}

TEST_CASE("sim backend: short transfers and EINTR or EAGAIN come at the rate asked for") {
  SimDisk disk;
  SimDriver driver(disk, {.short_chance = 0.5, .retry_chance = 0.25});
  int shorts = 0;
  int retries = 0;
  for (int i = 0; i < 400; ++i) {
    const std::int32_t result = driver.write(0, sectors(4, 'x'));
    retries += result == -EINTR || result == -EAGAIN ? 1 : 0;
    shorts += result > 0 && result < 4 * 512 ? 1 : 0;
    REQUIRE((result > 0 || result == -EINTR || result == -EAGAIN));
  }
  CHECK(retries > 60);
  CHECK(retries < 140);
  CHECK(shorts > 100);
  CHECK(shorts < 200);
}

TEST_CASE("sim backend: a full disk refuses growth and holes, not overwrites, and recovers with space") {
  SimDisk disk;
  SimDriver driver(disk);
  disk.set_capacity_bytes(4 * kSimBlockBytes);
  CHECK(driver.resize(5 * kSimBlockBytes) == -ENOSPC);
  CHECK(disk.file_size(kFile) == 0);
  CHECK(driver.resize(4 * kSimBlockBytes) == 0);
  CHECK(driver.write(4 * kSimBlockBytes, "x") == -ENOSPC);
  CHECK(driver.write(0, "x") == 1);
  CHECK(driver.punch(kSimBlockBytes, kSimBlockBytes) == 0);
  CHECK(driver.resize(5 * kSimBlockBytes) == 0);
  CHECK(driver.write(kSimBlockBytes, "x") == -ENOSPC);
  disk.set_capacity_bytes(5 * kSimBlockBytes);
  CHECK(driver.write(kSimBlockBytes, "x") == 1);
}

TEST_CASE("sim backend: a cancelled request completes once, with ECANCELED and no effect, or with its result") {
  int cancelled = 0;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    SimDriver driver(disk, {.seed = seed, .queue_depth = 1, .latency_ticks = {1000, 1000, 1000, 1000}});
    std::string bytes = sectors(1, 'x');
    auto& at_device = driver.start(IoKind::write, 0, bytes.data(), 512);
    auto& waiting = driver.start(IoKind::write, 512, bytes.data(), 512);
    driver.backend().cancel(waiting.io);
    driver.backend().cancel(at_device.io);
    driver.finish_all();
    driver.backend().cancel(waiting.io);  // too late: nothing happens
    REQUIRE(driver.log().size() == 2);
    REQUIRE(waiting.io.result == -ECANCELED);
    REQUIRE((at_device.io.result == 512 || at_device.io.result == -ECANCELED));
    REQUIRE(disk.file_size(kFile) == (at_device.io.result == 512 ? 512u : 0u));
    cancelled += at_device.io.result == 512 ? 0 : 1;
  }
  CHECK(cancelled > 16);
  CHECK(cancelled < 48);
}

struct StepLog {
  SimDisk* disk = nullptr;
  SimDriver* driver = nullptr;
  std::vector<SimStep> steps = {};
  std::vector<std::size_t> completed = {};  // how many requests had been told, at each step
  std::uint64_t cut_at = ~std::uint64_t{0};

  static void record(void* context, const SimStep& step) {
    auto& self = *static_cast<StepLog*>(context);
    self.steps.push_back(step);
    self.completed.push_back(self.driver->log().size());
    if (step.index == self.cut_at) self.disk->cut_power();
  }
};

TEST_CASE("sim backend: the step hook sees each I/O in effect before its request completes") {
  SimDisk disk;
  SimDriver driver(disk);
  StepLog log{.disk = &disk, .driver = &driver};
  disk.on_step(&StepLog::record, &log);
  driver.resize(4096);
  driver.write(0, "abc");
  driver.read(0, 3);
  driver.sync();
  driver.sync();
  disk.on_step(nullptr, nullptr);
  driver.sync();
  CHECK(disk.steps() == 6);
  REQUIRE(log.steps.size() == 5);
  CHECK(log.completed == std::vector<std::size_t>{0, 1, 2, 3, 4});
  CHECK(log.steps[1].kind == IoKind::write);
  CHECK(log.steps[1].result == 3);
  CHECK((log.steps[0].changed && log.steps[1].changed && log.steps[3].changed));
  CHECK_FALSE((log.steps[2].changed || log.steps[4].changed));
}

TEST_CASE("sim backend: after the power is cut nothing succeeds and nothing changes") {
  SimDisk disk;
  SimDriver driver(disk);
  StepLog log{.disk = &disk, .driver = &driver, .cut_at = 1};
  driver.write(0, "old");
  disk.on_step(&StepLog::record, &log);
  // The write at whose step the power is cut is in effect, but never acknowledged.
  CHECK(driver.write(0, "new") == -EIO);
  CHECK(disk.peek(kFile, 0, 3) == "new");
  CHECK(driver.write(0, "xxx") == -EIO);
  CHECK(driver.sync() == -EIO);
  CHECK(driver.resize(0) == -EIO);
  CHECK(disk.peek(kFile, 0, 3) == "new");
  CHECK(disk.steps() == 2);
  CHECK(driver.backend().open_file({.path = "other", .create = true}).code() == Errc::io);
  CHECK_FALSE(disk.exists("other"));
}

// Random requests, several in flight; returns the hash of the trace.
std::uint64_t run_traced(std::uint64_t seed, char fill) {
  SimDisk disk;
  SimOptions options = SimOptions::drawn(seed);
  SimDriver driver(disk, options);
  rt::Random random(5);
  std::string bytes = sectors(8, fill);
  std::vector<std::string> buffers(300, sectors(8, '\0'));
  for (std::string& buffer : buffers) {
    const std::uint64_t offset = random.below(64) * 512;
    const std::uint64_t choice = random.below(8);
    if (choice < 4) driver.start(IoKind::write, offset, bytes.data(), 512 * random.between(1, 8));
    if (choice == 4) driver.start(IoKind::sync, 0);
    if (choice == 5) driver.start(IoKind::resize, offset);
    if (choice > 5) driver.start(IoKind::read, offset, buffer.data(), 512 * random.between(1, 8));
    if (random.below(3) == 0 && driver.backend().reap() == 0 && driver.backend().in_flight() != 0) {
      driver.backend().wait(-1);
    }
  }
  driver.finish_all();
  return disk.trace_hash();
}

TEST_CASE("sim backend: the same seed gives the same trace; another seed or content gives another") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    const std::uint64_t hash = run_traced(seed, 'a');
    REQUIRE(run_traced(seed, 'a') == hash);
    REQUIRE(run_traced(seed, 'b') != hash);
    REQUIRE(run_traced(seed + 1, 'a') != hash);
  }
}

}  // namespace
}  // namespace cambium
