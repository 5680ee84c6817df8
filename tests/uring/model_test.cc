// SPDX-License-Identifier: MIT OR Apache-2.0
// The model test on a real file, through io_uring or threads.
#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include "runtime/rt/core_fixture.h"
#include "support/figures.h"
#include "support/model_driver.h"
#include "support/seed.h"
#include "support/skip.h"
#include "uring/ring_fixture.h"

namespace cambium::test {
namespace {

// Runs the model on a file of its own, and says what it has done.
ModelReport run_on_a_file(Core& core, ModelSetup setup, const char* what, std::uint64_t cache_pages) {
  const TempDirectory directory;
  const std::string path = directory.file("model.cambium");
  setup.options.path = path;
  setup.flush_every = 600;  // syncs are real here
  ModelReport report;
  const Status done = core.run(run_model(core, setup, report));
  core.drain();
  INFO("replay: " << replay_command("test_uring", setup.seed));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(core.spawned() == 0);
  print_report(what, cache_pages, report);
  report_figure("model operations", report.operations);
  return report;
}

// Every write of a third of it waits for the device: fewer of them.
TEST_CASE("model: random operations on a real file with a log in every mode agree with a map", "[S09][F05][R03]") {
  const std::unique_ptr<Core> core = make_core(Backend::uring);
  if (core == nullptr) CAMBIUM_SKIP("io_uring is refused here");
  ModelSetup setup = model_setup(test_seed(77), 256, number_from_environment("CAMBIUM_MODEL_OPERATIONS", 134'000) / 10);
  setup.reopen_every = 800;
  setup.check_every = 3'000;
  setup.draw_log = true;
  const ModelReport report = run_on_a_file(*core, setup, "uring, with a log", 256);
  CHECK((report.recoveries > 0 || report.reopens < 16));  // each is left or closed by the toss of a coin
}

TEST_CASE("model: random operations on a real file agree with a map", "[S10][S18][S19][S20][S21][F02][F03]") {
  const std::unique_ptr<Core> core = make_core(device_backend());
  if (core == nullptr) CAMBIUM_SKIP("io_uring is refused here");
  const std::uint64_t cache_pages = GENERATE(std::uint64_t{16}, std::uint64_t{256}, std::uint64_t{4096});
  CAPTURE(cache_pages);
  const std::uint64_t operations = number_from_environment("CAMBIUM_MODEL_OPERATIONS", 134'000);
  ModelSetup setup = model_setup(test_seed(1000 + cache_pages), cache_pages, operations);
  setup.reopen_every = 10'000;
  setup.check_every = 5'000;
  run_on_a_file(*core, setup, core->backend_kind() == Backend::uring ? "uring" : "threads", cache_pages);
}

}  // namespace
}  // namespace cambium::test
