// SPDX-License-Identifier: MIT OR Apache-2.0
// The write-ahead log as a part of the partition: who waits for it, what fails with it, what it costs to recover. Each
// story is that of a table of either kind.
#include <catch2/catch.hpp>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "format/superblock.h"
#include "support/kinds.h"
#include "support/superblocks.h"

namespace cambium::test {
namespace {

constexpr Bytes kFile = "log.cambium";

constexpr Options with_log(WalMode mode, std::uint64_t wal_bytes = 128 * KiB) {
  return {.path = kFile,
          .wal = mode,
          .memory_bytes = 1 * MiB,
          .write_buffer_bytes = 64 * KiB,
          .cache_bytes = 128 * KiB,
          .wal_bytes_max = wal_bytes};
}

using Script = Task<Status> (*)(Core& core, OneTable& db, SimDisk& disk);

enum class End { close, leave };  // left: as if the process had ended

Task<Status> run_script(Core& core, const Options& options, TableKind kind, Script script, End end, SimDisk& disk) {
  Partition db = co_await check(Partition::open(core, options));
  const TableMode mode = options.read_only ? TableMode::open : TableMode::open_or_create;
  OneTable table = co_await check(OneTable::open(db, kind, mode));
  Status done = co_await script(core, table, disk);
  if (!done || end == End::leave) co_return done;
  Status closed = co_await db.close();
  co_return closed;
}

Status run(SimDisk& disk, const Options& options, TableKind kind, Script script, End end = End::close) {
  const std::unique_ptr<Core> core = disk.make_core({.seed = 5});
  const Status done = core->run(run_script(*core, options, kind, script, end, disk));
  core->drain();
  CHECK(core->spawned() == 0);
  return done;
}

void require_run(SimDisk& disk, const Options& options, TableKind kind, Script script, End end = End::close) {
  const Status done = run(disk, options, kind, script, end);
  INFO(done.error().message());
  REQUIRE(done);
}

std::string key_of(int i) { return rt::str("key ", 10'000 + i); }

Task<Status> put_many(OneTable& db, int count, std::size_t bytes) {
  const std::string value(bytes, 'v');
  for (int i = 0; i < count; ++i) {
    co_await check(db.put(key_of(i), value));
  }
  co_return Status();
}

Task<Status> expect_many(OneTable& db, int count) {
  Scan scan = db.scan();
  int seen = 0;
  for (;;) {
    const Entry* entry = co_await check(scan.next());
    if (entry == nullptr) break;
    CHECK(entry->key == Bytes(key_of(seen)));
    ++seen;
  }
  CHECK(seen == count);
  co_return Status();
}

std::string whole(const SimDisk& disk) {
  return disk.peek(kFile.view(), 0, static_cast<std::size_t>(disk.file_size(kFile.view())));
}

format::Superblock superblock_of(const SimDisk& disk) { return newest_superblock(disk, kFile.view()); }

// ---- who waits ----------------------------------------------------------------------------------------------------

Task<Status> read_what_is_pending(Core&, OneTable& db, SimDisk&) {
  co_await check(db.put("old", "there"));
  Op<void> put = db.put("k", "v");
  CHECK(!put.ready());
  Op<Value> pending = db.get("k");
  CHECK(!pending.ready());
  const Op<Value> other = db.get("old");
  CHECK(other.ready());
  const Bytes keys[] = {"old", "k"};
  Value values[2];
  Op<void> both = db.multi_get(keys, values);
  CHECK(!both.ready());
  Snapshot now = db->snapshot();
  Scan scan = db.scan({}, {.snapshot = &now});
  const Entry* entry = co_await check(scan.next());
  CHECK(entry->key == Bytes("k"));
  CHECK(put.ready());  // the scan showed it: so it is durable
  co_await check(std::move(both));
  CHECK(values[1].view() == "v");
  const Value value = co_await check(std::move(pending));
  CHECK(value.view() == "v");
  co_await check(std::move(put));
  const Op<Value> again = db.get("k");
  CHECK(again.ready());
  co_return Status();
}
Task<Status> durable_without_log(Core&, OneTable& db, SimDisk&) {
  Op<void> put = db.put("k", "v", {.durable = true});
  CHECK(!put.ready());
  const Op<Value> pending = db.get("k");
  CHECK(!pending.ready());
  const Op<void> plain = db.put("p", "v");
  CHECK(plain.ready());
  const Op<Value> at_hand = db.get("p");
  CHECK(at_hand.ready());
  co_await check(std::move(put));
  co_return Status();
}
TEST_CASE("log: a read of a write that waits for its durability waits with it, no other read does", "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  require_run(disk, with_log(WalMode::sync), kind, &read_what_is_pending);
  SimDisk without;
  Options none = with_log(WalMode::none);
  require_run(without, none, kind, &durable_without_log);
}

Task<Status> batched_waits(Core& core, OneTable& db, SimDisk&) {
  const Op<void> put = db.put("k", "v");
  CHECK(put.ready());
  const Op<Value> get = db.get("k");
  CHECK(get.ready());
  CHECK(raw(db->last_sequence()) == 1);
  Op<void> durable = db->durable(db->last_sequence());
  CHECK(!durable.ready());
  co_await check(std::move(durable));
  Op<void> asked = db.put("k", "w", {.durable = true});
  CHECK(!asked.ready());
  co_await check(std::move(asked));
  const Op<void> later = db->durable(Sequence{99});
  CHECK(later.ready());
  Status refused = co_await db->durable(Sequence{99});
  CHECK(refused.code() == Errc::invalid_argument);
  CHECK(db.put("i", "v").ready());
  co_await core.sleep_ns(60'000'000);  // the interval, and the write
  const Op<void> by_itself = db->durable(db->last_sequence());
  CHECK(by_itself.ready());
  co_return Status();
}
TEST_CASE("log: a batched log acknowledges at once, and durable() waits", "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  require_run(disk, with_log(WalMode::batched), kind, &batched_waits);
}

// A device that takes half a second for a write, or a sync.
Task<Status> give_up_waiting(Core& core, OneTable& db, SimDisk& disk) {
  co_await check(db.put("k", "old"));
  for (const rt::IoKind kind : {rt::IoKind::write, rt::IoKind::sync}) {
    disk.plan({.action = FaultAction::delay, .argument = 500'000'000 / kSimTickNs, .kind = kind, .sticky = true});
  }
  const std::int64_t began_ns = core.now_ns();
  Op<void> put = db.put("k", "new", {.durable = true});
  CancelSource cancel;
  Op<Value> late = db.get("k", {.deadline_ns = began_ns + 100'000'000});
  Op<Value> cancelled = db.get("k", {.cancel = &cancel});
  Op<Value> patient = db.get("k", {.deadline_ns = began_ns + 100'000'000'000});
  const Op<Value> too_late = db.get("k", {.deadline_ns = began_ns});
  CHECK(too_late.ready());
  const Bytes keys[] = {"k"};
  Value values[1];
  Op<void> many = db.multi_get(keys, values, {.deadline_ns = began_ns + 100'000'000});
  Scan scan = db.scan({}, {.cancel = &cancel});
  Result<Value> answer = co_await late;
  CHECK(answer.code() == Errc::timeout);
  Status several = co_await many;
  CHECK(several.code() == Errc::timeout);
  CHECK(core.now_ns() - began_ns < 200'000'000);
  CHECK(!put.ready());
  Op<const Entry*> first = scan.next();
  cancel.request();
  answer = co_await cancelled;
  CHECK(answer.code() == Errc::cancelled);
  Result<const Entry*> entry = co_await first;
  CHECK(entry.code() == Errc::cancelled);
  CHECK(core.now_ns() - began_ns < 200'000'000);
  CHECK(!put.ready());
  answer = co_await patient;
  CHECK(answer);
  CHECK((*answer).view() == "new");
  co_await check(std::move(put));
  disk.clear_faults();
  co_return Status();
}
TEST_CASE("log: a read that waits for durability gives up at its deadline, or when it is cancelled, log or no log",
          "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  for (const WalMode mode : {WalMode::sync, WalMode::batched, WalMode::none}) {
    CAPTURE(mode);
    SimDisk disk;
    require_run(disk, with_log(mode), kind, &give_up_waiting);
  }
}

// ---- what fails with it -------------------------------------------------------------------------------------------

Task<Status> lose_the_log(Core&, OneTable& db, SimDisk& at) {
  co_await check(db.put("k", "acknowledged"));
  co_await check(db.put("other", "too"));
  at.plan({.action = FaultAction::fail, .kind = rt::IoKind::write, .sticky = true});
  Status failed = co_await db.put("k", "lost");
  CHECK(failed.code() == Errc::io);
  failed = co_await db.put("k", "refused");
  CHECK(failed.code() == Errc::io);
  failed = co_await db->flush();
  CHECK(failed.code() == Errc::io);
  const Value value = co_await check(db.get("k"));
  CHECK(value.view() == "acknowledged");
  Scan scan = db.scan();
  const Entry* entry = co_await check(scan.next());
  CHECK(entry->value == Bytes("acknowledged"));
  co_return Status();
}
Task<Status> find_what_was_acknowledged(Core&, OneTable& db, SimDisk&) {
  const Value value = co_await check(db.get("k"));
  CHECK(value.view() == "acknowledged");
  const Value other = co_await check(db.get("other"));
  CHECK(other.view() == "too");
  co_return Status();
}
TEST_CASE("log: its first failed write poisons the partition, and nothing that was not acknowledged is shown",
          "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const Status done = run(disk, with_log(WalMode::sync), kind, &lose_the_log);
  CHECK(!done);  // close() says so, too
  disk.clear_faults();
  require_run(disk, with_log(WalMode::sync), kind, &find_what_was_acknowledged);
}

Task<Status> lose_a_commit(Core&, OneTable& db, SimDisk& at) {
  co_await check(db.put("k", "v"));
  at.plan({.action = FaultAction::fail, .kind = rt::IoKind::sync, .sticky = true});
  Status failed = co_await db->flush();
  CHECK(failed.code() == Errc::io);
  failed = co_await db.put("k", "w", {.durable = true});
  CHECK(failed.code() == Errc::io);
  failed = co_await db->durable(db->last_sequence());
  CHECK(failed.code() == Errc::io);
  co_return Status();
}
TEST_CASE("log: a failed sync of a commit fails the writes that wait for the log", "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  const Status done = run(disk, with_log(WalMode::batched), kind, &lose_a_commit);
  CHECK(!done);
}

// ---- room ---------------------------------------------------------------------------------------------------------

Task<Status> fill_many_times(Core&, OneTable& db, SimDisk&) {
  const std::string value(500, 'v');
  std::uint64_t used_max = 0;
  for (int i = 0; i < 3000; ++i) {
    co_await check(db.put(key_of(i), value));
    used_max = std::max(used_max, db->stats().wal_bytes_used);
  }
  CHECK(used_max <= 128 * KiB);
  CHECK(used_max > 64 * KiB);
  CHECK(db->stats().wal_segments == 2);
  CHECK(db->stats().wal_bytes > 1 * MiB);  // the segments were written over and over
  co_await check(db->check());
  Status all = co_await expect_many(db, 3000);
  co_return all;
}
TEST_CASE("log: the cap holds, and no writer stops for good", "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  const WalMode mode = GENERATE(WalMode::batched, WalMode::sync);
  SimDisk disk;
  require_run(disk, with_log(mode), kind, &fill_many_times);
}

Task<Status> fill_and_compact(Core&, OneTable& db, SimDisk&) {
  CHECK(db->stats().wal_segments == 2);
  co_await check(put_many(db, 6000, 400));
  CHECK(db->stats().wal_segments > 2);
  CHECK(db->stats().wal_bytes_used <= 1 * MiB);
  co_await check(db->check());
  co_await check(db->flush());
  co_await check(db->flush());
  co_await check(db->compact());
  co_await check(db->compact());
  CHECK(db->stats().wal_segments <= 3);
  co_await check(db->check());
  co_await check(put_many(db, 2000, 400));
  Status all = co_await expect_many(db, 6000);
  co_return all;
}
TEST_CASE("log: it grows up to its cap, and compact() gives what is not needed back", "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  Options options = with_log(WalMode::batched, 1 * MiB);
  options.memory_bytes = 16 * MiB;
  options.write_buffer_bytes = 4 * MiB;
  require_run(disk, options, kind, &fill_and_compact);
}

Task<Status> write_without_space(Core&, OneTable& db, SimDisk& disk) {
  disk.set_capacity_bytes(disk.allocated_bytes() + 128 * KiB);  // enough for flushes, not for segments of 1 MiB
  const std::string value(400, 'v');
  for (int i = 0; i < 12'000; ++i) {
    co_await check(db.put(key_of(i % 20), value));
  }
  CHECK(db->stats().wal_segments == 2);
  CHECK(db->stats().wal_bytes > 4 * MiB);
  disk.set_capacity_bytes(~std::uint64_t{0});
  co_await check(put_many(db, 6000, 400));
  CHECK(db->stats().wal_segments > 2);
  co_await check(db->check());
  co_return Status();
}
TEST_CASE("log: without space for more segments it stays as it is, and grows when there is some", "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  Options options = with_log(WalMode::batched, 4 * MiB);
  options.memory_bytes = 16 * MiB;
  options.write_buffer_bytes = 4 * MiB;
  require_run(disk, options, kind, &write_without_space);
}

// ---- recovery -----------------------------------------------------------------------------------------------------

Task<Status> read_recovered(Core&, OneTable& db, SimDisk&) {
  CHECK(db->stats().recovery_records > 0);  // the rest was flushed when the log was half full
  CHECK(db->stats().wal_bytes_used > 0);
  co_await check(db->check());
  Status all = co_await expect_many(db, 100);
  co_return all;
}
Task<Status> find_recovered(Core&, OneTable& db, SimDisk&) {
  CHECK(db->stats().recovery_records > 0);  // the rest was flushed when the log was half full
  CHECK(db->stats().wal_segments == 0);
  CHECK(db->stats().buffer_entries == 0);
  co_await check(db->check());
  Status all = co_await expect_many(db, 100);
  co_return all;
}
Task<Status> find_all(Core&, OneTable& db, SimDisk&) {
  CHECK(db->stats().recovery_records == 0);
  Status all = co_await expect_many(db, 100);
  co_return all;
}
TEST_CASE("log: what it holds is there after the process has ended; a read-only open changes nothing", "[S09][F05]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  require_run(
      disk, with_log(WalMode::sync), kind, [](Core&, OneTable& db, SimDisk&) { return put_many(db, 100, 50); },
      End::leave);
  const std::string before = whole(disk);
  Options reader = with_log(WalMode::none);
  reader.read_only = true;
  require_run(disk, reader, kind, &read_recovered);
  CHECK(whole(disk) == before);
  require_run(disk, with_log(WalMode::none), kind, &find_recovered);
  require_run(disk, with_log(WalMode::none), kind, &find_all);
}

Task<Status> find_all_unread(Core&, OneTable& db, SimDisk& at) {
  CHECK(db->stats().recovery_records == 0);
  CHECK(superblock_of(at).wal_flags == 0);
  Status all = co_await expect_many(db, 100);
  co_return all;
}
TEST_CASE("log: after a clean close the next open does not look at it", "[S09]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  require_run(disk, with_log(WalMode::sync), kind, [](Core&, OneTable& db, SimDisk&) { return put_many(db, 100, 50); });
  const format::Superblock superblock = superblock_of(disk);
  CHECK(superblock.wal_flags == format::kWalClean);
  disk.zero(kFile.view(), superblock.wal_segments[0] * kPageBytes, 64 * KiB);
  require_run(disk, with_log(WalMode::sync), kind, &find_all_unread);
}

Task<Status> find_flushed(Core&, OneTable& db, SimDisk&) {
  CHECK(db->stats().recovery_records == 2500);
  CHECK(db->stats().flushes > 3);
  co_await check(db->check());
  Status all = co_await expect_many(db, 2500);
  co_return all;
}
Task<Status> must_not_open(Core&, OneTable&, SimDisk&) {
  FAIL_CHECK("it opened");
  co_return Status();
}
// A log written under large buffers, opened under small ones: it is read twice, and flushed on the way.
TEST_CASE("log: one that is larger than the write buffers is recovered, or refused unchanged when damaged",
          "[S09][F12]") {
  CAMBIUM_BOTH_KINDS(kind);
  SimDisk disk;
  Options large = with_log(WalMode::batched, 4 * MiB);
  large.memory_bytes = 32 * MiB;
  large.write_buffer_bytes = 4 * MiB;
  require_run(disk, large, kind, [](Core&, OneTable& db, SimDisk&) { return put_many(db, 2500, 300); }, End::leave);
  SECTION("recovered") { require_run(disk, with_log(WalMode::sync), kind, &find_flushed); }
  SECTION("refused") {
    const format::Superblock superblock = superblock_of(disk);
    const std::uint64_t first = std::uint64_t{superblock.wal_segments[0]} * kPageBytes;
    disk.flip_bit(kFile.view(), first + 2 * kPageBytes + 99, 3);  // in its first group
    const std::string before = whole(disk);
    const Status refused = run(disk, with_log(WalMode::sync), kind, &must_not_open);
    CHECK(refused.code() == Errc::corruption);
    INFO(refused.error().message());
    CHECK(refused.error().message().find("position") != std::string::npos);
    CHECK(whole(disk) == before);
  }
}

Task<Status> only_open(Core&, OneTable&, SimDisk&) { co_return Status(); }

TEST_CASE("log: a file says that readers have to know of its log, for as long as it has one") {
  SimDisk disk;
  require_run(disk, with_log(WalMode::none), TableKind::tree, &only_open);
  CHECK(superblock_of(disk).features_needed == 0);
  require_run(disk, with_log(WalMode::batched), TableKind::tree, &only_open);
  CHECK(superblock_of(disk).features_needed == format::kFeatureLog);
  CHECK((format::kFeaturesKnown & format::kFeatureLog) != 0);
  require_run(disk, with_log(WalMode::none), TableKind::tree, &only_open);
  CHECK(superblock_of(disk).features_needed == 0);
}

TEST_CASE("log: impossible values in a superblock are corruption", "[F12]") {
  struct Forgery {
    const char* what;
    void (*forge)(format::Superblock& record);
  };
  const Forgery forgeries[] = {
      {"no segments", [](format::Superblock& r) { r.wal_segment_count = 0; }},
      {"too many segments", [](format::Superblock& r) { r.wal_segment_count = 97; }},
      {"segments of one page", [](format::Superblock& r) { r.wal_segment_pages = 1; }},
      {"segments beyond the file", [](format::Superblock& r) { r.wal_segment_pages = 16'000; }},
      {"a segment twice", [](format::Superblock& r) { r.wal_segments[1] = r.wal_segments[0]; }},
      {"a segment over the superblock", [](format::Superblock& r) { r.wal_segments[0] = 1; }},
      {"an odd start", [](format::Superblock& r) { r.wal_position = 77; }},
      {"a start far away", [](format::Superblock& r) { r.wal_position = ~std::uint64_t{4095}; }},
      {"a start that no segment has", [](format::Superblock& r) { r.wal_position = 1024 * kPageBytes + 8192; }},
      {"a log, and no word that one is needed", [](format::Superblock& r) { r.features_needed = 0; }},
      {"no log, and the word that one is needed", [](format::Superblock& r) { r.wal_log_id = 0; }},
      {"an unknown flag", [](format::Superblock& r) { r.wal_flags = 4; }},
      {"a segment that is free",
       [](format::Superblock& r) {
         r.wal_segments[0] = 200'000;
         r.file_pages = 300'000;
       }},
  };
  for (const Forgery& forgery : forgeries) {
    CAPTURE(forgery.what);
    SimDisk disk;
    require_run(
        disk, with_log(WalMode::sync), TableKind::tree,
        [](Core&, OneTable& db, SimDisk&) { return put_many(db, 10, 50); }, End::leave);
    for (std::uint64_t page = 0; page < format::kSuperblockPages; ++page) {
      std::string bytes = disk.peek(kFile.view(), page * kPageBytes, kPageBytes);
      forgery.forge(*reinterpret_cast<format::Superblock*>(bytes.data()));
      format::seal_page(bytes.data());
      disk.poke(kFile.view(), page * kPageBytes, bytes);
    }
    const std::string before = whole(disk);
    const Status refused = run(disk, with_log(WalMode::sync), TableKind::tree, &only_open);
    CHECK(refused.code() == Errc::corruption);
    CHECK(whole(disk) == before);
  }
}

}  // namespace
}  // namespace cambium::test
