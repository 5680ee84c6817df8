// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Opening, locking and refusing; and the retries, over a backend that answers as it is told.
#include <cambium/rt/block_device.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "rt/buffer_arena.h"
#include "rt/io_backend.h"
#include "rt/request_list.h"
#include "runtime/rt/core_fixture.h"
#include "support/child_exit.h"

namespace cambium {
namespace {

using rt::BufferArena;
using rt::IoKind;
using rt::IoRequest;
using test::make_core;
using test::TempDirectory;

Task<Result<std::unique_ptr<BlockDevice>>> try_open(Core& core, std::string path, FileOptions options) {
  Result<std::unique_ptr<BlockDevice>> device = co_await FileBlockDevice::open(core, path, options);
  co_return device;
}

Result<std::unique_ptr<BlockDevice>> open(Core& core, const std::string& path, FileOptions options = {}) {
  options.lock_wait_ms = 30;
  return core.run(try_open(core, path, options));
}

// Runs `body` in a child; its value is the exit status.
template <class BodyT>
int status_in_child(BodyT body) {
  const pid_t child = ::fork();
  if (child == 0) test::exit_child(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// ---------------------------------------------------------------------------------------------- what is refused

void expect_error(const Result<std::unique_ptr<BlockDevice>>& device, Errc code, const std::string& text) {
  REQUIRE(!device.has_value());
  const std::string message(device.error().message());
  CAPTURE(message);
  CHECK(device.code() == code);
  CHECK(message.find(text) != std::string::npos);
  CHECK(!device.error().hint().empty());
}

TEST_CASE("file device: each kind of refusal has its code, names the path, and hints at the remedy") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  const TempDirectory directory;
  const std::string file = directory.file("data");

  expect_error(open(*core, file), Errc::not_found, "cannot open " + file + ": No such file or directory");
  expect_error(open(*core, directory.file("none/data"), {.create = true}), Errc::not_found, "cannot create ");
  CHECK(open(*core, file, {.create = true}));
  expect_error(open(*core, file, {.create = true}), Errc::exists, "File exists");
  expect_error(open(*core, file + "/below"), Errc::not_found, "Not a directory");
  expect_error(open(*core, directory.file("")), Errc::unsupported, "it is a directory");
  expect_error(open(*core, ""), Errc::invalid_argument, "without a path");
  expect_error(open(*core, std::string("a\0b", 3)), Errc::invalid_argument, "without a path");
  expect_error(open(*core, directory.file(std::string(300, 'x'))), Errc::invalid_argument, "too long");
  expect_error(open(*core, "/dev/null"), Errc::unsupported, "it is a character device");

  const std::string pipe = directory.file("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  expect_error(open(*core, pipe), Errc::unsupported, "it is a pipe");  // and does not wait for a writer

  const std::string link = directory.file("link");
  REQUIRE(::symlink(directory.file("").c_str(), link.c_str()) == 0);
  expect_error(open(*core, link), Errc::unsupported, "it is a directory");
  const std::string good_link = directory.file("good-link");
  REQUIRE(::symlink(file.c_str(), good_link.c_str()) == 0);
  CHECK(open(*core, good_link));

  const std::string loop = directory.file("loop");
  REQUIRE(::symlink(loop.c_str(), loop.c_str()) == 0);
  expect_error(open(*core, loop), Errc::invalid_argument, "symbolic links");
  CHECK(core->backend().in_flight() == 0);
}

TEST_CASE("file device: a socket is refused with what would do instead") {
  const TempDirectory directory;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = directory.file("socket");
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const auto core = make_core(Backend::threads);
  expect_error(open(*core, path), Errc::unsupported, "cannot open " + path);
  ::close(socket);
}

TEST_CASE("file device: a program that runs is busy, and can be opened when it has ended") {
  const TempDirectory directory;
  const std::string program = directory.file("sleep");
  std::filesystem::copy_file("/bin/sleep", program);
  int started[2];
  REQUIRE(::pipe2(started, O_CLOEXEC) == 0);  // its other end closes when the program has been started
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(program.c_str(), "sleep", "100", nullptr);
    ::_exit(1);
  }
  ::close(started[1]);
  char byte = 0;
  REQUIRE(::read(started[0], &byte, 1) == 0);
  ::close(started[0]);
  const auto core = make_core(Backend::threads);
  expect_error(open(*core, program), Errc::busy, "cannot open " + program);
  ::kill(child, SIGKILL);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(open(*core, program));
}

TEST_CASE("file device: a file without permissions is refused with a hint") {
  const TempDirectory directory;
  const std::string file = directory.file("data");
  const int fd = ::open(file.c_str(), O_CREAT | O_WRONLY, 0);
  REQUIRE(fd >= 0);
  ::close(fd);
  REQUIRE(::chmod(directory.file("").c_str(), 0755) == 0);
  const int status = status_in_child([&file] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 20;  // root may read everything
    const auto core = make_core(Backend::threads);
    const Result<std::unique_ptr<BlockDevice>> device = open(*core, file);
    return device.code() == Errc::io && device.error().hint().find("permissions") != std::string_view::npos ? 0 : 1;
  });
  CHECK(status == 0);
}

// ---------------------------------------------------------------------------------------------- locks

// A child that holds the lock of a file until it is told to let go, or for some time.
class Holder {
 public:
  explicit Holder(const std::string& path, unsigned hold_ms = 100'000) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
      static_cast<void>(!(fd >= 0 && ::flock(fd, LOCK_EX) == 0 && ::write(ready[1], "x", 1) == 1));
      ::usleep(hold_ms * 1000);
      ::_exit(0);
    }
    ::close(ready[1]);
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

TEST_CASE("file device: a file locked by another process is busy, and the message names that process") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  const TempDirectory directory;
  const std::string file = directory.file("data");
  const Holder holder(file);
  expect_error(open(*core, file), Errc::busy, file + " is locked by process " + std::to_string(holder.pid()));
  expect_error(open(*core, file, {.read_only = true}), Errc::busy, " is locked by process ");
}

TEST_CASE("file device: a lock that is released in time is waited for") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  const TempDirectory directory;
  const std::string file = directory.file("data");
  const Holder holder(file, 60);
  const std::int64_t start = core->now_ns();
  const Result<std::unique_ptr<BlockDevice>> device = core->run(try_open(*core, file, {.lock_wait_ms = 5000}));
  CHECK(device);
  CHECK(core->now_ns() - start < 2'000'000'000);
}

TEST_CASE("file device: opened twice by one process it is busy, shared read-only it is not, and closing unlocks") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  const TempDirectory directory;
  const std::string file = directory.file("data");
  {
    const Result<std::unique_ptr<BlockDevice>> first = open(*core, file, {.create = true});
    REQUIRE(first);
    expect_error(open(*core, file), Errc::busy, " is locked by this process");
  }
  Result<std::unique_ptr<BlockDevice>> reader = open(*core, file, {.read_only = true});
  REQUIRE(reader);
  CHECK(open(*core, file, {.read_only = true}));
  CHECK(open(*core, file).code() == Errc::busy);
  CHECK(!(*reader)->resizable());
}

// ---------------------------------------------------------------------------------------------- what it finds

Task<void> use_buffered(Core& core, std::string path, bool direct) {
  Result<std::unique_ptr<BlockDevice>> opened =
      co_await FileBlockDevice::open(core, path, {.create = true, .direct = direct});
  CHECK(opened);
  if (!opened) co_return;
  BlockDevice& device = **opened;
  CHECK(!device.direct());
  CHECK(device.alignment() == 1);
  CHECK(device.name() == path);
  std::string text = "odd";  // anywhere, any length: it goes through the page cache
  Status status = co_await device.write(5, text.data(), 3);
  CHECK(status);
  std::string back(3, '\0');
  status = co_await device.read(5, back.data(), 3);
  CHECK(status);
  CHECK(back == "odd");
  CHECK(device.size_bytes() == 8);
}

TEST_CASE("file device: without O_DIRECT, or where the file system has none, it is buffered") {
  const auto core = make_core(GENERATE(Backend::uring, Backend::threads));
  if (core == nullptr) return;
  const TempDirectory directory;
  core->run(use_buffered(*core, directory.file("data"), false));
  struct statfs system = {};
  if (::statfs("/dev/shm", &system) != 0 || system.f_type != TMPFS_MAGIC) {
    WARN("no tmpfs at /dev/shm: that part is skipped");
    return;
  }
  const TempDirectory memory("/dev/shm");
  core->run(use_buffered(*core, memory.file("data"), true));
}

TEST_CASE("file device: direct I/O says what alignment it needs") {
  const auto core = make_core(Backend::threads);
  const TempDirectory directory;
  Result<std::unique_ptr<BlockDevice>> device = open(*core, directory.file("data"), {.create = true});
  REQUIRE(device);
  CHECK((*device)->size_bytes() == 0);
  if (!(*device)->direct()) return;
  CHECK((*device)->alignment() >= 512);
  CHECK(4096 % (*device)->alignment() == 0);
}

// ---------------------------------------------------------------------------------------------- refused resources

Task<int> works_unregistered(Core& core, std::string path) {
  Result<BufferArena> arena = BufferArena::create(core, std::size_t{16} << 20);
  if (!arena) co_return 10;
  if (arena->registered()) co_return 11;
  if (arena->index_of(arena->data(), 4096) != -1) co_return 12;
  if (core.backend_note().find("registered buffers") == std::string_view::npos) co_return 13;
  if (core.backend_note().find("ulimit -l") == std::string_view::npos) co_return 14;
  Result<std::unique_ptr<BlockDevice>> device = co_await FileBlockDevice::open(core, path, {.create = true});
  if (!device) co_return 15;
  std::memset(arena->data(), 'x', 4096);
  Status status = co_await (*device)->write(0, arena->data(), 4096, arena->index_of(arena->data(), 4096));
  if (!status) co_return 16;
  status = co_await (*device)->read(0, arena->data() + 4096, 4096, -1);
  if (!status || arena->data()[4096 + 4095] != 'x') co_return 17;
  co_return core.stats().reads_fixed == 0 ? 0 : 18;
}

TEST_CASE("file device: where memlock forbids registered buffers, everything works without, and note() says why") {
  if (make_core(Backend::uring) == nullptr) return;
  const TempDirectory directory;
  REQUIRE(::chmod(directory.file("").c_str(), 0777) == 0);
  const int status = status_in_child([&directory] {
    const rlimit little{.rlim_cur = 65536, .rlim_max = 65536};
    if (::setrlimit(RLIMIT_MEMLOCK, &little) != 0) return 20;
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 21;  // root is exempt from the limit
    Result<std::unique_ptr<Core>> core = Core::create({.backend = Backend::uring});
    if (!core) return 22;
    return (*core)->run(works_unregistered(**core, directory.file("data")));
  });
  CHECK(status == 0);
}

// What the default seccomp profile of containers does.
bool forbid_io_uring() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_CASE("core: where io_uring is forbidden, `automatic` takes threads and says why, `uring` is an error") {
  const int status = status_in_child([] {
    if (!forbid_io_uring()) return 20;
    static_cast<void>(::unsetenv("CAMBIUM_BACKEND"));
    Result<std::unique_ptr<Core>> automatic = Core::create();
    if (!automatic || (*automatic)->backend_kind() != Backend::threads) return 21;
    const std::string note((*automatic)->backend_note());
    if (note.find("io_uring is refused: Operation not permitted") == std::string::npos) return 22;
    if (note.find("seccomp") == std::string::npos) return 23;
    return Core::create({.backend = Backend::uring}).code() == Errc::unsupported ? 0 : 24;
  });
  CHECK(status == 0);
}

// ---------------------------------------------------------------------------------------------- retries

// Answers requests with the results it is given, then at full length; and keeps what it was asked.
class ScriptedBackend final : public rt::IoBackend {
 public:
  struct Asked {
    std::uint64_t offset;
    std::uint32_t bytes;
  };
  std::vector<std::int32_t> script;
  std::int32_t last = 0;  // what follows the script; 0: full length
  bool ends = false;      // instead of full length: 0 bytes
  std::vector<Asked> asked;
  unsigned alignment = 512;

  void submit(IoRequest& request) noexcept override {
    asked.push_back({request.offset, request.bytes});
    pending_.push_back(request);
    ++in_flight_;
  }
  void cancel(IoRequest&) noexcept override {}
  std::size_t reap() noexcept override {
    rt::RequestList now = pending_.take();
    std::size_t ran = 0;
    while (IoRequest* const request = now.pop_front()) {
      --in_flight_;
      request->result = next(*request);
      request->complete(*request);
      ++ran;
    }
    return ran;
  }
  void wait(std::int64_t) noexcept override {}
  void wake() noexcept override {}
  std::int64_t now_ns() const noexcept override { return 1; }
  int fd() const noexcept override { return -1; }
  std::size_t in_flight() const noexcept override { return in_flight_; }
  Result<rt::OpenedFile> open_file(const rt::FileSpec&) override {
    return rt::OpenedFile{.file = 3, .size_bytes = 1 << 20, .alignment = alignment, .direct = true, .resizable = true};
  }
  void close_file(std::int32_t) noexcept override {}
  std::int32_t register_buffer(char*, std::size_t) noexcept override { return -1; }
  void unregister_buffer(std::int32_t) noexcept override {}
  Backend kind() const noexcept override { return Backend::threads; }
  std::string_view note() const noexcept override { return {}; }
  void add_stats(CoreStats&) const noexcept override {}

 private:
  std::int32_t next(const IoRequest& request) {
    if (used_ < script.size()) return script[used_++];
    if (last != 0) return last;
    if (ends) return 0;
    return request.kind == IoKind::read || request.kind == IoKind::write ? static_cast<std::int32_t>(request.bytes) : 0;
  }
  rt::RequestList pending_;
  std::size_t in_flight_ = 0;
  std::size_t used_ = 0;
};

class Scripted {
 public:
  Scripted() {
    auto backend = std::make_unique<ScriptedBackend>();
    script = backend.get();
    core = Core::over(std::move(backend));
  }
  // One request of 4096 bytes at offset 8192.
  Status run(IoKind kind) { return core->run(body(*core, kind)); }

  ScriptedBackend* script;
  std::unique_ptr<Core> core;

 private:
  static Task<Status> body(Core& c, IoKind kind) {
    alignas(4096) static char buffer[4096];
    Result<std::unique_ptr<BlockDevice>> device = co_await FileBlockDevice::open(c, "data.cambium", {});
    if (kind == IoKind::read) co_return co_await (*device)->read(8192, buffer, 4096);
    if (kind == IoKind::write) co_return co_await (*device)->write(8192, buffer, 4096);
    if (kind == IoKind::sync) co_return co_await (*device)->sync();
    if (kind == IoKind::resize) co_return co_await (*device)->resize(1 << 21);
    co_return co_await (*device)->punch(8192, 4096);
  }
};

TEST_CASE("file device: a short transfer goes on where it stopped") {
  Scripted scripted;
  scripted.script->script = {1024, 512, 2048};
  CHECK(scripted.run(GENERATE(IoKind::read, IoKind::write)));
  const auto& asked = scripted.script->asked;
  REQUIRE(asked.size() == 4);
  CHECK(asked[1].offset == 8192 + 1024);
  CHECK(asked[1].bytes == 3072);
  CHECK(asked[2].offset == 8192 + 1536);
  CHECK(asked[3].offset == 8192 + 3584);
  CHECK(asked[3].bytes == 512);
}

TEST_CASE("file device: a short direct transfer goes on at an aligned place") {
  Scripted scripted;
  scripted.script->script = {1000, 100, -EINTR};
  CHECK(scripted.run(IoKind::read));
  const auto& asked = scripted.script->asked;
  REQUIRE(asked.size() == 4);
  CHECK(asked[1].offset == 8192 + 512);
  CHECK(asked[2].offset == 8192 + 512);  // 100 bytes are nothing to go on from
  CHECK(asked[3].bytes == 4096 - 512);
}

TEST_CASE("file device: EINTR and EAGAIN are retried, 100 times and no more") {
  const std::int32_t error = GENERATE(-EINTR, -EAGAIN);
  const IoKind kind = GENERATE(IoKind::read, IoKind::write, IoKind::sync, IoKind::resize, IoKind::punch);
  Scripted patient;
  patient.script->script.assign(100, error);
  CHECK(patient.run(kind));
  CHECK(patient.script->asked.size() == 101);
  Scripted hopeless;
  hopeless.script->last = error;
  CHECK(hopeless.run(kind).code() == Errc::io);
  CHECK(hopeless.script->asked.size() == 101);
}

TEST_CASE("file device: 0 bytes is an unexpected end, at once") {
  Scripted scripted;
  scripted.script->script = {512};
  scripted.script->ends = true;
  const Status status = scripted.run(GENERATE(IoKind::read, IoKind::write));
  CHECK(status.code() == Errc::io);
  CHECK(status.error().message().find(
            "4096 bytes at offset 8192 of data.cambium failed: unexpected end after 512 bytes") !=
        std::string_view::npos);
  CHECK(scripted.script->asked.size() == 2);
}

TEST_CASE("file device: errors become one code per reaction, with what, where and why") {
  struct Case {
    std::int32_t error;
    IoKind kind;
    Errc code;
    const char* text;
  };
  const Case each = GENERATE(Case{-EIO, IoKind::write, Errc::io,
                                  "write of 4096 bytes at offset 8192 of data.cambium failed: Input/output error"},
                             Case{-ENOSPC, IoKind::write, Errc::no_space,
                                  "write of 4096 bytes at offset 8192 of data.cambium failed: No space left on device"},
                             Case{-EDQUOT, IoKind::resize, Errc::no_space,
                                  "resize to 2097152 bytes of data.cambium failed: Disk quota exceeded"},
                             Case{-EIO, IoKind::sync, Errc::io, "sync of data.cambium failed: Input/output error"},
                             Case{-ECANCELED, IoKind::read, Errc::cancelled,
                                  "read of 4096 bytes at offset 8192 of data.cambium failed: Operation canceled"},
                             Case{-EOPNOTSUPP, IoKind::punch, Errc::unsupported,
                                  "punch of 4096 bytes at offset 8192 of data.cambium failed: Operation not supported"},
                             Case{-ENOMEM, IoKind::read, Errc::resource,
                                  "read of 4096 bytes at offset 8192 of data.cambium failed: Cannot allocate memory"});
  Scripted scripted;
  scripted.script->script = {each.error};
  const Status status = scripted.run(each.kind);
  CHECK(status.code() == each.code);
  CHECK(std::string(status.error().message()) == each.text);
  CHECK(scripted.script->asked.size() == 1);  // a failed sync above all is never tried again
}

}  // namespace
}  // namespace cambium
