// SPDX-License-Identifier: MIT OR Apache-2.0
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>

#include "base/sanitizer.h"
#include "lib/partition/partition_fixture.h"
#include "support/skip.h"

namespace cambium {
namespace {

// While it lives, the process may map so many bytes more than it has mapped.
class AddressSpaceLimit {
 public:
  explicit AddressSpaceLimit(std::uint64_t more_bytes) {
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    REQUIRE(::getrlimit(RLIMIT_AS, &before_) == 0);
    rlimit limit = before_;
    limit.rlim_cur = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + more_bytes;
    REQUIRE(::setrlimit(RLIMIT_AS, &limit) == 0);
  }
  AddressSpaceLimit(const AddressSpaceLimit&) = delete;
  AddressSpaceLimit& operator=(const AddressSpaceLimit&) = delete;
  ~AddressSpaceLimit() { ::setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

Task<Status> open_and_close(Core& core, const Options& options) {
  Partition db = co_await check(Partition::open(core, options));
  Status closed = co_await db.close();
  co_return closed;
}

// One disk for many openings: what could not be opened is opened with more memory later.
Status open_within(SimDisk& disk, const Options& options, std::uint64_t more_bytes) {
  const std::unique_ptr<Core> core = disk.make_core({.eager = true});
  const AddressSpaceLimit limit(more_bytes);
  Status done = core->run(open_and_close(*core, options));
  core->drain();
  return done;
}

// The constructor of the write buffers used to assert.
TEST_CASE("open: memory that the system does not give is an error with the figures and a way out, wherever it ends") {
  if (CAMBIUM_ASAN) CAMBIUM_SKIP("the address space belongs to the sanitizer");
  const Options options = GENERATE(
      Options{.path = "data.cambium", .memory_bytes = 256 * MiB},
      Options{
          .path = "data.cambium", .memory_bytes = 512 * MiB, .write_buffer_bytes = 128 * MiB, .cache_bytes = 1 * MiB});
  SimDisk disk;
  unsigned refused = 0;
  unsigned opened = 0;
  for (std::uint64_t more = 8 * MiB; more <= 512 * MiB; more += 4 * MiB) {
    const Status done = open_within(disk, options, more);
    CAPTURE(more);
    if (done) {
      ++opened;
      continue;
    }
    REQUIRE(done.code() == Errc::resource);
    CHECK(std::string(done.error().message()).find("MiB") != std::string::npos);
    CHECK(std::string(done.error().hint()).find("memory_bytes") != std::string::npos);
    ++refused;
  }
  CHECK(refused > 10);
  CHECK(opened > 10);
}

TEST_CASE("open: read-only and create contradict each other, and nothing is made") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.eager = true});
  const Options options{.path = "data.cambium", .mode = OpenMode::create, .read_only = true, .memory_bytes = 2 * MiB};
  CHECK(core->run(open_and_close(*core, options)).code() == Errc::invalid_argument);
  CHECK(!disk.exists("data.cambium"));
}

}  // namespace
}  // namespace cambium
