// SPDX-License-Identifier: MIT OR Apache-2.0
// How the engine uses a real device: registered buffers, large writes, one read per long value, reading ahead.
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <cambium/partition.h>

#include "base/sanitizer.h"
#include "base/text.h"
#include "support/child_exit.h"
#include "support/kinds.h"
#include "support/skip.h"
#include "uring/ring_fixture.h"

namespace cambium::test {
namespace {

constexpr int kKeys = 20'000;

std::string key_of(int i) { return rt::str("key ", 1'000'000 + i); }

// `path` outlives the call: options only show it.
Options options_for(const std::string& path) {
  Options options;
  options.path = path;
  options.memory_bytes = 4 * MiB;  // 2 MiB of cache at most, for 4 MiB of data
  return options;
}

Task<Status> fill(Core& core, TableKind kind, const std::string& path, Stats& stats) {
  Partition db = co_await check(Partition::open(core, options_for(path)));
  const Table table = co_await check(table_of(db, kind));
  const std::string filling(180, 'f');
  for (int i = 0; i < kKeys; ++i) {
    co_await check(db.put(table, key_of(i), key_of(i) + filling));
  }
  co_await check(db.flush());
  stats = db.stats();
  Status closed = co_await db.close();
  co_return closed;
}

// ---- opening ------------------------------------------------------------------------------------------------------

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size_pages = 0;
  std::uint64_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Task<Status> open_and_close(Core& core, const std::string& path, std::uint64_t& touched_bytes) {
  Options options;
  options.path = path;
  options.memory_bytes = 256 * MiB;
  const std::uint64_t before = resident_bytes();
  Partition db = co_await check(Partition::open(core, options));
  const std::uint64_t after = resident_bytes();
  touched_bytes = after > before ? after - before : 0;
  Status closed = co_await db.close();
  co_return closed;
}

// It used to fill a dozen huge pages with zeros, for parts of the memory that a program which only looks something up
// never uses: 1.5 ms, and up to 36 in a virtual machine whose host had to find them.
TEST_CASE("device: opening touches a few pages of the memory it may use", "[S05]") {
  if (CAMBIUM_ASAN) CAMBIUM_SKIP("memory of the sanitizer's counts");
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  Stats stats;
  REQUIRE(ring.core->run(fill(*ring.core, TableKind::tree, ring.path, stats)));
  std::uint64_t touched_bytes = 0;
  REQUIRE(ring.core->run(open_and_close(*ring.core, ring.path, touched_bytes)));
  CHECK(touched_bytes < 6 * MiB);
}

// ---- registered buffers, large writes, reading ahead --------------------------------------------------------------

Task<Status> scan_all(Core& core, TableKind kind, const std::string& path, int& entries, Stats& stats) {
  Partition db = co_await check(Partition::open(core, options_for(path)));
  const Table table = co_await check(table_of(db, kind));
  {
    Scan scan = db.scan(table);
    for (;;) {
      auto page = co_await check(scan.next_page());
      if (page.empty()) break;
      entries += static_cast<int>(page.size());
    }
  }
  stats = db.stats();
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("device: pages move through registered buffers, flushes write many at once, scans read ahead",
          "[S03][S06][S25]") {
  CAMBIUM_BOTH_KINDS(kind);
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  if (!ring.core->backend_note().empty()) CAMBIUM_SKIP(ring.core->backend_note());
  if (ring.core->backend_kind() != Backend::uring) CAMBIUM_SKIP("only a ring registers buffers");
  Stats stats;
  REQUIRE(ring.core->run(fill(*ring.core, kind, ring.path, stats)));
  CHECK(stats.device_writes_fixed > 0);
  CHECK(stats.node_pages_written > 1000);
  CHECK(stats.node_pages_written >= 4 * stats.flush_writes);  // pages per write
  int entries = 0;
  REQUIRE(ring.core->run(scan_all(*ring.core, kind, ring.path, entries, stats)));
  CHECK(entries == kKeys);
  CHECK(stats.device_reads_fixed > 1000);
  CHECK(stats.prefetches > 500);
  CHECK(stats.prefetch_hits >= stats.prefetches * 9 / 10);
  CHECK(stats.prefetch_hits >= stats.page_reads / 2);
}

// ---- long values --------------------------------------------------------------------------------------------------

Task<Status> read_long_values(Core& core, TableKind kind, const std::string& path, std::vector<std::uint64_t>& reads,
                              bool& right) {
  constexpr std::size_t kSizes[] = {2000, 5000, 65'536, 1'000'000};
  {
    Partition db = co_await check(Partition::open(core, options_for(path)));
    const Table table = co_await check(table_of(db, kind));
    for (const std::size_t bytes : kSizes) {
      const std::string value(bytes, 'v');
      co_await check(db.put(table, rt::str(bytes), value));
    }
    co_await check(db.close());
  }
  Partition db = co_await check(Partition::open(core, options_for(path)));
  const Table table = co_await check(table_of(db, kind));
  right = true;
  for (const std::size_t bytes : kSizes) {  // the nodes, and filters, are cached from here on
    Value value = co_await check(db.get(table, rt::str(bytes)));
    right = right && value;
  }
  for (const std::size_t bytes : kSizes) {
    const std::uint64_t before = db.stats().device_reads;
    const std::uint64_t evictions = db.stats().page_evictions;
    Value value = co_await check(db.get(table, rt::str(bytes)));
    right = right && value && value.view() == std::string(bytes, 'v') && db.stats().page_evictions == evictions;
    reads.push_back(db.stats().device_reads - before);
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("device: a long value is one read of all its pages, past the cache", "[S13]") {
  CAMBIUM_BOTH_KINDS(kind);
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  std::vector<std::uint64_t> reads;
  bool right = false;
  REQUIRE(ring.core->run(read_long_values(*ring.core, kind, ring.path, reads, right)));
  CHECK(right);
  CHECK(reads == std::vector<std::uint64_t>{1, 1, 1, 1});
}

// ---- one thread ---------------------------------------------------------------------------------------------------

// Without the kernel's own workers ("iou-wrk-..."), which run what cannot be done without blocking, syncs above all.
int threads_of_this_process() {
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream comm(task.path() / "comm");
    std::string name;
    std::getline(comm, name);
    threads += name.starts_with("iou-") ? 0 : 1;
  }
  return threads;
}

Task<Status> many_gets(Core& core, TableKind kind, const std::string& path, int& right, int& threads) {
  constexpr int kGets = 100'000;
  Partition db = co_await check(Partition::open(core, options_for(path)));
  const Table table = co_await check(table_of(db, kind));
  std::vector<Op<Value>> gets;
  gets.reserve(kGets);
  for (int i = 0; i < kGets; ++i) gets.push_back(db.get(table, key_of(i * 7 % kKeys)));
  co_await core.yield();
  threads = threads_of_this_process();
  for (int i = 0; i < kGets; ++i) {
    Value value = co_await check(std::move(gets[static_cast<std::size_t>(i)]));
    if (value && value.view().starts_with(key_of(i * 7 % kKeys))) ++right;
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("device: 100,000 gets are in flight on one thread, with a cache far smaller than what they read", "[S18]") {
  CAMBIUM_BOTH_KINDS(kind);
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  Stats stats;
  REQUIRE(ring.core->run(fill(*ring.core, kind, ring.path, stats)));
  int right = 0;
  int threads = 0;
  const Status done = ring.core->run(many_gets(*ring.core, kind, ring.path, right, threads));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(right == 100'000);
  if (ring.core->backend_kind() == Backend::uring) CHECK(threads == 1);
}

// ---- other processes and limits -----------------------------------------------------------------------------------

// Runs `body` in a process of its own and answers its exit code, or -1 when a signal ended it.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) exit_child(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Task<Status> open_only(Core& core, const std::string& path) {
  Options options = options_for(path);
  options.lock_wait_ms = 50;
  Partition db = co_await check(Partition::open(core, options));
  Status closed = co_await db.close();
  co_return closed;
}

int open_in_this_process(const std::string& path) {
  Result<std::unique_ptr<Core>> core = Core::create({});
  if (!core) return 100;
  return static_cast<int>((*core)->run(open_only(**core, path)).code());
}

Task<Status> hold_while_another_opens(Core& core, const std::string& path, int& other) {
  Partition db = co_await check(Partition::open(core, options_for(path)));
  other = in_child([&] { return open_in_this_process(path); });
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("device: a second process is told busy while the file is open, and opens it afterwards", "[F01]") {
  const OnRing ring;
  if (!ring.core) CAMBIUM_SKIP("io_uring is refused here");
  int other = -1;
  REQUIRE(ring.core->run(hold_while_another_opens(*ring.core, ring.path, other)));
  CHECK(other == static_cast<int>(Errc::busy));
  CHECK(in_child([&] { return open_in_this_process(ring.path); }) == 0);
}

Task<Status> write_and_read(Core& core, const std::string& path, Stats& stats) {
  Stats written;
  co_await check(fill(core, TableKind::tree, path, written));
  int entries = 0;
  co_await check(scan_all(core, TableKind::tree, path, entries, stats));
  if (entries != kKeys) co_return Error(Errc::corruption, "entries are missing");
  co_return Status();
}

// What an ordinary user meets where no memory may be locked. Root is exempt from the limit.
int work_without_locked_memory(const std::string& path) {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0) return 101;
  if (::getuid() == 0 && (::setgid(65'534) != 0 || ::setuid(65'534) != 0)) return 102;
  Result<std::unique_ptr<Core>> core = Core::create({});
  if (!core) return 103;
  Stats stats;
  const Status done = (*core)->run(write_and_read(**core, path, stats));
  if (!done) return static_cast<int>(done.code());
  if (stats.device_reads == 0 || stats.device_reads_fixed != 0)
    return 104;  // the limit did not bite: nothing is tested
  return (*core)->backend_note().empty() ? 105 : 0;
}

TEST_CASE("device: an ordinary user who may lock no memory gets the same answers, and a note", "[S03]") {
  if (device_backend() != Backend::uring) CAMBIUM_SKIP("only a ring locks memory");
  const TempDirectory directory;
  const std::string path = directory.file("unlocked.cambium");
  REQUIRE(::chmod(std::filesystem::path(path).parent_path().c_str(), 0777) == 0);
  CHECK(in_child([&] { return work_without_locked_memory(path); }) == 0);
}

}  // namespace
}  // namespace cambium::test
