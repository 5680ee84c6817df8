// SPDX-License-Identifier: MIT OR Apache-2.0
// A sequence of calls on a partition on a simulated disk, against the model of tests/support/model_driver.h.
//
// Input      byte 0: how the disk behaves (SimOptions::drawn); byte 1: pages of cache; then the tape of operations
#include <cstdio>
#include <memory>

#include <cambium/rt/sim.h>

#include "fuzz/target.h"
#include "support/model_driver.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cambium;
  constexpr std::uint64_t kCachePages[] = {16, 32, 64, 256};
  if (size < 3) return 0;
  test::ModelSetup setup = test::model_setup(1, kCachePages[data[1] % 4], 100'000);
  setup.keys = 256;  // one byte of the tape chooses one
  setup.tape = {data + 2, size - 2};

  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core(SimOptions::drawn(data[0]));
  test::ModelReport report;
  const Status done = core->run(test::run_model(*core, setup, report));
  if (!done) std::fprintf(stderr, "%s\n", std::string(done.error().message()).c_str());
  CAMBIUM_FUZZ_REQUIRE(done.has_value(), "partition and model disagree");
  while (!core->idle()) core->poll();
  CAMBIUM_FUZZ_REQUIRE(core->spawned() == 0, "a coroutine is left behind");
  return 0;
}
