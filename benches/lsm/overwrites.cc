// SPDX-License-Identifier: MIT OR Apache-2.0
// Steady uniform overwrites: what a store sustains once every put replaces an older value, and what that costs in bytes
// written and in space. The load before is settled and not in the figures; every key is verified afterwards.
#include "lsm/groups.h"

namespace cambium::bench {
namespace {

struct OverwriteParty {
  OverwriteParty(const Bench& bench, const Workload& workload, ConcurrentStore& store, std::string dir)
      : subject(bench.options, store, bench.scratch, std::move(dir)),
        versions(workload.key_count()),
        data(workload, versions) {}
  Subject subject;
  VersionTable versions;
  VersionedData data;
};

Sample overwrite(const LsmOptions& options, OverwriteParty& party, unsigned repetition) {
  Subject& subject = party.subject;
  party.versions.reset();
  subject.open_fresh(options.overwrite_memory_bytes);
  const Clients loaders = make_clients(options.cores, [&](unsigned index) {
    return std::make_unique<LoadClient>(party.data, subject.share(index, options.cores));
  });
  run_clients(subject.store(), loaders);
  subject.store().settle();

  const unsigned count = options.overwrite_clients;
  const std::uint64_t seed = mix64(options.seed + repetition);
  const Clients clients = make_clients(count, [&](unsigned index) {
    return std::make_unique<PutClient>(party.data, subject.share(index, count), mix64(seed + index));
  });
  const double end = now_seconds() + options.overwrite_seconds;
  for (const auto& client : clients) client->set_end(end);
  const std::uint64_t entry_bytes = party.data.entry_bytes();
  Sample sample = subject.timed_writes(clients, entry_bytes, entry_bytes * party.data.key_count());
  add_latencies(sample, clients);
  verify_store(subject.store(), party.data);
  subject.store().close();
  return sample;
}

}  // namespace

void run_overwrites(const Bench& bench) {
  const LsmOptions& options = bench.options;
  const Workload workload(KeyKind::random, options.overwrite_keys, options.value_bytes, options.seed);
  OverwriteParty ours(bench, workload, bench.ours, "ours");
  OverwriteParty theirs(bench, workload, bench.theirs, "theirs");
  Case both{.title = "uniform overwrites, " + std::to_string(options.overwrite_clients) + " clients", .sides = {}};
  for (OverwriteParty* party : {&ours, &theirs}) {
    auto run = [&options, party](unsigned repetition) { return overwrite(options, *party, repetition); };
    both.sides.push_back(party->subject.side("put", options.overwrite_memory_bytes, run));
  }
  const std::vector<Series> all = bench.report.alternate(both, options.repetitions);
  conclude_writes(bench.report, options, "overwrites", both.title, all);
  bench.report.verdict({.title = both.title + ": p99.9 of a put [overwrites_p999]",
                        .ours = all[0].engine,
                        .theirs = all[1].engine,
                        .less_is_better = true,
                        .goal = options.goal_of("overwrites_p999")},
                       all[0].extras("p999_us"), all[1].extras("p999_us"));
}

}  // namespace cambium::bench
