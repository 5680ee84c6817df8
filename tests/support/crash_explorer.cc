// SPDX-License-Identifier: MIT OR Apache-2.0
#include "support/crash_explorer.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>

#include "base/assert.h"
#include "base/random.h"
#include "base/text.h"
#include "format/page_header.h"
#include "format/space_page.h"
#include "format/superblock.h"
#include "support/effort.h"
#include "support/figures.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr std::uint64_t kWriteEvery = 4;   // one image in so many is written to and reopened
constexpr std::uint64_t kNestEvery = 149;  // one in so many is cut again at every step of its recovery
constexpr Bytes kMarkerKey = "\xff crash marker";
constexpr Bytes kMarkerValue = "written after recovery";
constexpr std::uint64_t kSuperblockBytes = std::uint64_t{format::kSuperblockPages} * kPageBytes;
// Superblocks, and bitmaps and table of the first group: all there is of both in files of less than 126 MiB.
constexpr std::uint64_t kCommitBytes =
    kSuperblockBytes + std::uint64_t{format::kBitmapSlots + format::kTableSlots} * kPageBytes;

Options opened(const CrashWorkload& workload, OpenMode mode) {
  Options options = workload.options;
  options.path = kCrashFile;
  options.mode = mode;
  return options;
}

Task<Status> run_script(Core& core, const CrashWorkload& workload, bool preparing, TracedPartition& db) {
  const bool fresh = preparing || workload.prepare == nullptr;
  co_await check(db.open(core, opened(workload, fresh ? OpenMode::create : OpenMode::open)));
  co_await check((preparing ? workload.prepare : workload.run)(core, db));
  Status closed = co_await db.close();
  co_return closed;
}

// ---- one image ----------------------------------------------------------------------------------------------------

struct Recovery {
  ContentSum content;  // without the marker
  std::set<std::string> tables;
  bool had_marker = false;
  bool opened = false;          // open() has returned
  bool marker_flushed = false;  // this recovery wrote it and got the answer
};

Task<Status> recover(Core& core, const Options& options, bool write, Recovery& recovery) {
  Partition db = co_await check(Partition::open(core, options));
  recovery.opened = true;
  co_await check(db.check());
  recovery.content = co_await check(content_of(db));
  for (const TableInfo& info : db.tables()) recovery.tables.insert(info.table.name());
  Value marker = co_await check(db.get(kMarkerKey));
  if (marker) {
    recovery.had_marker = true;
    recovery.content.remove(entry_hash(kMarkerKey, marker.bytes()));
  }
  marker = Value();
  if (write) {
    co_await check(db.put(kMarkerKey, kMarkerValue));
    co_await check(db.flush());
    recovery.marker_flushed = true;
  }
  Status closed = co_await db.close();
  co_return closed;
}

Status recover_on(SimDisk& disk, const Options& options, std::uint64_t seed, bool write, Recovery& recovery) {
  const std::unique_ptr<Core> core = disk.make_core({.seed = seed});
  const Status recovered = core->run(recover(*core, options, write, recovery));
  core->drain();  // a partition that was not closed ends its background work here
  return recovered;
}

// ---- the explorer -------------------------------------------------------------------------------------------------

class Explorer {
 public:
  Explorer(const CrashWorkload& workload, std::uint64_t seed, std::uint64_t states)
      : workload_(workload), seed_(seed), states_(states) {}

  CrashReport explore() {
    const std::uint64_t trace = run_once(nullptr);
    report_.steps = steps_;
    const std::uint64_t cuts = std::max<std::uint64_t>(cuts_, 1);
    per_cut_ = std::max<std::uint64_t>(states_ / cuts, 8);
    if (!report_.violations.empty()) return report_;
    if (run_once(&Explorer::cut_here) != trace)
      violation("two runs with one seed differ: the trace hash is not the same");
    report_.cuts = cuts_;
    report_.versions_seen = versions_.size();
    return report_;
  }

 private:
  // Prepares a new disk, then runs the workload with the hook, which counts at least. Answers the trace.
  std::uint64_t run_once(SimDisk::StepCallback hook) {
    SimDisk disk;
    VersionLog log;
    disk_ = &disk;
    log_ = &log;
    steps_ = cuts_ = 0;
    if (workload_.prepare != nullptr) run(disk, log, true);
    if (workload_.sabotage != nullptr) workload_.sabotage(disk);
    disk.on_step(hook != nullptr ? hook : &Explorer::count, this);
    run(disk, log, false);
    const std::uint64_t trace = disk.trace_hash();
    disk_ = nullptr;
    return trace;
  }

  void run(SimDisk& disk, VersionLog& log, bool preparing) {
    TracedPartition db(log, workload_.home);
    const std::unique_ptr<Core> core = disk.make_core(device());
    const Status done = core->run(run_script(*core, workload_, preparing, db));
    if (!done) violation(rt::str(preparing ? "prepare" : "run", " failed: ", done.error().message()));
    core->drain();
    if (core->spawned() != 0) violation("coroutines are left after close()");
  }

  SimOptions device() const noexcept { return seed_ % 2 == 0 ? SimOptions{.seed = seed_} : SimOptions::drawn(seed_); }

  static void count(void* self, const SimStep& step) {
    auto& explorer = *static_cast<Explorer*>(self);
    ++explorer.steps_;
    if (step.changed) ++explorer.cuts_;
  }

  static void cut_here(void* self, const SimStep& step) {
    count(self, step);
    if (step.changed) static_cast<Explorer*>(self)->cut(step);
  }

  bool enough() const noexcept { return report_.violations.size() >= violations_max_; }

  // Every image of this moment: the extremes, the two halves of the commit, all subsets if few, then random ones.
  void cut(const SimStep& step) {
    step_ = step.index;
    const std::uint64_t pending = disk_->pending_sectors();
    check_image(disk_->crash_image(PowerCutPolicy::none, 0), "none", 0);
    check_fallback(disk_->crash_image_region(0, kCommitBytes, false));
    if (pending == 0) return;
    check_image(disk_->crash_image(PowerCutPolicy::all, 0), "all", 0);
    check_image(disk_->crash_image_region(0, kSuperblockBytes, true), "superblocks only", 0);
    check_image(disk_->crash_image_region(0, kSuperblockBytes, false), "all but the superblocks", 0);
    std::uint64_t left = per_cut_ > 4 ? per_cut_ - 4 : 0;
    if (pending <= 10 && (std::uint64_t{1} << pending) <= std::max<std::uint64_t>(left, 64)) {
      for (std::uint64_t mask = 1; mask + 1 < std::uint64_t{1} << pending; ++mask) {
        check_image(disk_->crash_image_mask(mask), "mask", mask);
        left -= left > 0 ? 1 : 0;
      }
    }
    constexpr PowerCutPolicy kRandomPolicies[] = {
        PowerCutPolicy::random_torn, PowerCutPolicy::random, PowerCutPolicy::prefix,      PowerCutPolicy::all_but_one,
        PowerCutPolicy::random_torn, PowerCutPolicy::suffix, PowerCutPolicy::random_torn, PowerCutPolicy::only_one};
    for (std::uint64_t i = 0; i < left; ++i) {
      const PowerCutPolicy policy = kRandomPolicies[i % std::size(kRandomPolicies)];
      const std::uint64_t image_seed = seed_ * 1'000'003 + step.index * 4099 + i;
      check_image(disk_->crash_image(policy, image_seed), to_string(policy), image_seed);
    }
  }

  // The pages that the commit under way has written arrive, its bitmaps and superblock do not, and the newest
  // superblock rots. A page given free too early is written over here, while the older superblock still needs it.
  void check_fallback(SimDisk image) {
    if (enough() || !log_->is_created()) return;
    ++report_.states;
    add_effort();
    image_name_ = rt::str("step ", step_, ", all but the commit arrived, and the newest superblock is lost");
    const auto generation = [&](std::uint64_t page) {
      const std::string bytes = image.peek(kCrashFile.view(), page * kPageBytes, sizeof(format::PageHeader));
      format::PageHeader header;
      std::memcpy(&header, bytes.data(), sizeof header);
      return header.generation;
    };
    const std::uint64_t newest = generation(0) > generation(format::kSuperblockCopies) ? 0 : 1;
    image.zero(kCrashFile.view(), newest * format::kSuperblockCopies * kPageBytes,
               format::kSuperblockCopies * kPageBytes);
    Recovery recovery;
    const Status recovered = recover_on(image, opened(workload_, OpenMode::open), step_, false, recovery);
    report_.compared += recovered ? 1u : 0u;
    if (!recovered) {
      const bool overtaken = recovered.error().message().find("space map page") != std::string::npos;
      if (!overtaken) violation(rt::str("recovery failed: ", recovered.error().message()));
    } else if (workload_.fallback_keeps ? !log_->find(recovery.content) : !log_->find_any(recovery.content)) {
      violation("the content is that of no version that may be there");
    } else if (workload_.fallback_keeps && !log_->has_right_tables(recovery.tables)) {
      violation("the older superblock does not have the tables that it should");
    } else {
      ++report_.fallbacks;
    }
  }

  void check_image(SimDisk image, std::string_view policy, std::uint64_t image_seed) {
    if (enough()) return;
    add_effort();
    const std::uint64_t number = report_.states++;
    const bool nest = number % kNestEvery == kNestEvery - 1;
    const bool write = nest || number % kWriteEvery == 0;
    image_name_ = rt::str("step ", step_, ", policy ", policy, ", image seed ", image_seed);
    const SimDisk before = nest ? image.clone() : SimDisk();
    Recovery recovery;
    const Options options = opened(workload_, OpenMode::open);
    const Status recovered = recover_on(image, options, image_seed, write, recovery);
    if (!recovered) {
      if (log_->is_created()) return violation(rt::str("recovery failed: ", recovered.error().message()));
      ++report_.unborn;  // never acknowledged to be there: a refusal is an answer, a crash of the process is not
      return;
    }
    ++report_.compared;
    const std::optional<std::uint64_t> version = log_->find(recovery.content);
    if (!version) {
      return violation(rt::str("the content (", recovery.content.entries, " entries) is that of no version from ",
                               log_->acknowledged(), " to ", log_->submitted()));
    }
    if (!log_->has_right_tables(recovery.tables)) return violation("there is a table too many, or one too few");
    versions_.insert(*version);
    if (!write) return;
    Recovery again;
    const Status reopened = recover_on(image, options, image_seed + 1, false, again);
    if (!reopened) return violation(rt::str("opening again failed: ", reopened.error().message()));
    if (!again.had_marker || again.content != recovery.content)
      return violation("what was flushed after recovery is not there");
    if (nest) cut_recovery(before, options, image_seed, recovery.content);
  }

  // ---- cuts inside recovery ----

  struct NestedCut {
    Explorer* explorer;
    SimDisk* disk;
    const Options* options;
    const ContentSum* content;  // the version that the outer recovery showed
    const Recovery* running;
    std::uint64_t seed;
  };

  void cut_recovery(const SimDisk& before, const Options& options, std::uint64_t image_seed,
                    const ContentSum& content) {
    SimDisk disk = before.clone();
    Recovery running;
    NestedCut nested{this, &disk, &options, &content, &running, image_seed};
    disk.on_step(&Explorer::cut_nested, &nested);
    const Status recovered = recover_on(disk, options, image_seed, true, running);
    if (!recovered) violation(rt::str("recovery failed the second time: ", recovered.error().message()));
  }

  static void cut_nested(void* context, const SimStep& step) {
    if (!step.changed) return;
    const NestedCut& nested = *static_cast<NestedCut*>(context);
    Explorer& self = *nested.explorer;
    if (self.enough()) return;
    for (const PowerCutPolicy policy : {PowerCutPolicy::none, PowerCutPolicy::random_torn, PowerCutPolicy::random,
                                        PowerCutPolicy::suffix, PowerCutPolicy::random_torn}) {
      const std::uint64_t image_seed = ++self.nested_seed_;
      SimDisk image = nested.disk->crash_image(policy, image_seed);
      ++self.report_.states;
      ++self.report_.states_in_recovery;
      add_effort();
      Recovery recovery;
      const Status recovered = recover_on(image, *nested.options, image_seed, false, recovery);
      self.report_.compared += recovered ? 1u : 0u;
      const std::string where =
          rt::str("step ", step.index, " of recovery, policy ", to_string(policy), ", seed ", image_seed);
      if (!recovered) {
        self.violation(rt::str(where, ": recovery failed: ", recovered.error().message()));
      } else if (recovery.content != *nested.content &&
                 (nested.running->opened || !self.log_->find(recovery.content))) {
        // Until open() returns nobody has seen a version: a superblock with one bad sector may be mended by chance,
        // when only that sector of the next superblock arrives.
        self.violation(rt::str(where, ": another version than the one already recovered"));
      } else if (nested.running->marker_flushed && !recovery.had_marker) {
        self.violation(rt::str(where, ": a flush acknowledged after recovery is lost"));
      }
    }
  }

  void violation(std::string_view what) {
    if (enough()) return;
    report_.violations.push_back(rt::str(workload_.name, " (seed ", seed_, "), ", image_name_, ": ", what));
  }

  const CrashWorkload& workload_;
  std::uint64_t seed_;
  std::uint64_t states_;
  // Each of them is as good as the first; a test of the tests needs no more than one.
  std::size_t violations_max_ = number_from_environment("CAMBIUM_VIOLATIONS", 8);
  std::uint64_t per_cut_ = 0;
  SimDisk* disk_ = nullptr;
  VersionLog* log_ = nullptr;
  std::uint64_t step_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t cuts_ = 0;
  std::uint64_t nested_seed_ = 0;
  std::string image_name_ = "no cut";
  std::set<std::uint64_t> versions_;
  CrashReport report_;
};

}  // namespace

std::string crash_key(std::uint64_t i) { return rt::str("key ", 100'000 + i); }

std::string crash_value(std::uint64_t i, std::uint64_t round, std::size_t bytes) {
  std::string value = rt::str(i, " in round ", round, " ");
  rt::Random random(i * 977 + round);
  const std::size_t text = value.size();
  value.resize(std::max(bytes, text));
  random.bytes(value.data() + text, value.size() - text);
  return value;
}

CrashReport explore_crashes(const CrashWorkload& workload, std::uint64_t seed, std::uint64_t states) {
  return Explorer(workload, seed, states).explore();
}

CrashReport expect_survival(const CrashWorkload& workload) {
  const std::uint64_t seed = test_seed(2024);
  const std::uint64_t states = number_from_environment("CAMBIUM_CRASH_STATES", 400'000) / kCrashWorkloads;
  CrashReport report = explore_crashes(workload, seed, states);
  constexpr const char* kHomes[] = {"", ", on a level store", ", on both kinds"};
  std::printf("%s\n",
              rt::str("power cuts: ", workload.name, kHomes[static_cast<std::size_t>(workload.home)], ": ",
                      report.states, " states at ", report.cuts, " of ", report.steps, " steps (",
                      report.states_in_recovery, " inside recovery, ", report.unborn, " before the file was made), ",
                      report.versions_seen, " versions recovered, ", report.fallbacks, " times by the older superblock")
                  .c_str());
  report_figure("crash states", report.compared);
  INFO("replay: " << replay_command("test_sim", seed));
  for (const std::string& violation : report.violations) FAIL_CHECK(violation);
  CHECK(report.cuts >= 20);
  CHECK(report.versions_seen > 1);
  CHECK(report.fallbacks > report.cuts / 4);
  return report;
}

}  // namespace cambium::test
