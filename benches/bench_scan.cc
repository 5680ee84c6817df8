// SPDX-License-Identifier: MIT OR Apache-2.0
// Full scans of cached data by one thread, forward and in reverse, after a load in random order.
//
// A timed scan touches the first bytes of every key and value (a digest, compared with the expected one);
// that order and every byte are right is verified once, untimed. A random load leaves pages partly filled
// and scattered, which is the state scans meet in life; a sorted load would flatter every engine.
#include "harness/data_file.h"
#include "harness/fail.h"
#include "harness/options.h"
#include "harness/phases.h"
#include "harness/runner.h"
#include "peers/engines.h"

using namespace cambium::bench;

namespace {

Sample timed_scan(KvAdapter& engine, Direction direction, const Digest& expected) {
  Digest digest;
  auto fold = [&digest](std::string_view key, std::string_view value) { digest.add(key, value); };
  Sample sample = measure([&] { return engine.scan(direction, fold); });
  if (digest != expected) fail(engine.name() + ": a scan returned other entries than were loaded");
  return sample;
}

void compare(Report& report, const Options& options, KvAdapter& ours, KvAdapter& peer, Direction direction,
             const Digest& expected) {
  auto side = [&](KvAdapter& engine) {
    auto run = [&, direction](unsigned) { return timed_scan(engine, direction, expected); };
    return Side{engine.name(), engine.settings(), "entry", run};
  };
  const std::string title = direction == Direction::forward ? "full scan, forward" : "full scan, reverse";
  const std::vector<Series> all =
      report.alternate({.title = title, .sides = {side(ours), side(peer)}}, options.repetitions);
  report.warn_if_starved(all);
  report.verdict({.title = title, .ours = ours.name(), .theirs = peer.name(), .goal = options.goal}, all[0].rates(),
                 all[1].rates());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.peer = "lmdb";
  CLI::App app{"Full scans of cached data, forward and reverse, after a random load, against a peer"};
  add_options(app, options);
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;

  const std::unique_ptr<KvAdapter> ours = make_engine(options.ours);
  const std::unique_ptr<KvAdapter> peer = make_engine(options.peer);
  const ScratchDir scratch(options.dir, options.keep);
  Workload workload = options.workload();
  Report report("bench_scan", scratch.path(), options.describe(), options.json_path);
  for (KvAdapter* engine : {ours.get(), peer.get()}) {
    engine->open(scratch.fresh(engine == ours.get() ? "ours" : "peer"), options.memory_bytes);
    load_and_settle(*engine, workload);  // its verifying scan is the warm-up
  }
  options.pin();
  const Digest expected = workload.expected_digest();
  compare(report, options, *ours, *peer, Direction::forward, expected);
  compare(report, options, *ours, *peer, Direction::reverse, expected);
  ours->close();
  peer->close();
  return report.exit_code();
}
