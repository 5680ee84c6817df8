// SPDX-License-Identifier: MIT OR Apache-2.0
//
// One behaviour, whatever the backend: the same tests over io_uring and over threads, through FileBlockDevice and
// down at the seam.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/core.h>
#include <cambium/rt/when_all.h>

#include "rt/buffer_arena.h"
#include "rt/io_backend.h"
#include "runtime/rt/core_fixture.h"

namespace cambium {
namespace {

using rt::BufferArena;
using rt::IoKind;
using rt::IoRequest;
using test::make_core;
using test::TempDirectory;

constexpr std::uint32_t kPage = 4096;

using Body = Task<void> (*)(Core&, TempDirectory&);

void run_on(Backend backend, Body body, CoreOptions options = {}) {
  CAPTURE(std::string(to_string(backend)));
  const std::unique_ptr<Core> core = make_core(backend, options);
  if (core == nullptr) return;
  TempDirectory directory;
  core->run(body(*core, directory));
}

Task<std::unique_ptr<BlockDevice>> open_device(Core& core, std::string path, FileOptions options) {
  Result<std::unique_ptr<BlockDevice>> device = co_await FileBlockDevice::open(core, path, options);
  if (!device) FAIL_CHECK(std::string(device.error().message()));
  co_return std::move(*device);
}

void fill(char* page, std::uint64_t seed) { std::memset(page, static_cast<int>('a' + seed % 26), kPage); }

bool filled(const char* page, std::uint64_t seed) {
  for (std::uint32_t i = 0; i < kPage; ++i) {
    if (page[i] != static_cast<char>('a' + seed % 26)) return false;
  }
  return true;
}

std::uint64_t blocks_on_disk(const std::string& path) {
  struct stat status = {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return static_cast<std::uint64_t>(status.st_blocks);
}

// ---------------------------------------------------------------------------------------------- transfers

Task<void> write_sync_read(Core& core, TempDirectory& directory) {
  BufferArena arena = *BufferArena::create(core, 16 * kPage);
  auto device = co_await open_device(core, directory.file("data"), {.create = true});
  fill(arena.data(), 1);
  Status status = co_await device->resize(8 * kPage);
  CHECK(status);
  CHECK(device->size_bytes() == 8 * kPage);
  status = co_await device->write(2 * kPage, arena.data(), kPage);
  CHECK(status);
  status = co_await device->sync();
  CHECK(status);
  status = co_await device->read(2 * kPage, arena.data() + kPage, kPage);
  CHECK(status);
  CHECK(filled(arena.data() + kPage, 1));
  const CoreStats stats = core.stats();
  CHECK(stats.reads == 1);
  CHECK(stats.writes == 1);
  CHECK(stats.syncs == 1);
  CHECK(stats.bytes_read == kPage);
  CHECK(stats.bytes_written == kPage);
}

TEST_CASE("backends: what was written is read back") {
  run_on(GENERATE(Backend::uring, Backend::threads), &write_sync_read);
}

Task<void> durable_write(Core& core, TempDirectory& directory) {
  BufferArena arena = *BufferArena::create(core, 2 * kPage);
  auto device = co_await open_device(core, directory.file("data"), {.create = true});
  fill(arena.data(), 7);
  DeviceRequest request;
  request.io = {.kind = IoKind::write, .durable = true, .bytes = kPage, .offset = 0, .data = arena.data()};
  static bool done = false;
  done = false;
  request.done = [](DeviceRequest&) noexcept { done = true; };
  device->submit(request);
  CHECK(!done);  // never inline
  while (!done) co_await core.sleep_ns(100'000);
  CHECK(request.error == 0);
  CHECK(request.moved == kPage);
  CHECK(device->size_bytes() == kPage);
  const Status status = co_await device->read(0, arena.data() + kPage, kPage);
  CHECK(status);
  CHECK(filled(arena.data() + kPage, 7));
}

TEST_CASE("backends: a durable write (RWF_DSYNC) completes at full length") {
  run_on(GENERATE(Backend::uring, Backend::threads), &durable_write);
}

Task<void> fixed_buffers(Core& core, TempDirectory& directory) {
  BufferArena arena = *BufferArena::create(core, 4 * kPage);
  auto device = co_await open_device(core, directory.file("data"), {.create = true});
  fill(arena.data(), 3);
  Status status = co_await device->write(0, arena.data(), kPage, arena.index_of(arena.data(), kPage));
  CHECK(status);
  char* const second = arena.data() + kPage;
  status = co_await device->read(0, second, kPage, arena.index_of(second, kPage));
  CHECK(status);
  CHECK(filled(second, 3));
  const CoreStats stats = core.stats();
  if (core.backend_kind() == Backend::uring && arena.registered()) {
    CHECK(stats.reads_fixed == 1);
    CHECK(stats.writes_fixed == 1);
  } else {
    CHECK(arena.index_of(second, kPage) == -1);
    CHECK(stats.reads_fixed == 0);
  }
  CHECK(stats.reads == 1);
}

TEST_CASE("backends: registered buffers are used where they are registered, and counted") {
  run_on(GENERATE(Backend::uring, Backend::threads), &fixed_buffers);
}

TEST_CASE("backends: a wrong buffer index would fail, so READ_FIXED is what really runs") {
  const std::unique_ptr<Core> core = make_core(Backend::uring);
  if (core == nullptr) return;
  TempDirectory directory;
  static BufferArena* outside;
  BufferArena arena = *BufferArena::create(*core, 4 * kPage);
  BufferArena other = *BufferArena::create(*core, 4 * kPage);
  if (!arena.registered()) return;
  outside = &other;
  struct Run {
    static Task<void> body(Core& c, TempDirectory& d, BufferArena& a) {
      auto device = co_await open_device(c, d.file("data"), {.create = true});
      // The index of one buffer with memory of another: the kernel refuses it.
      const Status status = co_await device->write(0, outside->data(), kPage, a.index_of(a.data(), kPage));
      CHECK(status.code() == Errc::io);
    }
  };
  core->run(Run::body(*core, directory, arena));
}

TEST_CASE("backends: an arena registers again and again, and slots are given back") {
  const std::unique_ptr<Core> core = make_core(Backend::uring);
  if (core == nullptr) return;
  for (int i = 0; i < 5000; ++i) {  // more than there are slots
    const BufferArena arena = *BufferArena::create(*core, kPage);
    CHECK(arena.registered() == (core->backend_note().find("registered buffers") == std::string_view::npos));
  }
}

Task<void> end_of_file(Core& core, TempDirectory& directory) {
  BufferArena arena = *BufferArena::create(core, 16 * kPage);
  auto device = co_await open_device(core, directory.file("data"), {.create = true});
  fill(arena.data(), 0);
  Status status = co_await device->write(0, arena.data(), kPage);
  CHECK(status);
  status = co_await device->read(8 * kPage, arena.data(), kPage);
  CHECK(status.code() == Errc::io);
  INFO(std::string(status.error().message()));
  CHECK(status.error().message().find("read of 4096 bytes at offset 32768 of ") != std::string_view::npos);
  CHECK(status.error().message().find("unexpected end after 0 bytes") != std::string_view::npos);

  // Starts inside, ends outside: the first part moves, then the end shows.
  DeviceRequest request;
  request.io = {.kind = IoKind::read, .bytes = 3 * kPage, .offset = 0, .data = arena.data()};
  static bool done = false;
  done = false;
  request.done = [](DeviceRequest&) noexcept { done = true; };
  device->submit(request);
  while (!done) co_await core.sleep_ns(100'000);
  CHECK(request.error == -EIO);
  CHECK(request.ended);
  CHECK(request.moved == kPage);
  CHECK(request.io.offset == 0);  // as it was filled in
  CHECK(request.io.bytes == 3 * kPage);
  CHECK(request.io.data == arena.data());
}

TEST_CASE("backends: a read beyond the end fails with an unexpected end") {
  run_on(GENERATE(Backend::uring, Backend::threads), &end_of_file);
}

Task<void> odd_tail(Core& core, TempDirectory& directory) {
  const std::string path = directory.file("data");
  BufferArena arena = *BufferArena::create(core, 2 * kPage);
  {
    auto device = co_await open_device(core, path, {.create = true});
    const Status status = co_await device->write(0, arena.data(), kPage);
    CHECK(status);
  }
  CHECK(::truncate(path.c_str(), 100) == 0);
  auto device = co_await open_device(core, path, {});
  const Status status = co_await device->read(0, arena.data(), kPage);
  CHECK(status.code() == Errc::io);  // and it ends: a bounded number of attempts
}

TEST_CASE("backends: a file cut off in the middle of a page gives an error, not an endless retry") {
  run_on(GENERATE(Backend::uring, Backend::threads), &odd_tail);
}

// ---------------------------------------------------------------------------------------------- resize, punch

Task<void> resize_and_punch(Core& core, TempDirectory& directory) {
  const std::string path = directory.file("data");
  BufferArena arena = *BufferArena::create(core, 64 * kPage);
  auto device = co_await open_device(core, path, {.create = true});
  CHECK(device->resizable());
  Status status = co_await device->resize(64 * kPage);
  CHECK(status);
  CHECK(blocks_on_disk(path) * 512 >= 64 * kPage);  // allocated, not sparse
  for (std::uint64_t i = 0; i < 64; ++i) fill(arena.data() + i * kPage, i);
  status = co_await device->write(0, arena.data(), 64 * kPage);
  CHECK(status);
  status = co_await device->sync();
  CHECK(status);

  status = co_await device->punch(8 * kPage, 32 * kPage);
  if (status.code() != Errc::unsupported) {
    CHECK(status);
    CHECK(blocks_on_disk(path) * 512 <= 33 * kPage);
    CHECK(device->size_bytes() == 64 * kPage);
    status = co_await device->read(9 * kPage, arena.data(), kPage);
    CHECK(status);
    CHECK(std::string_view(arena.data(), kPage).find_first_not_of('\0') == std::string_view::npos);
    status = co_await device->read(7 * kPage, arena.data(), kPage);
    CHECK(status);
    CHECK(filled(arena.data(), 7));
  }

  status = co_await device->resize(4 * kPage);
  CHECK(status);
  CHECK(device->size_bytes() == 4 * kPage);
  status = co_await device->resize(4 * kPage);  // to the size it has
  CHECK(status);
  struct stat on_disk = {};
  CHECK(::stat(path.c_str(), &on_disk) == 0);
  CHECK(on_disk.st_size == 4 * kPage);
  status = co_await device->read(3 * kPage, arena.data(), kPage);
  CHECK(status);
  CHECK(filled(arena.data(), 3));
}

TEST_CASE("backends: growing allocates, shrinking cuts, punching gives space back and reads as zeros") {
  run_on(GENERATE(Backend::uring, Backend::threads), &resize_and_punch);
}

Task<void> too_large(Core& core, TempDirectory& directory) {
  auto device = co_await open_device(core, directory.file("data"), {.create = true});
  const Status status = co_await device->resize(std::uint64_t{1} << 61);
  CHECK(status.code() == Errc::no_space);
  CHECK(device->size_bytes() == 0);
  CHECK(status.error().message().find("resize to 2305843009213693952 bytes of ") == 0);
}

TEST_CASE("backends: growing beyond what the file system holds says so and changes nothing") {
  run_on(GENERATE(Backend::uring, Backend::threads), &too_large);
}

// ---------------------------------------------------------------------------------------------- many

struct Many {
  std::vector<DeviceRequest> requests;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
};
Many* many = nullptr;

Task<void> ten_thousand(Core& core, TempDirectory& directory) {
  constexpr std::size_t kCount = 10'000;
  constexpr std::size_t kPages = 64;
  BufferArena arena = *BufferArena::create(core, (kPages + kCount) * kPage);
  auto device = co_await open_device(core, directory.file("data"), {.create = true});
  for (std::uint64_t i = 0; i < kPages; ++i) fill(arena.data() + i * kPage, i);
  Status status = co_await device->write(0, arena.data(), kPages * kPage);
  CHECK(status);

  Many all;
  many = &all;
  all.requests.resize(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    DeviceRequest& request = all.requests[i];
    char* const data = arena.data() + (kPages + i) * kPage;
    request.io = {.kind = IoKind::read,
                  .buffer_index = arena.index_of(data, kPage),
                  .bytes = kPage,
                  .offset = (i * 7 % kPages) * kPage,
                  .data = data};
    request.done = [](DeviceRequest& r) noexcept {
      ++many->completed;
      if (r.error != 0) ++many->failed;
    };
    device->submit(request);
  }
  CHECK(core.backend().in_flight() == kCount);
  CHECK(all.completed == 0);
  while (all.completed != kCount) co_await core.sleep_ns(200'000);
  CHECK(all.failed == 0);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (!filled(arena.data() + (kPages + i) * kPage, i * 7 % kPages)) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(core.backend().in_flight() == 0);
}

TEST_CASE("backends: 10,000 requests in flight, far more than any queue holds") {
  const Backend backend = GENERATE(Backend::uring, Backend::threads);
  const unsigned depth = GENERATE(1u, 256u);
  CAPTURE(depth);
  run_on(backend, &ten_thousand, {.queue_depth = depth});
}

// ---------------------------------------------------------------------------------------------- cancel

struct Seam {
  static inline int completed = 0;
  static inline std::int32_t result[2048] = {};
  static void complete(IoRequest& request) noexcept { result[completed++] = request.result; }
};

Task<void> cancel_all(Core& core, TempDirectory& directory) {
  constexpr int kCount = 2000;
  rt::IoBackend& backend = core.backend();
  Result<rt::OpenedFile> file = backend.open_file({.path = directory.file("data"), .create = true});
  REQUIRE(file);
  BufferArena arena = *BufferArena::create(core, kCount * kPage);
  std::vector<IoRequest> requests(kCount);
  Seam::completed = 0;
  for (int i = 0; i < kCount; ++i) {
    const auto at = static_cast<std::uint64_t>(i) * kPage;
    requests[static_cast<std::size_t>(i)] = {.kind = IoKind::write,
                                             .file = file->file,
                                             .bytes = kPage,
                                             .offset = at,
                                             .data = arena.data() + at,
                                             .complete = &Seam::complete};
    backend.submit(requests[static_cast<std::size_t>(i)]);
  }
  for (IoRequest& request : requests) backend.cancel(request);
  CHECK(Seam::completed == 0);  // not inline
  while (backend.in_flight() != 0) co_await core.sleep_ns(100'000);
  CHECK(Seam::completed == kCount);  // each exactly once
  int cancelled = 0;
  int other = 0;
  for (int i = 0; i < kCount; ++i) {
    if (Seam::result[i] == -ECANCELED) ++cancelled;
    if (Seam::result[i] != -ECANCELED && Seam::result[i] != static_cast<int>(kPage)) ++other;
  }
  CHECK(other == 0);
  CHECK(cancelled > 0);  // those that had not started
  backend.close_file(file->file);
}

TEST_CASE("backends: a cancelled request completes exactly once, cancelled or with its result") {
  run_on(GENERATE(Backend::uring, Backend::threads), &cancel_all, {.queue_depth = 64});
}

// ---------------------------------------------------------------------------------------------- many files

Task<void> hundred_files(Core& core, TempDirectory& directory) {
  constexpr std::uint64_t kFiles = 100;  // more than are registered
  BufferArena arena = *BufferArena::create(core, 2 * kPage);
  std::vector<std::unique_ptr<BlockDevice>> devices;
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    auto device = co_await open_device(core, directory.file(std::to_string(i)), {.create = true});
    fill(arena.data(), i);
    const Status status = co_await device->write(0, arena.data(), kPage);
    CHECK(status);
    devices.push_back(std::move(device));
  }
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    const Status status = co_await devices[i]->read(0, arena.data(), kPage);
    CHECK(status);
    CHECK(filled(arena.data(), i));
  }
  devices[5].reset();  // its handle is used again
  devices[5] = co_await open_device(core, directory.file("5"), {});
  const Status status = co_await devices[5]->read(0, arena.data(), kPage);
  CHECK(status);
  CHECK(filled(arena.data(), 5));
}

TEST_CASE("backends: more files than the ring registers, and handles that are used again") {
  run_on(GENERATE(Backend::uring, Backend::threads), &hundred_files);
}

}  // namespace
}  // namespace cambium
