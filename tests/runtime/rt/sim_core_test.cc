// SPDX-License-Identifier: MIT OR Apache-2.0
// Workloads as coroutines on simulated cores: power cuts at every step, recovery inside the hook, the file device.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <coroutine>
#include <memory>
#include <string>

#include <cambium/rt/block_device.h>
#include <cambium/rt/core.h>
#include <cambium/rt/sim.h>
#include <cambium/rt/task.h>

#include "rt/io_backend.h"

namespace cambium {
namespace {

using rt::IoKind;

// One request from a coroutine, without the retries of a block device.
class Raw {
 public:
  Raw(Core& core, const rt::IoRequest& request) : core_(core) { io_.io = request; }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> caller) {
    io_.self = this;
    caller_ = caller;
    io_.io.complete = [](rt::IoRequest& request) noexcept {
      Raw& self = *reinterpret_cast<Link&>(request).self;
      self.core_.schedule(self.caller_, Priority::foreground);
    };
    core_.backend().submit(io_.io);
  }
  std::int32_t await_resume() const noexcept { return io_.io.result; }

 private:
  struct Link {
    rt::IoRequest io;
    Raw* self = nullptr;
  };
  Core& core_;
  Link io_;
  std::coroutine_handle<> caller_;
};

// Page 1, sync, then page 0 says that page 1 is there, sync; `rounds` times.
Task<int> publish(Core& core, int rounds) {
  const std::int32_t file = core.backend().open_file({.path = "db", .direct = false}).value().file;
  std::string data(4096, '\0');
  int done = 0;
  for (int round = 1; round <= rounds; ++round) {
    data.assign(data.size(), static_cast<char>(round));
    const rt::IoRequest body{.kind = IoKind::write,
                             .file = file,
                             .bytes = 4096,
                             .offset = 4096 * static_cast<std::uint64_t>(round),
                             .data = data.data()};
    std::int32_t result = co_await Raw(core, body);
    if (result != 4096) break;
    const rt::IoRequest sync{.kind = IoKind::sync, .file = file};
    result = co_await Raw(core, sync);
    if (result != 0) break;
    const rt::IoRequest root{.kind = IoKind::write, .file = file, .bytes = 512, .data = data.data()};
    result = co_await Raw(core, root);
    if (result != 512) break;
    result = co_await Raw(core, sync);
    if (result != 0) break;
    done = round;
    co_await core.sleep_ns(1'000'000);
  }
  core.backend().close_file(file);
  co_return done;
}

// What the root promises, if it is whole: -1 when the promise is broken.
Task<int> recover(Core& core) {
  const std::int32_t file = core.backend().open_file({.path = "db", .direct = false}).value().file;
  std::string root(512, '\0');
  const rt::IoRequest read_root{.kind = IoKind::read, .file = file, .bytes = 512, .data = root.data()};
  co_await Raw(core, read_root);
  const int round = root[0];
  std::string data(4096, '\0');
  const rt::IoRequest read_data{.kind = IoKind::read,
                                .file = file,
                                .bytes = 4096,
                                .offset = 4096 * static_cast<std::uint64_t>(round),
                                .data = data.data()};
  co_await Raw(core, read_data);
  core.backend().close_file(file);
  co_return round == 0 || data == std::string(4096, static_cast<char>(round)) ? round : -1;
}

struct CrashAtEveryStep {
  SimDisk& disk;
  int images = 0;
  int broken = 0;

  static void check(void* context, const SimStep& step) {
    auto& self = *static_cast<CrashAtEveryStep*>(context);
    for (const PowerCutPolicy policy : {PowerCutPolicy::none, PowerCutPolicy::all, PowerCutPolicy::random,
                                        PowerCutPolicy::only_one, PowerCutPolicy::suffix}) {
      SimDisk image = self.disk.crash_image(policy, step.index);
      std::unique_ptr<Core> core = image.make_core({.seed = step.index});
      self.broken += core->run(recover(*core)) < 0 ? 1 : 0;
      ++self.images;
    }
  }
};

void prepare_db(SimDisk& disk) {
  disk.create("db");
  disk.truncate("db", 64 * 1024);
}

TEST_CASE("sim core: a workload on a core is cut at every step, and recovered on a core inside the hook") {
  SimDisk disk;
  prepare_db(disk);
  CrashAtEveryStep checker{disk};
  disk.on_step(&CrashAtEveryStep::check, &checker);
  const bool lying = GENERATE(false, true);
  if (lying) disk.plan({.action = FaultAction::drop, .kind = IoKind::sync, .sticky = true});
  std::unique_ptr<Core> core = disk.make_core({.seed = 9});
  CHECK(core->backend_kind() == Backend::simulated);
  CHECK(core->run(publish(*core, 10)) == 10);
  CHECK(core->now_ns() >= 10'000'000);
  CHECK(checker.images == 200);
  // The order of syncs is what keeps the promise: without them the cuts must find it broken.
  if (lying) {
    CHECK(checker.broken > 0);
  } else {
    CHECK(checker.broken == 0);
  }
}

TEST_CASE("sim core: a core whose power is cut comes to an end, and its disk starts again from a crash image") {
  SimDisk disk;
  prepare_db(disk);
  struct CutAt {
    SimDisk& disk;
    static void check(void* context, const SimStep& step) {
      if (step.index == 17) static_cast<CutAt*>(context)->disk.cut_power();
    }
  } cut{disk};
  disk.on_step(&CutAt::check, &cut);
  std::unique_ptr<Core> core = disk.make_core();
  CHECK(core->run(publish(*core, 10)) == 4);
  core.reset();
  SimDisk after = disk.crash_image(PowerCutPolicy::none, 1);
  std::unique_ptr<Core> next = after.make_core();
  CHECK(next->run(recover(*next)) == 4);
}

// Writes a pattern through the published device, syncs, and reads it back in one go.
Task<Status> round_trip(Core& core) {
  Result<std::unique_ptr<BlockDevice>> opened = co_await FileBlockDevice::open(core, "db", {.create = true});
  if (!opened) co_return opened.error();
  BlockDevice& device = **opened;
  alignas(4096) static char data[16 * 4096];
  Status status = co_await device.resize(sizeof data);
  for (std::size_t i = 0; i < 16 && status; ++i) {
    std::fill_n(data + i * 4096, 4096, static_cast<char>('a' + i));
    status = co_await device.write(i * 4096, data + i * 4096, 4096);
  }
  if (!status) co_return status;
  status = co_await device.sync();
  if (!status) co_return status;
  status = co_await device.read(0, data, sizeof data);
  for (std::size_t i = 0; i < sizeof data && status; ++i) {
    if (data[i] != static_cast<char>('a' + i / 4096)) status = Error(Errc::corruption, "not what was written");
  }
  co_return status;
}

TEST_CASE("sim core: a file device moves everything in spite of short transfers and retries") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    SimDisk disk;
    SimOptions options = SimOptions::drawn(seed);
    options.short_chance = 0.3;
    options.retry_chance = 0.3;
    std::unique_ptr<Core> core = disk.make_core(options);
    const Status status = core->run(round_trip(*core));
    INFO(status.error().message());
    REQUIRE(status);
    REQUIRE(disk.pending_sectors() == 0);
    REQUIRE(disk.crash_image(PowerCutPolicy::none, 0).peek("db", 15 * 4096, 1) == "p");
  }
}

TEST_CASE("sim core: a file device reports what a planned fault did") {
  SimDisk disk;
  disk.plan({.error = ENOSPC, .kind = IoKind::resize});
  std::unique_ptr<Core> core = disk.make_core();
  CHECK(core->run(round_trip(*core)).code() == Errc::no_space);
}

}  // namespace
}  // namespace cambium
