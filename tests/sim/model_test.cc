// SPDX-License-Identifier: MIT OR Apache-2.0
// The model test on simulated disks: random latencies, queue depths, short transfers and retries, all from the seed.
#include <catch2/catch.hpp>

#include <memory>

#include <cambium/rt/sim.h>

#include "base/text.h"
#include "support/figures.h"
#include "support/model_driver.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

std::uint64_t run_simulated(const ModelSetup& setup, ModelReport& report) {
  report = ModelReport();
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core(SimOptions::drawn(setup.seed));
  const Status done = core->run(run_model(*core, setup, report));
  core->drain();
  INFO("replay: " << replay_command("test_sim", setup.seed));
  INFO(done.error().message());
  REQUIRE(done);
  CHECK(core->spawned() == 0);
  report_figure("model operations", report.operations);
  return disk.trace_hash();
}

TEST_CASE("model: random operations on a simulated disk agree with a map", "[S10][S18][S19][S20][S21][F02][F03]") {
  const std::uint64_t cache_pages = GENERATE(std::uint64_t{16}, std::uint64_t{256}, std::uint64_t{4096});
  CAPTURE(cache_pages);
  const std::uint64_t operations = number_from_environment("CAMBIUM_MODEL_OPERATIONS", 200'000);
  ModelReport report;
  run_simulated(model_setup(test_seed(cache_pages), cache_pages, operations), report);
  print_report("sim", cache_pages, report);
}

TEST_CASE("model: random operations with a log in every mode, left open again and again, agree with a map",
          "[S09][F05][R03]") {
  const std::uint64_t cache_pages = GENERATE(std::uint64_t{16}, std::uint64_t{256});
  CAPTURE(cache_pages);
  ModelSetup setup = model_setup(test_seed(cache_pages + 1), cache_pages,
                                 number_from_environment("CAMBIUM_MODEL_OPERATIONS", 200'000) / 2);
  setup.draw_log = true;
  setup.reopen_every = 700;
  ModelReport report;
  run_simulated(setup, report);
  print_report("sim, with a log", cache_pages, report);
  CHECK((report.recoveries > 0 || report.reopens < 16));  // each is left or closed by the toss of a coin
}

TEST_CASE("model: random operations on several tables, with a log in every mode, agree with a map for each",
          "[S09][S10][S18]") {
  const std::size_t tables = GENERATE(std::size_t{3}, std::size_t{40});
  CAPTURE(tables);
  ModelSetup setup =
      model_setup(test_seed(500 + tables), 256, number_from_environment("CAMBIUM_MODEL_OPERATIONS", 200'000) / 2);
  setup.tables = tables;
  setup.draw_log = true;
  setup.reopen_every = 2'000;
  ModelReport report;
  run_simulated(setup, report);
  print_report(rt::str("sim, ", tables, " tables").c_str(), 256, report);
  CHECK((report.recoveries > 0 || report.reopens < 16));
  CHECK(report.table_changes > 0);
}

TEST_CASE("model: random operations on tables of both kinds, with a log in every mode, agree with a map for each",
          "[F02][F03][F09][F11][F18][R01]") {
  const std::uint64_t cache_pages = GENERATE(std::uint64_t{64}, std::uint64_t{256}, std::uint64_t{4096});
  CAPTURE(cache_pages);
  ModelSetup setup = model_setup(test_seed(900 + cache_pages), cache_pages,
                                 number_from_environment("CAMBIUM_MODEL_OPERATIONS", 200'000) / 2);
  setup.tables = 4;
  setup.levels = true;
  setup.draw_log = true;
  setup.reopen_every = 3'000;
  ModelReport report;
  run_simulated(setup, report);
  print_report("sim, both kinds", cache_pages, report);
  CHECK((report.recoveries > 0 || report.reopens < 16));
}

TEST_CASE("model: two runs of a simulated workload with one seed are the same I/O for I/O", "[S20]") {
  const ModelSetup setup = model_setup(test_seed(11), 16, 5'000);
  ModelReport report;
  const std::uint64_t trace = run_simulated(setup, report);
  CHECK(run_simulated(setup, report) == trace);
  CHECK(run_simulated(model_setup(test_seed(11) + 1, 16, 5'000), report) != trace);
}

}  // namespace
}  // namespace cambium::test
