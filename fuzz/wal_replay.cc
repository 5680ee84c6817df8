// SPDX-License-Identifier: MIT OR Apache-2.0
// Replays a damaged log, and goes on with it.
//
// Right: the records that were written, up to some point, or corruption. Only where something was forged (edited, and
// its checksum repaired) other records may come, and they ascend. What was replayed is what every later replay gives:
// after the tail was erased, and after the writer went on. The verifier of check and salvage, which reads the same log
// in another way, sees damage exactly where the replay refuses, and the same records where it does not. Never: an
// assertion, a hang, a report of a sanitizer.
//
// Input      one byte: 1 = of the log that was finished; then the script of sample_log.h
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>

#include "fuzz/sample_log.h"
#include "fuzz/target.h"
#include "wal/log_survey.h"
#include "wal/log_verifier.h"
#include "wal/wal_replay.h"
#include "wal/wal_writer.h"

namespace cambium::fuzz {
namespace {

constexpr std::uint32_t kStagingBytes = 12 << 10;

class Collector final : public WalSink, public LogVisitor {
 public:
  explicit Collector(Sequence in_tables) : in_tables_(in_tables) {}
  bool take(const WalRecord& record) override {
    if (record.last_sequence() <= in_tables_) return true;  // the verifier shows those, too
    CAMBIUM_FUZZ_REQUIRE(!record.entries.empty(), "a record without entries");
    // The verifier goes on behind damage, and there a forged record may stand.
    CAMBIUM_FUZZ_REQUIRE(record.first_sequence > last_ || damages != 0, "a record that does not ascend");
    last_ = record.last_sequence();
    records.push_back(text_of(record));
    return true;
  }
  Task<Status> make_room(const WalRecord&) override { co_return Errc::resource; }
  void damaged(const LogDamage& damage) override {
    CAMBIUM_FUZZ_REQUIRE(!damage.reason.empty(), "damage without a reason");
    if (damages == 0) first_damage = damage.reason;
    ++damages;
  }

  std::vector<std::string> records;
  unsigned damages = 0;
  std::string first_damage;

 private:
  Sequence in_tables_;
  Sequence last_{};
};

bool is_prefix(const std::vector<std::string>& some, const std::vector<std::string>& all) {
  return some.size() <= all.size() && std::equal(some.begin(), some.end(), all.begin());
}

class Visit {
 public:
  Visit(Core& core, const SampleLog& sample, const DamagedLog& log) : core_(core), sample_(sample), log_(log) {}

  Task<Status> run() {
    std::unique_ptr<BlockDevice> device = co_await check(FileBlockDevice::open(core_, std::string(kLogPath), {}));
    Status visited = co_await visit(*device);
    device->close();
    co_return visited;
  }

 private:
  Task<Result<WalReplay>> replay_once(BlockDevice& device, std::vector<std::string>& records) {
    Collector sink(sample_.in_tables);
    Result<WalReplay> result = co_await replay(device, sample_.layout, next(sample_.in_tables), sink);
    CAMBIUM_FUZZ_REQUIRE(result || result.code() == Errc::corruption, "an error that damage does not explain");
    if (!result) refusal_ = std::string(result.error().message());
    records = std::move(sink.records);
    co_return result;
  }

  Task<Status> visit(BlockDevice& device) {
    std::vector<std::string> first;
    Result<WalReplay> replayed = co_await replay_once(device, first);
    if (!log_.changed) CAMBIUM_FUZZ_REQUIRE(replayed && first == sample_.records, "an undamaged log is not whole");
    if (!log_.forged) CAMBIUM_FUZZ_REQUIRE(is_prefix(first, sample_.records), "records that nobody wrote");
    co_await check(verify(device, replayed.has_value(), first));
    if (!replayed) co_return Status();

    co_await check(erase_tail(device, *replayed));
    std::vector<std::string> again;
    Result<WalReplay> erased = co_await replay_once(device, again);
    CAMBIUM_FUZZ_REQUIRE(erased && again == first, "erasing the tail changed what is replayed");
    CAMBIUM_FUZZ_REQUIRE(erased->stale_offsets.empty(), "something is left of an erased tail");
    CAMBIUM_FUZZ_REQUIRE(erased->end_position == replayed->end_position, "erasing the tail moved the end");
    Status gone_on = co_await go_on(device, *erased, first);
    co_return gone_on;
  }

  Task<Status> verify(BlockDevice& device, bool whole, const std::vector<std::string>& records) {
    Collector findings(sample_.in_tables);
    Result<LogRange> range = co_await survey_log(device, sample_.layout, sample_.in_tables, findings);
    CAMBIUM_FUZZ_REQUIRE(range || (!whole && range.code() == Errc::corruption),
                         "the survey fails, the replay does not");
    if (!range) co_return Status();
    Collector seen(sample_.in_tables);
    LogVerifier walk(device, *range, seen);
    for (unsigned steps = 0; !walk.done(); ++steps) {
      CAMBIUM_FUZZ_REQUIRE(steps < 10'000, "the walk has no end");
      co_await check(walk.step());
    }
    if ((seen.damages + findings.damages == 0) != whole) {
      std::fprintf(stderr, "%s log; replay: %s\nsurvey: %s\nverifier: %s\n", log_.forged ? "forged" : "damaged",
                   refusal_.c_str(), findings.first_damage.c_str(), seen.first_damage.c_str());
      CAMBIUM_FUZZ_REQUIRE(false, "verifier and replay disagree");
    }
    if (whole) CAMBIUM_FUZZ_REQUIRE(seen.records == records, "verifier and replay see other records");
    co_return Status();
  }

  // One more record, and a clean end: then exactly that one has been added.
  Task<Status> go_on(BlockDevice& device, const WalReplay& replayed, const std::vector<std::string>& before) {
    struct Free {
      void operator()(char* memory) const noexcept { std::free(memory); }
    };
    const std::unique_ptr<char, Free> memory(
        static_cast<char*>(std::aligned_alloc(kPageBytes, WalStaging::kCountMin * kStagingBytes)));
    const WalStaging staging{memory.get(), WalStaging::kCountMin, kStagingBytes, nullptr};
    std::vector<std::string> expected = before;
    {
      WalWriter writer(device, sample_.layout, replayed, staging);
      const WalEntry entry{TableId{1}, WalEntryKind::put, "later", "than all"};
      const Sequence first = next(writer.last_appended());
      if (writer.append(first, {&entry, 1})) expected.push_back(text_of({first, {&entry, 1}}));
      co_await check(writer.finish());
    }
    std::vector<std::string> after;
    const Result<WalReplay> result = co_await replay_once(device, after);
    CAMBIUM_FUZZ_REQUIRE(result && after == expected, "what was cut came back, or what was written did not");
    co_return Status();
  }

  Core& core_;
  const SampleLog& sample_;
  const DamagedLog& log_;
  std::string refusal_;  // of the replay
};

}  // namespace
}  // namespace cambium::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cambium;
  if (size < 1) return 0;
  const fuzz::SampleLog& sample = fuzz::sample_log((data[0] & 1) != 0);
  test::Draws script(test::Draws::Tape(data + 1, size - 1));
  const fuzz::DamagedLog log = fuzz::damaged_log(sample, script);

  SimDisk disk;
  disk.create(fuzz::kLogPath);
  disk.truncate(fuzz::kLogPath, log.bytes.size());
  disk.poke(fuzz::kLogPath, 0, log.bytes);
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  fuzz::Visit visit(*core, sample, log);
  const Status done = core->run(visit.run());
  if (!done) std::fprintf(stderr, "%s\n", std::string(done.error().message()).c_str());
  CAMBIUM_FUZZ_REQUIRE(done.has_value(), "an error where there is no damage");
  core->drain();
  CAMBIUM_FUZZ_REQUIRE(core->spawned() == 0, "a coroutine is left behind");
  return 0;
}
