// SPDX-License-Identifier: MIT OR Apache-2.0
// Gets that miss the cache, many in flight on one thread, against what the device gives at the same depth.
//
// Each repetition loads the data anew, because the age of a file changes what some disks deliver; then for
// every depth the engine, fio and a bare io_uring loop run one after the other on that same file, within the
// same minute, each with offsets or keys from a fresh seed. The cache holds 5 % of the data.
//
// What counts is not what the engine says: misses are the lesser of its gets and of the 4 KiB reads that the
// kernel booked for this process, so neither cached answers nor two reads for one get can inflate them.
// CPU per miss is compared under the same waiting policy on both sides. A loop that spins burns its core at
// any speed; the figures of the blocking policy are the ones that tell what an engine costs.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "harness/data_file.h"
#include "harness/fail.h"
#include "harness/fio.h"
#include "harness/options.h"
#include "harness/phases.h"
#include "harness/raw_ring.h"
#include "harness/runner.h"
#include "peers/engines.h"

using namespace cambium::bench;

namespace {

constexpr double kPageBytes = 4096;
constexpr double kWarmupSeconds = 0.3;

struct MissOptions : Options {
  double cache_percent = 5;
  double cpu_goal = 0;
  unsigned seconds = 3;
  std::vector<unsigned> depths = {8, 32, 128};
  std::vector<unsigned> spins_us = {50, 0};
};

// Keeps `depth` gets of uniformly drawn keys in flight and checks every answer.
class MissDriver final : public GetClients {
 public:
  MissDriver(AsyncGetter& getter, Workload& workload, unsigned depth, std::uint64_t seed)
      : getter_(getter), workload_(workload), random_(seed), clients_(depth) {}

  Sample run(double seconds) {
    get_for(kWarmupSeconds);
    latencies_us_.clear();
    const std::uint64_t read_bytes_start = process_io().read_bytes;
    Sample sample = measure([&] { return get_for(seconds); });
    const double reads = static_cast<double>(process_io().read_bytes - read_bytes_start) / kPageBytes;
    add_extras(sample, reads);
    return sample;
  }

  bool next(unsigned slot, std::string_view& key) override {
    Client& client = clients_[slot];
    client.submitted_at = now_seconds();
    if (client.submitted_at >= end_) return false;
    client.key = workload_.key(random_.below(workload_.key_count()));
    key = client.key.view();
    return true;
  }

  void on_get(unsigned slot, bool found, std::string_view value) override {
    const Client& client = clients_[slot];
    if (!found) fail("a get did not find its key");
    if (!workload_.matches(client.key.view(), value)) fail("a get returned a wrong value");
    latencies_us_.push_back(static_cast<float>((now_seconds() - client.submitted_at) * 1e6));
    ++get_count_;
  }

 private:
  struct Client {
    Key key;
    double submitted_at = 0;
  };

  std::uint64_t get_for(double seconds) {
    get_count_ = 0;
    end_ = now_seconds() + seconds;
    getter_.run(*this, static_cast<unsigned>(clients_.size()));
    return get_count_;
  }

  void add_extras(Sample& sample, double reads) {
    require(sample.operation_count > 0, "no get finished in time");
    const double misses = std::min(static_cast<double>(sample.operation_count), reads);
    if (misses <= 0) fail("the kernel booked no read: nothing missed, so there is nothing to measure");
    sample.extras.emplace_back("misses_per_s", misses / sample.wall_seconds);
    sample.extras.emplace_back("reads_per_get", reads / static_cast<double>(sample.operation_count));
    sample.extras.emplace_back("cpu_us_per_miss", sample.cpu_seconds * 1e6 / misses);
    sample.extras.emplace_back("p50_us", percentile(latencies_us_, 0.50));
    sample.extras.emplace_back("p99_us", percentile(latencies_us_, 0.99));
  }

  AsyncGetter& getter_;
  Workload& workload_;
  Random random_;
  std::vector<Client> clients_;
  std::vector<float> latencies_us_;
  std::uint64_t get_count_ = 0;
  double end_ = 0;
};

class MissBench {
 public:
  MissBench(const MissOptions& options, Report& report, const ScratchDir& scratch, KvAdapter& engine)
      : options_(options),
        report_(report),
        scratch_(scratch),
        engine_(engine),
        workload_(options.workload()),
        fresh_seeds_(options.seed),
        cache_bytes_(
            static_cast<std::uint64_t>(static_cast<double>(workload_.data_bytes()) * options.cache_percent / 100)) {}

  void run() {
    open_with_small_cache();  // for settings(); the first repetition starts anew
    std::vector<Case> cases;
    for (unsigned spin_us : options_.spins_us) {
      for (unsigned depth : options_.depths) cases.push_back(case_of(spin_us, depth));
    }
    engine_.close();
    const auto all = report_.alternate(cases, options_.repetitions, [&](unsigned) { reload(); });
    engine_.close();
    for (std::size_t index = 0; index < cases.size(); ++index) conclude(cases[index].title, all[index]);
  }

 private:
  void open_with_small_cache() { engine_.open(scratch_.fresh("miss"), cache_bytes_); }

  // A freshly written file, then the engine opened again with the small cache: nothing is left in it.
  void reload() {
    if (loaded_) engine_.close();
    const std::string dir = scratch_.fresh("miss");
    engine_.open(dir, options_.memory_bytes);
    load_and_settle(engine_, workload_);
    engine_.close();
    quiesce(dir);
    engine_.open(dir, cache_bytes_);
    loaded_ = true;
    file_ = largest_file(engine_.data_files());
    const double written = written_fraction(file_);
    char text[160];
    std::snprintf(text, sizeof text, "loaded anew: %.0f MB file, %.1f %% of it written%s",
                  1e-6 * static_cast<double>(file_bytes(file_)), 100 * written,
                  written < 0.98 ? " (reads of the rest are too cheap: the ceilings are too HIGH)" : "");
    report_.note(text);
  }

  Case case_of(unsigned spin_us, unsigned depth) {
    AsyncGetter* getter = engine_.async_getter();
    if (getter == nullptr) fail(engine_.name() + " cannot have several gets in flight on one thread");
    const std::string policy = spin_us > 0 ? "spin " + std::to_string(spin_us) + " us" : "blocking";
    auto run_engine = [this, getter, spin_us, depth](unsigned) {
      getter->set_spin_us(spin_us);
      return MissDriver(*getter, workload_, depth, fresh_seeds_.next()).run(options_.seconds);
    };
    auto run_fio = [this, depth](unsigned) {
      return fio_random_read({.path = file_,
                              .depth = depth,
                              .seconds = options_.seconds,
                              .seed = fresh_seeds_.next(),
                              .core = options_.core});
    };
    auto run_raw = [this, spin_us, depth](unsigned) {
      return raw_ring_read({.path = file_,
                            .depth = depth,
                            .seconds = static_cast<double>(options_.seconds),
                            .spin_us = spin_us,
                            .seed = fresh_seeds_.next()});
    };
    return {.title = "missing gets, depth " + std::to_string(depth) + ", " + policy,
            .sides = {{engine_.name(), engine_.settings() + (getter->set_spin_us(spin_us) ? "" : "; waits its own way"),
                       "get", run_engine},
                      {"fio", fio_version() + ", io_uring, direct, fixed buffers, registered file", "read", run_fio},
                      {"bare ring", "registered file and buffers, single issuer, " + policy, "read", run_raw}}};
  }

  void conclude(const std::string& title, const std::vector<Series>& sides) {
    const Series& engine = sides[0];
    const Series& fio = sides[1];
    const Series& raw = sides[2];
    report_.verdict({.title = title + ": misses/s", .ours = engine.engine, .theirs = "fio", .goal = options_.goal},
                    engine.extras("misses_per_s"), fio.rates());
    report_.verdict({.title = title + ": CPU us per miss",
                     .ours = engine.engine,
                     .theirs = "bare ring",
                     .less_is_better = true,
                     .goal = options_.cpu_goal},
                    engine.extras("cpu_us_per_miss"), raw.cpu_us_per_operation());
  }

  const MissOptions& options_;
  Report& report_;
  const ScratchDir& scratch_;
  KvAdapter& engine_;
  Workload workload_;
  Random fresh_seeds_;
  std::uint64_t cache_bytes_;
  std::string file_;
  bool loaded_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  MissOptions options;
  CLI::App app{"Gets that miss the cache at several depths on one thread, against fio and a bare io_uring loop"};
  add_options(app, options);
  app.add_option("--cache-percent", options.cache_percent, "cache, in percent of the data")->capture_default_str();
  app.add_option("--cpu-goal", options.cpu_goal, "as --goal, for CPU: bare ring's us per read / the engine's");
  app.add_option("--seconds", options.seconds, "seconds per run")->check(CLI::Range(1u, 3600u))->capture_default_str();
  app.add_option("--depths", options.depths, "gets in flight")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  app.add_option("--spin-us", options.spins_us, "waiting policies to compare under; 0 blocks at once")
      ->delimiter(',')
      ->capture_default_str();
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;

  const std::unique_ptr<KvAdapter> engine = make_engine(options.ours);
  options.pin();
  const ScratchDir scratch(options.dir, options.keep);
  char percent[32];
  std::snprintf(percent, sizeof percent, "%g %% of the data", options.cache_percent);
  Report report("bench_miss", scratch.path(),
                options.describe({{"cache", percent}, {"seconds", std::to_string(options.seconds)}}),
                options.json_path);
  MissBench(options, report, scratch, *engine).run();
  return report.exit_code();
}
