// SPDX-License-Identifier: MIT OR Apache-2.0
// The power is cut at every I/O step of scripted logs: what is replayed is a prefix of what was appended, with
// everything that was acknowledged, and it stays that way through recoveries that are cut in turn.
//
// A script replays, erases the tail, appends, waits, checkpoints, and finishes, as a partition does. Where the
// partition has a superblock, the host has one: it changes at the instant at which a commit would have made it durable.
#include <catch2/catch.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/check.h>
#include <cambium/rt/when_all.h>

#include "base/text.h"
#include "lib/wal/log_fixture.h"
#include "support/seed.h"
#include "wal/wal_replay.h"

namespace cambium::test {
namespace {

struct Host {
  WalLayout layout;              // start_position as in the durable superblock
  Sequence tables{};             // likewise
  std::vector<RecordSum> items;  // appended in this life of the log
  Sequence acked{};              // newest sequence that somebody was told is durable
  Sequence told{};               // newest acknowledgement: they come in order
};

struct Script {
  enum class Mode : std::uint8_t { plain, batched, each, mixed } mode = Mode::mixed;
  unsigned operations = 40;
  std::uint32_t staging_bytes = 8192;
  std::uint64_t seed = 1;
};

// Whether `seen` is what a log of this host may show. The host forgets what the log has lost.
std::string judge(Host& host, const std::vector<RecordSum>& seen, Sequence last) {
  std::size_t at = 0;
  while (at < host.items.size() && host.items[at].last <= host.tables) ++at;
  for (const RecordSum& record : seen) {
    if (at == host.items.size()) return rt::str("a record at ", raw(record.first), " that nobody appended");
    if (host.items[at] != record) return rt::str("another record at ", raw(record.first));
    ++at;
  }
  const Sequence expected = std::max(host.tables, seen.empty() ? Sequence{} : seen.back().last);
  if (last != expected) return rt::str("last sequence ", raw(last), " instead of ", raw(expected));
  if (last < host.acked) return rt::str("acknowledged up to ", raw(host.acked), ", replayed up to ", raw(last));
  host.items.resize(at);
  return {};
}

Task<Status> replay_only(Core& core, Host& host, std::string& problem) {
  std::unique_ptr<BlockDevice> device = co_await check(FileBlockDevice::open(core, kFile));
  CollectSink sink(5);
  Result<WalReplay> replayed = co_await replay(*device, host.layout, next(host.tables), sink);
  if (replayed) problem = judge(host, sink.seen, replayed.value().last_sequence);
  device->close();
  co_return replayed ? Status() : Status(replayed.error());
}

Task<void> ack(WalWriter& writer, Sequence sequence, Host& host) {
  Status status = co_await writer.wait_durable(sequence);
  if (!status) co_return;
  CHECK(sequence >= host.told);
  host.told = sequence;
  host.acked = std::max(host.acked, sequence);
}

// What a flush and its commit do: the tables take everything up to some record, and the log may begin later.
Task<Status> checkpoint(BlockDevice& device, WalWriter& writer, Host& host, std::uint64_t back) {
  if (host.items.empty()) co_return Status();
  const Sequence through = host.items[host.items.size() - 1 - std::min<std::size_t>(back, host.items.size() - 1)].last;
  if (through <= host.tables) co_return Status();
  const std::uint64_t position = writer.position_of(through);
  co_await check(sync_device(device));
  host.tables = through;
  host.layout.start_position = position;
  host.acked = std::max(host.acked, through);
  writer.advance_start(position);
  co_return Status();
}

Task<Status> append_one(BlockDevice& device, WalWriter& writer, Host& host, rt::Random& random) {
  const OwnedBatch batch = random_batch(random, 30'000);
  const std::vector<WalEntry> entries = batch.entries();
  for (;;) {
    const RecordSum sum = sum_of(next(writer.last_appended()), entries);
    host.items.push_back(sum);  // before the call: a part of it may reach the disk
    if (writer.append(sum.first, entries)) co_return Status();
    const WalRoom room = writer.room_for(wal_body_bytes(entries));
    if (room == WalRoom::large) {
      Status status = co_await writer.append_large(sum.first, entries);
      co_return status;
    }
    host.items.pop_back();
    if (room == WalRoom::failed) co_return writer.error();
    if (room == WalRoom::staging) {
      (void)co_await writer.room().wait();
    } else {
      co_await check(checkpoint(device, writer, host, 0));
      if (writer.room_for(wal_body_bytes(entries)) == WalRoom::segments) (void)co_await writer.room().wait();
    }
  }
}

Task<Status> operate(Core& core, BlockDevice& device, WalWriter& writer, Host& host, const Script& script) {
  rt::Random random(script.seed);
  TaskGroup waiters;
  Status status;
  for (unsigned i = 0; status && i < script.operations; ++i) {
    status = co_await append_one(device, writer, host, random);
    const bool asks = script.mode == Script::Mode::each || (script.mode == Script::Mode::mixed && random.below(4) == 0);
    if (status && asks) {
      writer.request_durable(writer.last_appended());
      waiters.add(ack(writer, writer.last_appended(), host));
    }
    if (script.mode == Script::Mode::batched && random.below(3) == 0)
      waiters.add(ack(writer, writer.last_appended(), host));
    if (random.below(3) == 0) co_await core.sleep_ns(static_cast<std::int64_t>(random.below(60)) * kSimTickNs);
    if (status && random.below(15) == 0) status = co_await checkpoint(device, writer, host, random.below(4));
  }
  Status finished = co_await writer.finish();
  co_await waiters.join();
  co_return status ? finished : status;
}

// One life of the log. `problem` is what the replay at its begin showed to be wrong.
Task<Status> live(Core& core, Host& host, const Script& script, std::string& problem) {
  std::unique_ptr<BlockDevice> device = co_await check(FileBlockDevice::open(core, kFile));
  CollectSink sink;
  Result<WalReplay> replayed = co_await replay(*device, host.layout, next(host.tables), sink);
  Status status = replayed ? Status() : Status(replayed.error());
  if (replayed) {
    problem = judge(host, sink.seen, replayed.value().last_sequence);
    status = co_await erase_tail(*device, *replayed);
  }
  if (status) {
    host.told = Sequence{};
    host.acked = replayed.value().last_sequence;  // whoever asks now is shown this much
    Result<rt::BufferArena> arena = rt::BufferArena::create(core, 3 * script.staging_bytes);
    const WalStaging staging{arena->data(), 3, script.staging_bytes, &*arena};
    WalPolicy policy;
    if (script.mode == Script::Mode::batched) policy = {.interval_ms = 1, .bytes = 9000, .lazy_bytes = 2000};
    WalWriter writer(*device, host.layout, *replayed, staging, policy);
    status = co_await operate(core, *device, writer, host, script);
    host.layout.first_pages = writer.layout().first_pages;
  }
  device->close();
  co_return status;
}

class Explorer {
 public:
  explicit Explorer(const Script& script) : script_(script) {}

  // A first life without cuts fills the log, and the second one is cut at every step.
  void explore(std::uint32_t segment_pages, std::uint32_t segments, unsigned images_per_step) {
    images_per_step_ = images_per_step;
    SimDisk disk;
    Host host;
    host.layout = test_layout(segment_pages, segments);
    disk.create(kFile);
    disk.truncate(kFile, pages_of(host.layout) * kPageBytes);
    run(disk, host, script_, "first life");
    Script again = script_;
    again.seed = script_.seed + 1000;
    cut_at_every_step(disk, host, 0);
    run(disk, host, again, "second life");
  }
  std::uint64_t states() const { return states_; }
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Level {
    Explorer* explorer;
    SimDisk* disk;
    Host* host;
    unsigned depth;
  };
  void cut_at_every_step(SimDisk& disk, Host& host, unsigned depth) {
    levels_[depth] = {this, &disk, &host, depth};
    disk.on_step(&Explorer::cut, &levels_[depth]);
  }
  void run(SimDisk& disk, Host& host, const Script& script, std::string_view where) {
    const std::unique_ptr<Core> core = disk.make_core({.seed = script.seed, .short_chance = 0.02});
    std::string problem;
    const Status status = core->run(live(*core, host, script, problem));
    if (!status) violation(where, status.error().message());
    if (!problem.empty()) violation(where, problem);
    while (!core->idle()) core->poll();
  }

  static void cut(void* context, const SimStep& step) {
    if (!step.changed) return;
    const Level& level = *static_cast<Level*>(context);
    Explorer& self = *level.explorer;
    const unsigned images = level.depth == 0 ? self.images_per_step_ : 3;
    for (unsigned i = 0; i < images; ++i) {
      const PowerCutPolicy policy = kPowerCutPolicies[(i + (level.depth == 0 ? 0 : self.states_)) % 8];
      self.check(level, step, policy, self.script_.seed * 7919 + ++self.states_);
    }
  }

  void check(const Level& level, const SimStep& step, PowerCutPolicy policy, std::uint64_t seed) {
    SimDisk image = level.disk->crash_image(policy, seed);
    Host host = *level.host;
    const std::string where = rt::str("script seed ", script_.seed, ", depth ", level.depth, ", step ", step.index,
                                      ", policy ", to_string(policy), ", seed ", seed);
    if (level.depth == 0 && seed % 23 == 0) {  // a life of its own, cut in turn at every step
      Script next_life = script_;
      next_life.operations = 6;
      next_life.seed = seed;
      cut_at_every_step(image, host, 1);
      run(image, host, next_life, where);
      return;
    }
    std::string problem;
    const std::unique_ptr<Core> core = image.make_core({.seed = seed});
    const Status status = core->run(replay_only(*core, host, problem));
    if (!status) violation(where, status.error().message());
    if (!problem.empty()) violation(where, problem);
  }

  void violation(std::string_view where, std::string_view what) {
    if (violations_.size() < 8) violations_.push_back(rt::str(where, ": ", what));
  }

  Script script_;
  unsigned images_per_step_ = 8;
  Level levels_[2] = {};
  std::uint64_t states_ = 0;
  std::vector<std::string> violations_;
};

TEST_CASE("wal replay: after a power cut at any step a prefix is there, with all that was acknowledged") {
  const std::uint64_t scale = number_from_environment("CAMBIUM_CRASH_STATES", 20'000);
  const std::uint64_t base = test_seed(1);
  std::uint64_t states = 0;
  for (std::uint64_t seed = base; states < scale; ++seed) {
    for (const Script::Mode mode :
         {Script::Mode::plain, Script::Mode::batched, Script::Mode::each, Script::Mode::mixed}) {
      Explorer explorer(
          {.mode = mode, .operations = 40, .staging_bytes = seed % 2 == 0 ? 8192u : 16384u, .seed = seed});
      explorer.explore(static_cast<std::uint32_t>(3 + seed % 5), 30, 9);
      states += explorer.states();
      INFO(explorer.violations().size() << " violations in mode " << static_cast<int>(mode));
      for (const std::string& violation : explorer.violations()) {
        INFO(violation);
        CHECK(violation.empty());
      }
      REQUIRE(explorer.violations().empty());
    }
  }
  std::printf("wal: %llu crash states, seeds %llu and on\n", static_cast<unsigned long long>(states),
              static_cast<unsigned long long>(base));
}

}  // namespace
}  // namespace cambium::test
