// SPDX-License-Identifier: MIT OR Apache-2.0
// How long opening takes: after kill -9 with a log to replay, and after a clean close of a large file.
//
// kill    A child process puts keys until its log has about --log-mb, syncs it, and is killed with SIGKILL; the same
//         puts for both sides. Timed is the open, until the engine takes reads and writes, the ring or the thread pool
//         that it needs included; then every key is asked for. The peer runs with each of its recovery_variants(), the
//         faster one counts. Its log is in the page cache; ours is read from the device.
// bound   Ours alone: the child puts several times as much as recovery_ms_max lets the log hold, and is killed.
// replay  Ours alone: a log of --replay-mb.
// clean   --large-keys keys, loaded in order, closed; opened and closed again and again with --small-memory.
//
// Each limit is a number that the median must not exceed (or, for replay, must reach); missing it exits with 3.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "harness/data_file.h"
#include "harness/fail.h"
#include "harness/options.h"
#include "harness/phases.h"
#include "harness/runner.h"
#include "harness/victim.h"
#include "peers/engines.h"

using namespace cambium::bench;

namespace {

constexpr std::uint64_t kLogBytesPerRecord = 24;  // about, beside key and value

struct RecoveryOptions : Options {
  std::uint64_t log_mb = 46;
  std::uint64_t replay_mb = 400;
  std::uint64_t recovery_ms_max = 200;
  std::uint64_t large_key_count = 20'000'000;
  std::uint64_t small_memory_bytes = std::uint64_t{256} << 20;
  double kill_ms_limit = 0;
  double replay_limit = 0;
  double clean_ms_limit = 0;
  std::vector<std::string> only;
  bool quick = false;
  // Of the child process.
  std::string child_dir;
  std::string child_settings;
  std::uint64_t child_first = 0;
  std::uint64_t child_count = 0;

  bool wants(const char* part) const { return only.empty() || std::find(only.begin(), only.end(), part) != only.end(); }
  std::uint64_t records_of_mb(std::uint64_t mb) const {
    return mb * 1'000'000 / (kKeyBytes + value_bytes + kLogBytesPerRecord);
  }
};

// The child: everything it puts is durable when it waits to be killed.
[[noreturn]] void be_the_victim(const RecoveryOptions& options) {
  Workload workload = options.workload();
  const std::unique_ptr<KvAdapter> engine = make_engine(options.ours);
  engine->configure(LogMode::batched, options.child_settings);
  engine->open(options.child_dir, options.memory_bytes);
  for (std::uint64_t index = 0; index < options.child_count; ++index) {
    const Key key = workload.key(options.child_first + index);
    engine->put(key.view(), workload.value(key.view()));
  }
  engine->sync_log();
  await_kill();
}

// An engine, its settings, and its folder with what was loaded and logged so far.
class RecoverySide {
 public:
  RecoverySide(const std::string& engine, std::string own_settings, const RecoveryOptions& options,
               const std::string& dir)
      : engine_name_(engine),
        own_settings_(std::move(own_settings)),
        options_(options),
        engine_(make_engine(engine)),
        workload_(options.workload()),
        dir_(dir) {
    open(LogMode::none);  // a base that no log covers
    put_all(*engine_, workload_);
    engine_->sync();
    engine_->settle();
    engine_->close();
  }

  std::string name() const { return engine_->name() + (own_settings_.empty() ? "" : " " + own_settings_); }
  std::string settings() {
    open(LogMode::batched);
    std::string text = engine_->settings();
    engine_->close();
    return text;
  }

  // `count` more keys in the log, a kill, the open, and all of them asked for.
  Sample kill_and_open(std::uint64_t count) {
    const std::uint64_t first = workload_.key_count() + logged_;
    logged_ += count;
    run_and_kill({"--ours",           engine_name_,
                  "--child-dir",      dir_,
                  "--child-settings", own_settings_,
                  "--child-first",    std::to_string(first),
                  "--child-count",    std::to_string(count),
                  "--seed",           std::to_string(options_.seed),
                  "--keys",           std::to_string(options_.key_count),
                  "--value",          std::to_string(options_.value_bytes),
                  "--key-kind",       options_.key_kind,
                  "--memory",         std::to_string(options_.memory_bytes)});
    quiesce(dir_);
    Sample sample = measure([&] {
      open(LogMode::batched);
      return count;
    });
    sample.extras.emplace_back("open_ms", sample.wall_seconds * 1e3);
    add_own(sample);
    for (std::uint64_t index = 0; index < count; ++index) require_key(first + index);
    engine_->close();
    return sample;
  }

 private:
  void open(LogMode log) {
    engine_->configure(log, own_settings_);
    engine_->open(dir_, options_.memory_bytes);
  }

  void add_own(Sample& sample) const {
    for (const Counter& counter : engine_->counters()) {
      const auto value = static_cast<double>(counter.value);
      if (counter.name == "recovery_ns") sample.extras.emplace_back("own_recovery_ms", value * 1e-6);
      if (counter.name == "recovery_records") sample.extras.emplace_back("own_recovery_records", value);
      if (counter.name == "wal_bytes_used") sample.extras.emplace_back("own_log_mb", value * 1e-6);
    }
  }

  void require_key(std::uint64_t index) {
    const Key key = workload_.key(index);
    auto use = [&](std::string_view value) {
      if (!workload_.matches(key.view(), value)) fail(engine_->name() + ": a recovered value is wrong");
    };
    if (!engine_->get(key.view(), use)) fail(engine_->name() + ": a durable put did not survive the kill");
  }

  std::string engine_name_;
  std::string own_settings_;
  const RecoveryOptions& options_;
  std::unique_ptr<KvAdapter> engine_;
  Workload workload_;
  std::string dir_;
  std::uint64_t logged_ = 0;
};

class RecoveryBench {
 public:
  RecoveryBench(const RecoveryOptions& options, Report& report, const ScratchDir& scratch)
      : options_(options), report_(report), scratch_(scratch) {}

  void kill() {
    const std::string log = std::to_string(options_.log_mb) + " MB of log";
    const std::string title = "open after kill -9, " + log;
    const std::uint64_t count = options_.records_of_mb(options_.log_mb);
    std::vector<std::unique_ptr<RecoverySide>> engines;
    engines.push_back(side(options_.ours, log_of(options_.log_mb)));
    if (!options_.peer.empty()) {
      for (const std::string& variant : make_engine(options_.peer)->recovery_variants())
        engines.push_back(side(options_.peer, variant));
    }
    const std::vector<Series> all = alternate(title, engines, count);
    limit(title, all[0], options_.kill_ms_limit);
    if (all.size() == 1) return;
    std::vector<double> best = all[1].extras("open_ms");
    for (std::size_t index = 2; index < all.size(); ++index) {
      const std::vector<double> other = all[index].extras("open_ms");
      for (std::size_t run = 0; run < best.size(); ++run) best[run] = std::min(best[run], other[run]);
    }
    report_.verdict({.title = title,
                     .ours = all[0].engine,
                     .theirs = "the best of " + options_.peer,
                     .less_is_better = true,
                     .goal = options_.goal},
                    all[0].extras("open_ms"), best);
  }

  void bound() {
    const std::string ms = std::to_string(options_.recovery_ms_max);
    const std::string title = "open after kill -9, recovery_ms_max=" + ms;
    std::vector<std::unique_ptr<RecoverySide>> engines;
    engines.push_back(side(options_.ours, "recovery_ms_max=" + ms));
    const std::vector<Series> all = alternate(title, engines, 3 * options_.records_of_mb(options_.recovery_ms_max / 5));
    limit(title, all[0], static_cast<double>(options_.recovery_ms_max));
  }

  void replay() {
    const std::string title = "replay of " + std::to_string(options_.replay_mb) + " MB, records by open time";
    std::vector<std::unique_ptr<RecoverySide>> engines;
    engines.push_back(side(options_.ours, log_of(options_.replay_mb)));
    const std::vector<Series> all = alternate(title, engines, options_.records_of_mb(options_.replay_mb));
    if (options_.replay_limit <= 0) return;
    report_.verdict({.title = title, .ours = all[0].engine, .theirs = "the limit", .goal = 1}, all[0].rates(),
                    std::vector(all[0].samples.size(), options_.replay_limit));
  }

  // Decimal keys come in order by themselves: nothing of this size is sorted here.
  void clean() {
    const std::string title = "open after a clean close, " + std::to_string(options_.large_key_count) + " keys";
    Workload workload(KeyKind::decimal, options_.large_key_count, options_.value_bytes, options_.seed);
    std::vector<std::unique_ptr<KvAdapter>> engines;
    Case work{.title = title, .sides = {}};
    add_clean_side(options_.ours, LogMode::none, "no log", workload, engines, work);
    add_clean_side(options_.ours, LogMode::sync, "wal=sync", workload, engines, work);
    if (!options_.peer.empty())
      add_clean_side(options_.peer, LogMode::batched, "with its log", workload, engines, work);
    const std::vector<Series> all = report_.alternate(work, options_.repetitions);
    limit(title, all[0], options_.clean_ms_limit);
    limit(title, all[1], options_.clean_ms_limit);
  }

 private:
  std::unique_ptr<RecoverySide> side(const std::string& engine, const std::string& own_settings) {
    return std::make_unique<RecoverySide>(engine, own_settings, options_,
                                          scratch_.fresh("recovery-" + std::to_string(side_count_++)));
  }

  // A log that need not be emptied at that length: it is, from half of its cap on.
  static std::string log_of(std::uint64_t mb) { return "wal_bytes_max=" + std::to_string(3 * mb) + "MiB"; }

  std::vector<Series> alternate(const std::string& title, const std::vector<std::unique_ptr<RecoverySide>>& engines,
                                std::uint64_t count) {
    Case work{.title = title, .sides = {}};
    for (const auto& engine : engines) {
      work.sides.push_back({engine->name(), engine->settings(), "record",
                            [&engine, count](unsigned) { return engine->kill_and_open(count); }});
    }
    return report_.alternate(work, options_.repetitions);
  }

  void limit(const std::string& title, const Series& ours, double ms) {
    if (ms <= 0) return;
    report_.verdict(
        {.title = title + ", ms", .ours = ours.engine, .theirs = "the limit", .less_is_better = true, .goal = 1},
        ours.extras("open_ms"), std::vector(ours.samples.size(), ms));
  }

  void add_clean_side(const std::string& engine_name, LogMode log, const char* what, Workload& workload,
                      std::vector<std::unique_ptr<KvAdapter>>& engines, Case& work) {
    engines.push_back(make_engine(engine_name));
    KvAdapter& engine = *engines.back();
    const std::string dir = scratch_.fresh("clean-" + std::to_string(engines.size()));
    engine.configure(log, "");
    engine.open(dir, options_.small_memory_bytes);
    std::uint64_t next_index = 0;
    Key current{};
    auto next = [&](std::string_view& key, std::string_view& value) {
      if (next_index == workload.key_count()) return false;
      current = workload.key(next_index++);
      key = current.view();
      value = workload.value(key);
      return true;
    };
    engine.bulk_load(engine.bulk_methods().front(), next);
    const std::string settings = engine.settings();
    engine.close();
    work.sides.push_back(
        {engine.name() + " " + what, settings, "open", [this, &engine, &workload, dir](unsigned repetition) {
           return clean_open(engine, workload, dir, repetition);
         }});
  }

  Sample clean_open(KvAdapter& engine, Workload& workload, const std::string& dir, unsigned repetition) {
    quiesce(dir);
    Sample sample = measure([&] {
      engine.open(dir, options_.small_memory_bytes);
      return std::uint64_t{1};
    });
    sample.extras.emplace_back("open_ms", sample.wall_seconds * 1e3);
    Random random(options_.seed + repetition);
    for (int asked = 0; asked < 1000; ++asked) {
      const Key key = workload.key(random.below(workload.key_count()));
      auto use = [&](std::string_view value) {
        if (!workload.matches(key.view(), value)) fail(engine.name() + ": a wrong value after opening");
      };
      if (!engine.get(key.view(), use)) fail(engine.name() + ": a key is gone after opening");
    }
    engine.close();
    return sample;
  }

  const RecoveryOptions& options_;
  Report& report_;
  const ScratchDir& scratch_;
  unsigned side_count_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  RecoveryOptions options;
  options.key_count = 1'000'000;
  CLI::App app{"Opening after kill -9 with a log to replay, and after a clean close"};
  add_options(app, options);
  app.add_option("--log-mb", options.log_mb, "log at the kill, in 10^6 bytes")->capture_default_str();
  app.add_option("--replay-mb", options.replay_mb, "the same for the rate of replay")->capture_default_str();
  app.add_option("--recovery-ms-max", options.recovery_ms_max, "the option of ours, and the limit")
      ->capture_default_str();
  app.add_option("--large-keys", options.large_key_count, "keys of the file closed cleanly")->capture_default_str();
  app.add_option("--small-memory", options.small_memory_bytes, "memory budget there")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--kill-ms-limit", options.kill_ms_limit, "most milliseconds after a kill");
  app.add_option("--replay-limit", options.replay_limit, "least records per second");
  app.add_option("--clean-ms-limit", options.clean_ms_limit, "most milliseconds after a clean close");
  app.add_option("--only", options.only, "any of kill, bound, replay, clean; all when absent")
      ->delimiter(',')
      ->check(CLI::IsMember({"kill", "bound", "replay", "clean"}));
  app.add_flag("--quick", options.quick, "a moment of everything, to see that it works; no verdict");
  app.add_option("--child-dir", options.child_dir)->group("");
  app.add_option("--child-settings", options.child_settings)->group("");
  app.add_option("--child-first", options.child_first)->group("");
  app.add_option("--child-count", options.child_count)->group("");
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;
  if (!options.child_dir.empty()) be_the_victim(options);
  if (options.quick) {
    options.repetitions = 1;
    options.key_count = options.large_key_count = 20'000;
    options.log_mb = options.replay_mb = 2;
    options.recovery_ms_max = 20;
  }

  const ScratchDir scratch(options.dir, options.keep);
  Report report("bench_recovery", scratch.path(),
                options.describe({{"log-mb", std::to_string(options.log_mb)},
                                  {"replay-mb", std::to_string(options.replay_mb)},
                                  {"large-keys", std::to_string(options.large_key_count)}}),
                options.json_path);
  RecoveryBench bench(options, report, scratch);
  if (options.wants("kill")) bench.kill();
  if (options.wants("bound")) bench.bound();
  if (options.wants("replay")) bench.replay();
  if (options.wants("clean")) bench.clean();
  return report.exit_code();
}
