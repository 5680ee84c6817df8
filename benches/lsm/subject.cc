// SPDX-License-Identifier: MIT OR Apache-2.0
#include "lsm/subject.h"

#include "harness/measure.h"
#include "harness/phases.h"
#include "harness/sampler.h"

namespace cambium::bench {
namespace {

double ratio(std::uint64_t bytes, std::uint64_t of) { return static_cast<double>(bytes) / static_cast<double>(of); }

}  // namespace

Subject::Subject(const LsmOptions& options, ConcurrentStore& store, const ScratchDir& scratch, std::string dir_name)
    : options_(options), store_(store), scratch_(scratch), dir_name_(std::move(dir_name)) {}

void Subject::add_counters(Sample& sample, const std::vector<Counter>& before) const {
  const std::vector<Counter> after = store_.counters();
  for (std::size_t index = 0; index < before.size(); ++index) {
    sample.extras.emplace_back("own_" + after[index].name,
                               static_cast<double>(after[index].value - before[index].value));
  }
}

void Subject::open_fresh(std::uint64_t memory_bytes) {
  store_.close();
  dir_ = scratch_.fresh(dir_name_);
  quiesce(dir_);
  store_.open(dir_, memory_bytes);
}

Sample Subject::timed_writes(const Clients& clients, std::uint64_t entry_bytes, std::uint64_t live_bytes) {
  const std::vector<Counter> counters_before = store_.counters();
  const DiskIo disk_before = disk_io(dir_);
  const ProcessIo io_before = process_io();
  Sampler sampler(dir_, [&clients] { return operation_count(clients); });
  double put_seconds = 0;
  Sample sample = measure([&] {
    const double start = now_seconds();
    run_clients(store_, clients);
    put_seconds = now_seconds() - start;
    sampler.end_window();
    store_.settle();
    return operation_count(clients);
  });
  sampler.stop();
  const ProcessIo io_after = process_io();
  const DiskIo disk_after = disk_io(dir_);
  require(sample.operation_count > 0, "no put ended in time");

  const double put_rate = static_cast<double>(sample.operation_count) / put_seconds;
  const double worst_rate = sampler.worst_rate(put_rate);
  const std::uint64_t user_bytes = sample.operation_count * entry_bytes;
  sample.extras = {{"put_per_s", put_rate},
                   {"settle_seconds", sample.wall_seconds - put_seconds},
                   {"worst_second_per_s", worst_rate},
                   {"worst_second_share", worst_rate / put_rate},
                   {"write_amp", ratio(io_after.write_bytes - io_before.write_bytes, user_bytes)}};
  if (disk_before.known) {
    sample.extras.emplace_back("disk_write_amp",
                               ratio(disk_after.written_bytes - disk_before.written_bytes, user_bytes));
  }
  sample.extras.emplace_back("space_amp_max", ratio(sampler.bytes_max(), live_bytes));
  sample.extras.emplace_back("space_amp", ratio(allocated_bytes(dir_), live_bytes));
  add_counters(sample, counters_before);
  return sample;
}

Sample Subject::timed_reads(const Clients& warmup, const Clients& clients) {
  const double warmup_end = now_seconds() + options_.warmup_seconds;
  for (const auto& client : warmup) client->set_end(warmup_end);
  run_clients(store_, warmup);
  const std::vector<Counter> counters_before = store_.counters();
  const std::uint64_t read_bytes_before = process_io().read_bytes;
  const double end = now_seconds() + options_.seconds;
  for (const auto& client : clients) client->set_end(end);
  Sample sample = measure([&] {
    run_clients(store_, clients);
    return operation_count(clients);
  });
  require(sample.operation_count > 0, "no operation ended in time");
  add_latencies(sample, clients);
  sample.extras.emplace_back("device_kib_per_op",
                             ratio(process_io().read_bytes - read_bytes_before, sample.operation_count) / 1024);
  add_counters(sample, counters_before);
  return sample;
}

void conclude_writes(Report& report, const LsmOptions& options, const std::string& name, const std::string& title,
                     const std::vector<Series>& sides) {
  auto verdict = [&](const char* suffix, const char* what, const std::vector<double>& ours,
                     const std::vector<double>& theirs, bool less_is_better) {
    const std::string id = name + suffix;
    report.verdict({.title = title + what + " [" + id + "]",
                    .ours = sides[0].engine,
                    .theirs = sides[1].engine,
                    .less_is_better = less_is_better,
                    .goal = options.goal_of(id)},
                   ours, theirs);
  };
  auto by_extra = [&](const char* suffix, const char* what, const char* extra, bool less_is_better) {
    verdict(suffix, what, sides[0].extras(extra), sides[1].extras(extra), less_is_better);
  };
  by_extra("", ": puts/s while they come", "put_per_s", false);
  verdict("_settled", ": puts/s until settled", sides[0].rates(), sides[1].rates(), false);
  by_extra("_worst", ": share of the mean in the worst second", "worst_second_share", false);
  by_extra("_wa", ": write amplification", "write_amp", true);
  by_extra("_space_max", ": space amplification at its highest", "space_amp_max", true);
  by_extra("_space", ": space amplification, settled", "space_amp", true);
}

void conclude(Report& report, const LsmOptions& options, const std::string& name, const std::string& title,
              const std::vector<Series>& sides) {
  report.verdict({.title = title + " [" + name + "]",
                  .ours = sides[0].engine,
                  .theirs = sides[1].engine,
                  .goal = options.goal_of(name)},
                 sides[0].rates(), sides[1].rates());
}

}  // namespace cambium::bench
