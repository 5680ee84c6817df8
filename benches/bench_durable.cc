// SPDX-License-Identifier: MIT OR Apache-2.0
// What durability costs: puts that are acknowledged only when a power cut cannot take them back, and a log that nobody
// waits for.
//
// Durable puts: for each number of clients, each with one put in flight, ours (all clients on one thread) against the
// peer (a thread for each client; of its durable_variants() the best, found before the repetitions) and a bare io_uring
// loop that writes groups of as many records. Every put has a key of its own; each engine is closed and opened again
// at the end, and a sample of what it acknowledged is asked for.
// Log without waiting: ours with wal=batched against ours without a log, a load of an empty file until it is flushed,
// and updates of a loaded one while flushes go on.
//
// Our log may hold 512 MiB, as much as the peer's write buffers: a log of the default 64 MiB is emptied by flushes
// several times in a run that the peer ends without one. --ours-settings "" shows what that costs.
// --pin holds our thread and the bare loop; the peer's threads stay free.
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>

#include "harness/data_file.h"
#include "harness/fail.h"
#include "harness/options.h"
#include "harness/phases.h"
#include "harness/raw_sync.h"
#include "harness/runner.h"
#include "peers/engines.h"

using namespace cambium::bench;

namespace {

constexpr std::uint64_t kVerifyMost = 100'000;
constexpr double kTrialShare = 0.4;          // of --seconds, for each variant of the peer
constexpr unsigned kLogRecordOverhead = 28;  // about, of a record in a log beside key and value

struct DurableOptions : Options {
  std::vector<unsigned> clients = {1, 32, 64};
  std::vector<double> goals;
  double bare_goal = 0;
  double batched_goal = 0;
  double seconds = 1;
  std::uint64_t update_count = 1'000'000;
  std::string own_settings;
  unsigned spin_us = 50;
  std::vector<std::string> only;
  bool quick = false;

  bool wants(const char* part) const { return only.empty() || std::find(only.begin(), only.end(), part) != only.end(); }
};

// Holds the calling thread on a core for a while; threads started meanwhile inherit it.
class ScopedPin {
 public:
  explicit ScopedPin(int core) {
    sched_getaffinity(0, sizeof before_, &before_);
    if (!pin_thread(core)) fail("this thread cannot be pinned to core " + std::to_string(core));
  }
  ~ScopedPin() { sched_setaffinity(0, sizeof before_, &before_); }
  ScopedPin(const ScopedPin&) = delete;
  ScopedPin& operator=(const ScopedPin&) = delete;

 private:
  cpu_set_t before_{};
};

// Clients that put fresh keys until the time is over. Slots may be served by different threads.
class DurableClients final : public PutClients {
 public:
  DurableClients(const Workload& workload, unsigned slot_count, std::atomic<std::uint64_t>& next_index)
      : next_index_(next_index) {
    for (unsigned slot = 0; slot < slot_count; ++slot) slots_.push_back(std::make_unique<Slot>(workload));
  }

  Sample run(DurablePutter& putter, double seconds) {
    end_ = now_seconds() + seconds;
    Sample sample = measure([&] {
      putter.run(*this, static_cast<unsigned>(slots_.size()));
      std::uint64_t count = 0;
      for (const auto& slot : slots_) count += slot->latencies_us.size();
      return count;
    });
    require(sample.operation_count > 0, "no put became durable in time");
    std::vector<float> all;
    for (const auto& slot : slots_) all.insert(all.end(), slot->latencies_us.begin(), slot->latencies_us.end());
    sample.extras.emplace_back("p50_us", percentile(all, 0.50));
    sample.extras.emplace_back("p99_us", percentile(all, 0.99));
    return sample;
  }

  bool next(unsigned slot_index, std::string_view& key, std::string_view& value) override {
    Slot& slot = *slots_[slot_index];
    slot.started_at = now_seconds();
    if (slot.started_at >= end_) return false;
    slot.key = slot.workload.key(next_index_.fetch_add(1, std::memory_order_relaxed));
    key = slot.key.view();
    value = slot.workload.value(key);
    return true;
  }

  void on_durable(unsigned slot_index) override {
    Slot& slot = *slots_[slot_index];
    slot.latencies_us.push_back(static_cast<float>((now_seconds() - slot.started_at) * 1e6));
  }

 private:
  struct alignas(64) Slot {
    explicit Slot(const Workload& like) : workload(like) { latencies_us.reserve(100'000); }
    Workload workload;  // of its own: it holds the value last made
    Key key{};
    double started_at = 0;
    std::vector<float> latencies_us;
  };

  std::atomic<std::uint64_t>& next_index_;
  std::vector<std::unique_ptr<Slot>> slots_;
  double end_ = 0;
};

// An engine with a log, the folder it lives in, and how many keys it has acknowledged.
class DurableSide {
 public:
  DurableSide(const std::string& engine, const DurableOptions& options, const ScratchDir& scratch)
      : engine_(make_engine(engine)), options_(options), scratch_(scratch), workload_(options.workload()) {}

  KvAdapter& engine() { return *engine_; }

  void open(const std::string& own_settings) {
    own_settings_ = own_settings;
    key_count_ = 0;
    dir_ = scratch_.fresh("durable-" + engine_->name().substr(0, engine_->name().find(' ')));
    engine_->configure(LogMode::sync, own_settings_);
    engine_->open(dir_, options_.memory_bytes);
    require(engine_->durable_putter() != nullptr, "this engine has no durable puts");
    engine_->durable_putter()->set_spin_us(options_.spin_us);
  }

  Sample run(unsigned client_count, double seconds) {
    return DurableClients(workload_, client_count, key_count_).run(*engine_->durable_putter(), seconds);
  }

  // Every put was acknowledged, so the engine has it when it is opened again.
  void close_and_verify() {
    engine_->close();
    engine_->open(dir_, options_.memory_bytes);
    Random random(options_.seed);
    const std::uint64_t count = key_count_;
    for (std::uint64_t asked = 0; asked < std::min(count, kVerifyMost); ++asked) {
      const Key key = workload_.key(count <= kVerifyMost ? asked : random.below(count));
      auto use = [&](std::string_view value) {
        if (!workload_.matches(key.view(), value)) fail(engine_->name() + ": a durable put has a wrong value");
      };
      if (!engine_->get(key.view(), use)) fail(engine_->name() + ": a durable put is gone");
    }
    engine_->close();
  }

 private:
  std::unique_ptr<KvAdapter> engine_;
  const DurableOptions& options_;
  const ScratchDir& scratch_;
  Workload workload_;
  std::string own_settings_;
  std::string dir_;
  std::atomic<std::uint64_t> key_count_{0};
};

class DurableBench {
 public:
  // The peer's engine is made first: its background threads shall not be pinned.
  DurableBench(const DurableOptions& options, Report& report, const ScratchDir& scratch)
      : options_(options), report_(report), scratch_(scratch), ours_(options.ours, options, scratch) {
    if (!options.peer.empty()) peer_ = std::make_unique<DurableSide>(options.peer, options, scratch);
  }

  void run() {
    for (std::size_t index = 0; index < options_.clients.size(); ++index) {
      const double goal = index < options_.goals.size() ? options_.goals[index] : 0;
      run_clients(options_.clients[index], goal);
    }
  }

 private:
  void run_clients(unsigned count, double goal) {
    const std::string title = "durable puts, " + std::to_string(count) + (count == 1 ? " client" : " clients");
    ours_.open(options_.own_settings);
    std::vector<Side> sides = {{ours_.engine().name(), ours_.engine().settings(), "put",
                                [&](unsigned) { return pinned([&] { return ours_.run(count, options_.seconds); }); }},
                               bare(count)};
    if (peer_ != nullptr) {
      peer_->open(best_variant(count));
      sides.push_back({peer_->engine().name(), peer_->engine().settings(), "put",
                       [&](unsigned) { return peer_->run(count, options_.seconds); }});
    }
    const Case work{.title = title, .sides = std::move(sides)};
    const auto settle = [this](unsigned) { quiesce(scratch_.path()); };
    const std::vector<Series> all = report_.alternate(std::vector{work}, options_.repetitions, settle)[0];
    report_.verdict(
        {.title = title, .ours = all[0].engine, .theirs = all[1].engine, .goal = count == 1 ? options_.bare_goal : 0},
        all[0].rates(), all[1].rates());
    ours_.close_and_verify();
    if (peer_ == nullptr) return;
    report_.verdict({.title = title, .ours = all[0].engine, .theirs = all[2].engine, .goal = goal}, all[0].rates(),
                    all[2].rates());
    peer_->close_and_verify();
  }

  template <class Body>
  Sample pinned(const Body& body) {
    const ScopedPin pin(options_.core);
    return body();
  }

  Side bare(unsigned count) {
    const std::size_t bytes = count * (kKeyBytes + options_.value_bytes + kLogRecordOverhead);
    const RawSync work{.dir = scratch_.path(),
                       .bytes_per_write = static_cast<unsigned>((bytes + 4095) / 4096 * 4096),
                       .records_per_write = count,
                       .seconds = options_.seconds,
                       .spin_us = options_.spin_us};
    return {"bare ring",
            "RWF_DSYNC writes of " + std::to_string(work.bytes_per_write) + " bytes, " + std::to_string(count) +
                " records each, on a zeroed file; spin " + std::to_string(options_.spin_us) + " us, then block",
            "put", [this, work](unsigned) { return pinned([&] { return raw_sync_write(work); }); }};
  }

  // Two short runs of each, in turns; the better one of each counts.
  std::string best_variant(unsigned count) {
    const std::vector<std::string> variants = peer_->engine().durable_variants();
    std::vector<double> best(variants.size(), 0);
    const unsigned rounds = variants.size() == 1 || options_.quick ? 1 : 2;
    for (unsigned round = 0; round < rounds; ++round) {
      for (std::size_t index = 0; index < variants.size(); ++index) {
        peer_->open(variants[index]);
        best[index] = std::max(best[index], peer_->run(count, options_.seconds * kTrialShare).rate());
        peer_->engine().close();
      }
    }
    for (std::size_t index = 0; index < variants.size(); ++index) {
      char text[240];
      std::snprintf(text, sizeof text, "%s, %u clients, trial: %.0f put/s with [%s]", peer_->engine().name().c_str(),
                    count, best[index], variants[index].c_str());
      report_.note(text);
    }
    return variants[static_cast<std::size_t>(std::max_element(best.begin(), best.end()) - best.begin())];
  }

  const DurableOptions& options_;
  Report& report_;
  const ScratchDir& scratch_;
  DurableSide ours_;
  std::unique_ptr<DurableSide> peer_;
};

// Our engine with a log that nobody waits for, against itself without one.
class BatchedBench {
 public:
  BatchedBench(const DurableOptions& options, Report& report, const ScratchDir& scratch)
      : options_(options), report_(report), scratch_(scratch), workload_(options.workload()) {
    for (std::size_t index = 0; index < engines_.size(); ++index) {
      engines_[index] = make_engine(options.ours);
      engines_[index]->configure(index == 0 ? LogMode::batched : LogMode::none, options.own_settings);
      engines_[index]->open(scratch.fresh("batched"), options.memory_bytes);
      settings_[index] = engines_[index]->settings();
      engines_[index]->close();
    }
  }

  void load() {
    compare("random load, log batched or none", [this](std::size_t index, unsigned) {
      KvAdapter& engine = *engines_[index];
      const std::string dir = scratch_.fresh("batched-load");
      quiesce(dir);
      engine.open(dir, options_.memory_bytes);
      const Sample sample = measure([&] {
        put_all(engine, workload_);
        engine.sync();
        return workload_.key_count();
      });
      verify_all(engine, workload_);
      engine.close();
      return sample;
    });
  }

  // Each run begins with what the one before it left to be flushed, and leaves as much.
  void steady() {
    for (std::size_t index = 0; index < engines_.size(); ++index) {
      engines_[index]->open(scratch_.fresh("batched-" + std::to_string(index)), options_.memory_bytes);
      load_and_settle(*engines_[index], workload_);
      update(index, options_.repetitions);
    }
    compare("random updates, log batched or none",
            [this](std::size_t index, unsigned repetition) { return update(index, repetition); });
    for (const auto& engine : engines_) engine->close();
  }

 private:
  Sample update(std::size_t index, unsigned repetition) {
    Random random(mix64(options_.seed + repetition));
    return measure([&] {
      for (std::uint64_t done = 0; done < options_.update_count; ++done) {
        const Key key = workload_.key(random.below(workload_.key_count()));
        engines_[index]->put(key.view(), workload_.value(key.view()));
      }
      return options_.update_count;
    });
  }

  void compare(const std::string& title, const std::function<Sample(std::size_t, unsigned)>& run) {
    constexpr std::array<const char*, 2> kNames{"batched", "no log"};
    Case work{.title = title, .sides = {}};
    for (std::size_t index = 0; index < engines_.size(); ++index) {
      work.sides.push_back({engines_[index]->name() + " " + kNames[index], settings_[index], "put",
                            [&run, index](unsigned repetition) { return run(index, repetition); }});
    }
    const auto all = report_.alternate(work, options_.repetitions);
    report_.verdict({.title = title, .ours = all[0].engine, .theirs = all[1].engine, .goal = options_.batched_goal},
                    all[0].rates(), all[1].rates());
  }

  const DurableOptions& options_;
  Report& report_;
  const ScratchDir& scratch_;
  Workload workload_;
  std::array<std::unique_ptr<KvAdapter>, 2> engines_;
  std::array<std::string, 2> settings_;
};

}  // namespace

int main(int argc, char** argv) {
  DurableOptions options;
  CLI::App app{"Durable puts against a bare ring and a peer; and what a log costs that nobody waits for"};
  add_options(app, options);
  app.add_option("--clients", options.clients, "numbers of clients, each with one durable put in flight")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  app.add_option("--goals", options.goals, "as --goal, against the peer: one for each number of clients")
      ->delimiter(',');
  app.add_option("--bare-goal", options.bare_goal, "as --goal, for one client against the bare ring");
  app.add_option("--batched-goal", options.batched_goal, "as --goal, for wal=batched against no log");
  app.add_option("--seconds", options.seconds, "seconds per run of durable puts")->capture_default_str();
  app.add_option("--updates", options.update_count, "updates per run of the batched log")->capture_default_str();
  app.add_option("--ours-settings", options.own_settings, "more settings of our engine")->capture_default_str();
  app.add_option("--spin-us", options.spin_us,
                 "how long our loop and the bare one look for completions before they block")
      ->capture_default_str();
  app.add_option("--only", options.only, "any of durable, load, steady; all when absent")
      ->delimiter(',')
      ->check(CLI::IsMember({"durable", "load", "steady"}));
  app.add_flag("--quick", options.quick, "a moment of everything, to see that it works; no verdict");
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;
  if (options.quick) {
    options.repetitions = 1;
    options.seconds = 0.05;
    options.key_count = options.update_count = 20'000;
  }

  const ScratchDir scratch(options.dir, options.keep);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", options.seconds);
  Report report("bench_durable", scratch.path(),
                options.describe({{"seconds", seconds}, {"updates", std::to_string(options.update_count)}}),
                options.json_path);
  if (options.wants("durable")) DurableBench(options, report, scratch).run();
  if (options.wants("load") || options.wants("steady")) {
    BatchedBench bench(options, report, scratch);
    const ScopedPin pin(options.core);
    if (options.wants("load")) bench.load();
    if (options.wants("steady")) bench.steady();
  }
  return report.exit_code();
}
