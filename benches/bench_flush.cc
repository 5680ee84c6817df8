// SPDX-License-Identifier: MIT OR Apache-2.0
// Random updates of existing keys until they are flushed, committed and synced: what reaches the device, in
// how large writes, and what the limit was.
//
// Pages and writes are those that the disk below the folder booked while the run lasted. That is everybody's
// I/O: run it on a quiet machine. The engine's own counters are printed beside them. The sequential-write
// figure of fio, taken in the same repetition, is the ceiling that the limit is named against.
#include <cstdio>

#include "harness/data_file.h"
#include "harness/fail.h"
#include "harness/fio.h"
#include "harness/options.h"
#include "harness/phases.h"
#include "harness/runner.h"
#include "peers/engines.h"

using namespace cambium::bench;

namespace {

constexpr double kPageBytes = 4096;
constexpr double kLimitShare = 0.85;  // from here on something is called the limit

struct FlushOptions : Options {
  std::uint64_t update_count = 500'000;
};

void verify_updates(KvAdapter& engine, Workload& workload, std::uint64_t update_count, std::uint64_t seed,
                    std::uint64_t version) {
  Random random(seed);
  for (std::uint64_t done = 0; done < update_count; ++done) {
    const Key key = workload.key(random.below(workload.key_count()));
    auto use = [&](std::string_view value) {
      if (!workload.matches(key.view(), value, version)) fail(engine.name() + ": an update was lost");
    };
    if (!engine.get(key.view(), use)) fail(engine.name() + ": an updated key is gone");
  }
}

void add_disk_extras(Sample& sample, const DiskIo& before, const DiskIo& after) {
  if (!before.known || !after.known) fail("the folder is on no disk of its own: its writes cannot be counted");
  const double bytes = static_cast<double>(after.written_bytes - before.written_bytes);
  const double requests = static_cast<double>(after.write_requests - before.write_requests);
  sample.extras.emplace_back("pages_per_update", bytes / kPageBytes / static_cast<double>(sample.operation_count));
  sample.extras.emplace_back("pages_per_write", requests > 0 ? bytes / kPageBytes / requests : 0);
  sample.extras.emplace_back("mb_per_s", bytes * 1e-6 / sample.wall_seconds);
  sample.extras.emplace_back("disk_busy", (after.busy_seconds - before.busy_seconds) / sample.wall_seconds);
  sample.extras.emplace_back("cpu_share", sample.cpu_seconds / sample.wall_seconds);
}

Sample timed_updates(KvAdapter& engine, Workload& workload, const FlushOptions& options, const std::string& dir,
                     unsigned repetition) {
  const std::uint64_t seed = mix64(options.seed + repetition);
  const std::uint64_t version = repetition + 1;
  quiesce(dir);
  const std::vector<Counter> counters_before = engine.counters();
  const DiskIo disk_before = disk_io(dir);
  Random random(seed);
  double sync_start = 0;
  Sample sample = measure([&] {
    for (std::uint64_t done = 0; done < options.update_count; ++done) {
      const Key key = workload.key(random.below(workload.key_count()));
      engine.put(key.view(), workload.value(key.view(), version));
    }
    sync_start = now_seconds();
    engine.sync();
    return options.update_count;
  });
  const double sync_seconds = now_seconds() - sync_start;
  add_disk_extras(sample, disk_before, disk_io(dir));
  sample.extras.emplace_back("sync_seconds", sync_seconds);
  const std::vector<Counter> counters_after = engine.counters();
  for (std::size_t index = 0; index < counters_before.size(); ++index) {
    sample.extras.emplace_back("own_" + counters_after[index].name,
                               static_cast<double>(counters_after[index].value - counters_before[index].value));
  }
  verify_updates(engine, workload, options.update_count, seed, version);
  return sample;
}

void state_limit(Report& report, const Series& engine, const Series& fio) {
  const double cpu = spread_of(engine.extras("cpu_share")).median;
  const double busy = spread_of(engine.extras("disk_busy")).median;
  const double bandwidth = paired_ratio(engine.extras("mb_per_s"), fio.extras("mb_per_s")).median;
  const char* limit = "neither core nor device: the engine waits";
  if (bandwidth >= kLimitShare) {
    limit = "the device's bandwidth";
  } else if (cpu >= kLimitShare) {
    limit = "the core";
  } else if (busy >= kLimitShare) {
    limit = "the device's requests (busy, below its bandwidth)";
  }
  char text[256];
  std::snprintf(text, sizeof text,
                "%s: limited by %s. CPU %.0f %% of one core, disk busy %.0f %%, bandwidth %.0f %% of fio's 256 KiB x 4",
                engine.engine.c_str(), limit, 100 * cpu, 100 * busy, 100 * bandwidth);
  report.note(text);
  std::snprintf(text, sizeof text, "%s: %.2f pages per update, %.1f pages per device write", engine.engine.c_str(),
                spread_of(engine.extras("pages_per_update")).median,
                spread_of(engine.extras("pages_per_write")).median);
  report.note(text);
}

}  // namespace

int main(int argc, char** argv) {
  FlushOptions options;
  CLI::App app{"Random updates until flushed and synced: pages per write, and whether core or device was the limit"};
  add_options(app, options);
  app.add_option("--updates", options.update_count, "updates per run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;

  std::vector<std::unique_ptr<KvAdapter>> engines;
  engines.push_back(make_engine(options.ours));
  if (!options.peer.empty()) engines.push_back(make_engine(options.peer));
  const ScratchDir scratch(options.dir, options.keep);
  Workload workload = options.workload();
  Report report("bench_flush", scratch.path(), options.describe({{"updates", std::to_string(options.update_count)}}),
                options.json_path);

  Case work{.title = "random updates until synced", .sides = {}};
  for (std::size_t index = 0; index < engines.size(); ++index) {
    KvAdapter& engine = *engines[index];
    engine.open(scratch.fresh("engine-" + std::to_string(index)), options.memory_bytes);
    load_and_settle(engine, workload);
    work.sides.push_back({engine.name(), engine.settings(), "put", [&](unsigned repetition) {
                            return timed_updates(engine, workload, options, scratch.path(), repetition);
                          }});
  }
  options.pin();
  work.sides.push_back({"fio sequential write", fio_version() + ", 256 KiB blocks, 4 in flight, direct", "block",
                        [&](unsigned) { return fio_sequential_write({.dir = scratch.path(), .core = options.core}); }});
  const std::vector<Series> all = report.alternate(work, options.repetitions);
  for (std::size_t index = 0; index < engines.size(); ++index) state_limit(report, all[index], all.back());
  if (engines.size() == 2) {
    report.verdict({.title = work.title, .ours = all[0].engine, .theirs = all[1].engine, .goal = options.goal},
                   all[0].rates(), all[1].rates());
  }
  for (const auto& engine : engines) engine->close();
  return report.exit_code();
}
