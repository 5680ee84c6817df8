// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cerrno>

#include <catch2/catch.hpp>

#include "rt/uring_backend.h"
#include "runtime/rt/core_fixture.h"

namespace cambium::rt {
namespace {

constexpr unsigned kAll = IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                          IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

// A kernel that knows some flags, and the rules between them.
struct Kernel {
  unsigned known;
  static int set_up(unsigned flags, void* context) {
    const auto has = [flags](unsigned flag) { return (flags & flag) != 0; };
    if ((flags & ~static_cast<Kernel*>(context)->known) != 0) return -EINVAL;
    if (has(IORING_SETUP_DEFER_TASKRUN) && !has(IORING_SETUP_SINGLE_ISSUER)) return -EINVAL;
    if (has(IORING_SETUP_TASKRUN_FLAG) && !has(IORING_SETUP_DEFER_TASKRUN) && !has(IORING_SETUP_COOP_TASKRUN))
      return -EINVAL;
    return 0;
  }
};

unsigned accepted(unsigned known) {
  Kernel kernel{known};
  return accepted_ring_flags(kAll, &Kernel::set_up, &kernel);
}

TEST_CASE("ring setup: every flag that a kernel does not know falls back alone") {
  CHECK(accepted(~0u) == kAll);
  // Linux 6.0: SINGLE_ISSUER, not yet DEFER_TASKRUN.
  CHECK(accepted(~unsigned{IORING_SETUP_DEFER_TASKRUN}) ==
        ((kAll & ~unsigned{IORING_SETUP_DEFER_TASKRUN}) | IORING_SETUP_COOP_TASKRUN));
  // Linux 5.19: the cooperative mode only.
  CHECK(
      accepted(IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG) ==
      (IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG));
  // Linux 5.18 and 5.11.
  CHECK(accepted(IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL) == (IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL));
  CHECK(accepted(IORING_SETUP_CLAMP) == IORING_SETUP_CLAMP);
  CHECK(accepted(0) == 0);
}

TEST_CASE("ring setup: a ring of this kernel says what it went without") {
  const auto core = test::make_core(Backend::uring);
  if (core == nullptr) return;
  CHECK(core->backend_kind() == Backend::uring);
  CHECK(core->fd() >= 0);
  INFO("note: " << std::string(core->backend_note()));
  CHECK((core->backend_note().empty() || core->backend_note().find("io_uring without ") == 0));
}

TEST_CASE("ring setup: many rings come and go without leaving descriptors behind") {
  if (test::make_core(Backend::uring) == nullptr) return;
  int first = -1;
  for (int i = 0; i < 100; ++i) {
    const auto core = test::make_core(Backend::uring);
    REQUIRE(core != nullptr);
    if (first == -1) first = core->fd();
    CHECK(core->fd() <= first + 8);
  }
}

}  // namespace
}  // namespace cambium::rt
