// SPDX-License-Identifier: MIT OR Apache-2.0
// Loading an empty database: keys in random order, and keys in order.
//
// Random: ours has no WAL and is timed until everything is flushed, committed and synced; the peer (LMDB) is
// timed until its last commit, unsynced, which is how it is fastest and promises nothing on power loss. What
// its sync takes on top is shown and not counted: the comparison leans to the peer's side, knowingly.
// Sorted: both sides are durable at the end, and the best of the peer's methods in that repetition counts.
// Every load starts in a fresh folder on a quiet disk and is verified entry by entry afterwards.
#include <algorithm>

#include "harness/data_file.h"
#include "harness/options.h"
#include "harness/phases.h"
#include "harness/runner.h"
#include "peers/engines.h"

using namespace cambium::bench;

namespace {

struct LoadOptions : Options {
  std::string sorted_peer = "rocksdb";
  std::string only;
  double sorted_goal = 0;
};

enum class End { committed, synced };

class LoadBench {
 public:
  // All engines are made before the thread is pinned: their background threads shall not be.
  LoadBench(const LoadOptions& options, Report& report, const ScratchDir& scratch)
      : options_(options),
        report_(report),
        scratch_(scratch),
        workload_(options.workload()),
        ours_(make_engine(options.ours)) {
    if (options.only != "sorted") peer_ = make_engine(options.peer);
    if (options.only != "random") sorted_peer_ = make_engine(options.sorted_peer);
    options.pin();
  }

  void run() {
    if (peer_ != nullptr) {
      const Side ours = side(*ours_, [this](unsigned) { return load_random(*ours_, End::synced); });
      const Side peer = side(*peer_, [this](unsigned) { return load_random(*peer_, End::committed); });
      compare("load in random order", options_.goal, ours, peer);
    }
    if (sorted_peer_ != nullptr) {
      keys_ = workload_.sorted_keys();
      const Side ours = side(*ours_, [this](unsigned) { return best_bulk_load(*ours_); });
      const Side peer = side(*sorted_peer_, [this](unsigned) { return best_bulk_load(*sorted_peer_); });
      compare("load in key order, synced", options_.sorted_goal, ours, peer);
    }
  }

 private:
  // The settings depend on the memory budget, so they are asked of the opened engine.
  Side side(KvAdapter& engine, std::function<Sample(unsigned)> run) {
    engine.open(scratch_.fresh("load"), options_.memory_bytes);
    Side made{engine.name(), engine.settings(), "put", std::move(run)};
    engine.close();
    return made;
  }

  void compare(const std::string& title, double goal, const Side& ours, const Side& peer) {
    const std::vector<Series> all = report_.alternate({.title = title, .sides = {ours, peer}}, options_.repetitions);
    report_.verdict({.title = title, .ours = ours.engine, .theirs = peer.engine, .goal = goal}, all[0].rates(),
                    all[1].rates());
  }

  void open_fresh(KvAdapter& engine) {
    const std::string dir = scratch_.fresh("load");
    quiesce(dir);
    engine.open(dir, options_.memory_bytes);
  }

  Sample load_random(KvAdapter& engine, End end) {
    open_fresh(engine);
    Sample sample = measure([&] {
      put_all(engine, workload_);
      end == End::synced ? engine.sync() : engine.commit();
      return workload_.key_count();
    });
    if (end == End::committed) {
      const double start = now_seconds();
      engine.sync();
      sample.extras.emplace_back("uncounted_sync_seconds", now_seconds() - start);
    }
    verify_all(engine, workload_);
    engine.close();
    return sample;
  }

  Sample bulk_load(KvAdapter& engine, const std::string& method) {
    open_fresh(engine);
    std::size_t next_index = 0;
    auto next = [&](std::string_view& key, std::string_view& value) {
      if (next_index == keys_.size()) return false;
      key = keys_[next_index++].view();
      value = workload_.value(key);
      return true;
    };
    const Sample sample = measure([&] {
      engine.bulk_load(method, next);
      return workload_.key_count();
    });
    verify_all(engine, workload_);
    engine.close();
    return sample;
  }

  Sample best_bulk_load(KvAdapter& engine) {
    Sample best;
    std::vector<std::pair<std::string, double>> rates;
    for (const std::string& method : engine.bulk_methods()) {
      const Sample sample = bulk_load(engine, method);
      rates.emplace_back(method + "_per_s", sample.rate());
      if (sample.rate() > best.rate()) best = sample;
    }
    best.extras = std::move(rates);
    return best;
  }

  const LoadOptions& options_;
  Report& report_;
  const ScratchDir& scratch_;
  Workload workload_;
  std::unique_ptr<KvAdapter> ours_;
  std::unique_ptr<KvAdapter> peer_;         // null when only sorted loads are wanted
  std::unique_ptr<KvAdapter> sorted_peer_;  // null when only random ones are
  std::vector<Key> keys_;                   // in key order
};

}  // namespace

int main(int argc, char** argv) {
  LoadOptions options;
  options.peer = "lmdb";
  CLI::App app{"Loads in random order (until synced, against an unsynced peer) and in key order (both synced)"};
  add_options(app, options);
  app.add_option("--sorted-peer", options.sorted_peer, "the engine to compare sorted loads with")
      ->capture_default_str();
  app.add_option("--sorted-goal", options.sorted_goal, "as --goal, for the sorted load");
  app.add_option("--only", options.only, "random or sorted; both when absent")
      ->check(CLI::IsMember({"random", "sorted"}));
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;

  const ScratchDir scratch(options.dir, options.keep);
  Report report("bench_load", scratch.path(), options.describe(), options.json_path);
  LoadBench(options, report, scratch).run();
  return report.exit_code();
}
