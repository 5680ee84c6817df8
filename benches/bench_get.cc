// SPDX-License-Identifier: MIT OR Apache-2.0
// Uniform gets of cached data by one thread: one at a time, and in batches.
//
// Both engines hold the same keys, loaded in the same random order, and are asked for the same keys in the
// same order; everything is in memory after the verifying scan. An engine without a batched get is asked
// in a loop.
#include <cstdio>

#include "harness/data_file.h"
#include "harness/options.h"
#include "harness/phases.h"
#include "harness/runner.h"
#include "peers/engines.h"

using namespace cambium::bench;

namespace {

struct GetOptions : Options {
  std::uint64_t get_count = 2'000'000;
  std::size_t batch_size = 16;
  double batch_goal = 0;
};

class GetBench {
 public:
  GetBench(const GetOptions& options, Report& report, Workload& workload, KvAdapter& ours, KvAdapter& peer)
      : options_(options), report_(report), workload_(workload), ours_(ours), peer_(peer) {}

  void one_at_a_time() {
    compare("get, one at a time", options_.goal, [this](KvAdapter& engine, std::uint64_t seed) {
      return timed_gets(engine, workload_, options_.get_count, seed);
    });
  }

  void batched() {
    const std::string title = "multi_get of " + std::to_string(options_.batch_size);
    compare(title, options_.batch_goal, [this](KvAdapter& engine, std::uint64_t seed) {
      return timed_multi_gets(engine, workload_, options_.get_count, options_.batch_size, seed);
    });
  }

  // Percentiles only: with a clock around each get the rate is not comparable, so there is no verdict.
  void latencies() {
    alternate("get, one at a time, each with two readings of the clock", [this](KvAdapter& engine, std::uint64_t seed) {
      return timed_get_latencies(engine, workload_, options_.get_count, seed);
    });
  }

 private:
  using Work = std::function<Sample(KvAdapter&, std::uint64_t seed)>;

  std::vector<Series> alternate(const std::string& title, const Work& work) {
    Case both{.title = title, .sides = {}};
    for (KvAdapter* engine : {&ours_, &peer_}) {
      auto run = [this, engine, &work](unsigned repetition) {
        return work(*engine, mix64(options_.seed + repetition));  // both sides are asked for the same keys
      };
      both.sides.push_back({engine->name(), engine->settings(), "get", run});
    }
    return report_.alternate(both, options_.repetitions);
  }

  void compare(const std::string& title, double goal, const Work& work) {
    const std::vector<Series> all = alternate(title, work);
    report_.warn_if_starved(all);
    report_.verdict({.title = title, .ours = all[0].engine, .theirs = all[1].engine, .goal = goal}, all[0].rates(),
                    all[1].rates());
  }

  const GetOptions& options_;
  Report& report_;
  Workload& workload_;
  KvAdapter& ours_;
  KvAdapter& peer_;
};

}  // namespace

int main(int argc, char** argv) {
  GetOptions options;
  options.peer = "lmdb";
  CLI::App app{"Uniform gets of cached data, one at a time and in batches, against a peer"};
  add_options(app, options);
  app.add_option("--gets", options.get_count, "gets per run")->capture_default_str();
  app.add_option("--batch", options.batch_size, "keys per multi_get")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  app.add_option("--batch-goal", options.batch_goal, "as --goal, for multi_get");
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;

  const std::unique_ptr<KvAdapter> ours = make_engine(options.ours);
  const std::unique_ptr<KvAdapter> peer = make_engine(options.peer);
  const ScratchDir scratch(options.dir, options.keep);
  Workload workload = options.workload();
  Report report("bench_get", scratch.path(), options.describe({{"gets", std::to_string(options.get_count)}}),
                options.json_path);
  for (KvAdapter* engine : {ours.get(), peer.get()}) {
    engine->open(scratch.fresh(engine == ours.get() ? "ours" : "peer"), options.memory_bytes);
    load_and_settle(*engine, workload);
  }
  options.pin();

  // One unmeasured run warms what only gets touch; the harness's own share is stated, not subtracted.
  for (KvAdapter* engine : {ours.get(), peer.get()}) timed_gets(*engine, workload, options.get_count, options.seed);
  const Sample cost = harness_cost(workload, options.get_count, options.seed);
  char text[160];
  std::snprintf(text, sizeof text, "the harness itself takes %.1f ns of every get, on both sides", 1e9 / cost.rate());
  report.note(text);

  GetBench bench(options, report, workload, *ours, *peer);
  bench.one_at_a_time();
  bench.batched();
  bench.latencies();
  ours->close();
  peer->close();
  return report.exit_code();
}
