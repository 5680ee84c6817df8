// SPDX-License-Identifier: MIT OR Apache-2.0
// The core workloads of YCSB in their usual order: load, A, B, C, F, D, and, after another load, E.
//
// A run is a number of operations, as in the original, not a time: how many records are inserted follows from it. Each
// run is settled before the other side has its turn, so that no side pays for the other's compaction.
#include <algorithm>

#include "lsm/groups.h"
#include "lsm/ycsb_client.h"

namespace cambium::bench {
namespace {

constexpr char kReloads = 'E';

class YcsbRuns {
 public:
  explicit YcsbRuns(const Bench& bench)
      : bench_(bench),
        options_(bench.options),
        rows_(options_.ycsb_fields, options_.ycsb_field_bytes, options_.seed),
        latest_(options_.ycsb_records),
        ours_(options_, bench.ours, bench.scratch, "ours"),
        theirs_(options_, bench.theirs, bench.scratch, "theirs") {
    std::string key;
    for (std::uint64_t number = 0; number < options_.ycsb_records; ++number) {
      Rows::make_key(number, key);
      greatest_key_ = std::max(greatest_key_, key);
    }
  }

  void run() {
    std::vector<Case> cases;
    for (const char letter : options_.ycsb_workloads) {
      Case both{.title = std::string("YCSB ") + letter, .sides = {}};
      for (Party* party : {&ours_, &theirs_}) {
        auto run = [this, party, letter](unsigned repetition) { return run_one(*party, letter, repetition); };
        both.sides.push_back(party->subject.side("op", options_.memory_bytes, run));
      }
      cases.push_back(std::move(both));
    }
    const auto all = bench_.report.alternate(cases, options_.repetitions, [this](unsigned) {
      load(ours_);
      load(theirs_);
    });
    for (std::size_t index = 0; index < cases.size(); ++index) {
      const std::string name = std::string("ycsb_") + options_.ycsb_workloads[index];
      conclude(bench_.report, options_, name, cases[index].title, all[index]);
    }
    bench_.ours.close();
    bench_.theirs.close();
  }

 private:
  struct Party {
    Party(const LsmOptions& options, ConcurrentStore& store, const ScratchDir& scratch, std::string dir)
        : subject(options, store, scratch, std::move(dir)) {}
    Subject subject;
    std::unique_ptr<InsertCounter> inserts;
    bool fresh = false;
  };

  void load(Party& party) {
    party.subject.open_fresh(options_.memory_bytes);
    const Clients clients = make_clients(options_.cores, [&](unsigned index) {
      return std::make_unique<YcsbLoadClient>(rows_, options_.ycsb_records, party.subject.share(index, options_.cores));
    });
    run_clients(party.subject.store(), clients);
    party.subject.store().settle();
    party.inserts = std::make_unique<InsertCounter>(options_.ycsb_records);
    party.fresh = true;
  }

  // The original scatters over the records there are and twice those that it expects to insert.
  YcsbPlan plan_of(char letter, std::uint64_t operations, const Party& party) const {
    const Mix& mix = ycsb_mix(letter);
    const auto expected = static_cast<std::uint64_t>(static_cast<double>(operations) * mix.inserts * 2);
    return {.mix = mix,
            .whole_rows = options_.ycsb_update == "row",
            .records_drawn = party.inserts->last() + 1 + expected + (expected > 0 ? 1 : 0),
            .greatest_key = greatest_key_};
  }

  Sample run_one(Party& party, char letter, unsigned repetition) {
    if (letter == kReloads && !party.fresh) load(party);
    party.fresh = false;
    const std::uint64_t operations = letter == kReloads ? options_.ycsb_scans : options_.ycsb_operations;
    const YcsbPlan plan = plan_of(letter, operations, party);
    const unsigned count = options_.ycsb_clients;
    const std::uint64_t seed = mix64(options_.seed + repetition * 256 + static_cast<unsigned char>(letter));
    const Clients clients = make_clients(count, [&](unsigned index) {
      return std::make_unique<YcsbClient>(plan, rows_, latest_, *party.inserts, party.subject.share(index, count),
                                          std::max<std::uint64_t>(1, operations / count), mix64(seed + index));
    });
    const std::vector<Counter> counters_before = party.subject.store().counters();
    const ProcessIo io_before = process_io();
    Sample sample = measure([&] {
      run_clients(party.subject.store(), clients);
      return operation_count(clients);
    });
    add_latencies(sample, clients);
    const ProcessIo io_after = process_io();
    const auto done = static_cast<double>(sample.operation_count);
    sample.extras.emplace_back("read_kib_per_op",
                               static_cast<double>(io_after.read_bytes - io_before.read_bytes) / 1024 / done);
    sample.extras.emplace_back("written_kib_per_op",
                               static_cast<double>(io_after.write_bytes - io_before.write_bytes) / 1024 / done);
    party.subject.add_counters(sample, counters_before);
    party.subject.store().settle();
    return sample;
  }

  const Bench& bench_;
  const LsmOptions& options_;
  Rows rows_;
  Zipfian latest_;
  std::string greatest_key_;
  Party ours_;
  Party theirs_;
};

}  // namespace

void run_ycsb(const Bench& bench) { YcsbRuns(bench).run(); }

}  // namespace cambium::bench
