// SPDX-License-Identifier: MIT OR Apache-2.0
// Data several times as large as memory: its random load, and then gets and scans of what the load left.
//
// Gets during compaction: a tenth of the keys is overwritten as fast as the store takes it, and while that is being
// compacted and further overwrites come at a fixed rate, the same on both sides, the gets are measured.
#include <algorithm>

#include "lsm/groups.h"

namespace cambium::bench {
namespace {

constexpr std::uint64_t kBurstShare = 10;  // of the keys, one in ten is overwritten before gets during compaction

class BigData {
 public:
  explicit BigData(const Bench& bench)
      : bench_(bench),
        options_(bench.options),
        workload_(options_.workload()),
        ours_(bench, workload_, "ours"),
        theirs_(bench, workload_, "theirs") {}

  void run() {
    const bool loads = options_.wants("load");
    if (loads) add("load", "random load", "put", &BigData::load);
    if (options_.wants("gets")) {
      for (const unsigned depth : options_.depths) add_gets(depth);
    }
    if (options_.wants("scans")) {
      add("scan_forward", "full scan, forward", "entry", &BigData::scan_forward);
      add("scan_reverse", "full scan, reverse", "entry", &BigData::scan_reverse);
      add("scan_short", "scans of 1 to 100 entries, " + std::to_string(options_.scan_clients) + " in flight", "scan",
          &BigData::scan_short);
    }
    if (options_.wants("gets")) {
      for (const unsigned depth : options_.depths) add_busy_gets(depth);
    }
    // Without a measured load there is one all the same: reads want fresh files on both sides.
    const auto all = bench_.report.alternate(cases_, options_.repetitions, [&](unsigned) {
      if (!loads) load_both();
    });
    for (std::size_t index = 0; index < cases_.size(); ++index) {
      if (names_[index] == "load") {
        conclude_writes(bench_.report, options_, names_[index], cases_[index].title, all[index]);
      } else {
        conclude(bench_.report, options_, names_[index], cases_[index].title, all[index]);
      }
    }
    bench_.ours.close();
    bench_.theirs.close();
  }

 private:
  struct Party {
    Party(const Bench& bench, const Workload& workload, const char* dir)
        : subject(bench.options, dir == std::string("ours") ? bench.ours : bench.theirs, bench.scratch, dir),
          versions(workload.key_count()),
          data(workload, versions) {}
    Subject subject;
    VersionTable versions;
    VersionedData data;
  };
  using Work = Sample (BigData::*)(Party&, std::uint64_t seed);

  void add(const std::string& name, const std::string& title, const std::string& operation, Work work) {
    add(name, title, operation, [this, work](Party& party, std::uint64_t seed) { return (this->*work)(party, seed); });
  }
  void add(const std::string& name, const std::string& title, const std::string& operation,
           const std::function<Sample(Party&, std::uint64_t)>& work) {
    Case both{.title = title, .sides = {}};
    for (Party* party : {&ours_, &theirs_}) {
      auto run = [this, party, work](unsigned repetition) { return work(*party, mix64(options_.seed + repetition)); };
      both.sides.push_back(party->subject.side(operation, options_.memory_bytes, run));
    }
    cases_.push_back(std::move(both));
    names_.push_back(name);
  }
  void add_gets(unsigned depth) {
    const std::string count = std::to_string(depth);
    add("gets" + count, "gets, " + count + " in flight", "get",
        [this, depth](Party& party, std::uint64_t seed) { return gets(party, seed, depth); });
  }
  void add_busy_gets(unsigned depth) {
    const std::string count = std::to_string(depth);
    add("busy_gets" + count, "gets during compaction, " + count + " in flight", "get",
        [this, depth](Party& party, std::uint64_t seed) { return busy_gets(party, seed, depth); });
  }

  Sample load(Party& party, std::uint64_t) {
    party.versions.reset();
    party.subject.open_fresh(options_.memory_bytes);
    const Clients clients = make_clients(options_.cores, [&](unsigned index) {
      return std::make_unique<LoadClient>(party.data, party.subject.share(index, options_.cores));
    });
    const std::uint64_t entry_bytes = party.data.entry_bytes();
    Sample sample = party.subject.timed_writes(clients, entry_bytes, entry_bytes * party.data.key_count());
    verify_store(party.subject.store(), party.data);
    return sample;
  }
  void load_both() {
    load(ours_, 0);
    load(theirs_, 0);
  }

  Clients get_clients(Party& party, unsigned depth, std::uint64_t seed) const {
    return make_clients(depth, [&](unsigned index) {
      return std::make_unique<GetClient>(party.data, party.subject.share(index, depth), mix64(seed + index));
    });
  }

  Sample gets(Party& party, std::uint64_t seed, unsigned depth) {
    return party.subject.timed_reads(get_clients(party, depth, mix64(seed)), get_clients(party, depth, seed));
  }

  // One writer per core beside the gets: only it knows when a put of its keys has ended.
  Sample busy_gets(Party& party, std::uint64_t seed, unsigned depth) {
    ConcurrentStore& store = party.subject.store();
    const unsigned writers = options_.cores;
    const Clients burst = make_clients(writers, [&](unsigned index) {
      auto client = std::make_unique<PutClient>(party.data, party.subject.share(index, writers), mix64(~seed + index));
      client->set_limit(std::max<std::uint64_t>(1, party.data.key_count() / kBurstShare / writers));
      return client;
    });
    run_clients(store, burst);

    const double end = now_seconds() + options_.seconds;
    const Clients clients = get_clients(party, depth, seed);
    for (const auto& client : clients) client->set_end(end);
    const double rate = static_cast<double>(options_.background_rate) / writers;
    const Clients background = make_clients(writers, [&](unsigned index) {
      return std::make_unique<PacedPutClient>(party.data, party.subject.share(index, writers), mix64(seed ^ index),
                                              rate, end);
    });
    std::vector<Client*> all;
    for (const auto& client : clients) all.push_back(client.get());
    // Clients start on shards in turn: where shares follow shards, the depth is a multiple of them.
    for (const auto& client : background) all.push_back(client.get());
    const ProcessIo io_before = process_io();
    Sample sample = measure([&] {
      store.run(all);
      return operation_count(clients);
    });
    add_latencies(sample, clients);
    sample.extras.emplace_back("put_per_s", static_cast<double>(operation_count(background)) / sample.wall_seconds);
    const double written = static_cast<double>(process_io().write_bytes - io_before.write_bytes);
    sample.extras.emplace_back("written_mb_per_s", written * 1e-6 / sample.wall_seconds);
    store.settle();
    return sample;
  }

  Sample scan_forward(Party& party, std::uint64_t) { return full_scan(party, Direction::forward); }
  Sample scan_reverse(Party& party, std::uint64_t) { return full_scan(party, Direction::reverse); }

  Sample full_scan(Party& party, Direction direction) {
    ConcurrentStore& store = party.subject.store();
    std::vector<DigestSink> sinks(store.scan_parts());
    std::vector<EntrySink*> views;
    for (DigestSink& sink : sinks) views.push_back(&sink);
    Digest found;
    const Sample sample = measure([&] {
      store.scan_all(direction, views);
      for (const DigestSink& sink : sinks) {
        found.entry_count += sink.digest().entry_count;
        found.sum += sink.digest().sum;
      }
      return found.entry_count;
    });
    if (found != party.data.expected_digest()) fail(store.name() + ": a scan returned other entries than were put");
    return sample;
  }

  Sample scan_short(Party& party, std::uint64_t seed) {
    const Key greatest = greatest_key(party.data);
    auto make = [&](std::uint64_t first_seed) {
      return make_clients(options_.scan_clients, [&](unsigned index) {
        return std::make_unique<ScanClient>(party.data, party.subject.share(index, options_.scan_clients),
                                            mix64(first_seed + index), greatest);
      });
    };
    const Clients clients = make(seed);
    Sample sample = party.subject.timed_reads(make(~seed), clients);
    std::uint64_t entries = 0;
    for (const auto& client : clients) entries += static_cast<const ScanClient&>(*client).entry_count();
    sample.extras.emplace_back("entries_per_s", static_cast<double>(entries) / sample.wall_seconds);
    return sample;
  }

  static Key greatest_key(const VersionedData& data) {
    Key greatest = data.key(0);
    for (std::uint64_t index = 1; index < data.key_count(); ++index) greatest = std::max(greatest, data.key(index));
    return greatest;
  }

  const Bench& bench_;
  const LsmOptions& options_;
  Workload workload_;
  Party ours_;
  Party theirs_;
  std::vector<Case> cases_;
  std::vector<std::string> names_;  // of the verdicts, as --goals has them
};

}  // namespace

void run_big_data(const Bench& bench) { BigData(bench).run(); }

}  // namespace cambium::bench
