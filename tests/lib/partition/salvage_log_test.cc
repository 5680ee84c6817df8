// SPDX-License-Identifier: MIT OR Apache-2.0
// What salvage() makes of a log: the writes that the tables had not got yet, up to the first one that is missing.
#include <cambium/salvage.h>

#include <catch2/catch.hpp>

#include <string>

#include "lib/partition/logged_fixture.h"
#include "support/page_forger.h"

namespace cambium {
namespace {

using test::kLoggedFile;
using test::Logged;
using test::logged_key;
using test::Model;

constexpr const char* kOut = "rescued.cambium";

Task<Result<SalvageReport>> run_salvage(Core& core) {
  Result<SalvageReport> report = co_await salvage(core, kLoggedFile, kOut, 2 * MiB);
  co_return report;
}

Task<Status> read_out(Core& core, Model& out) {
  Options options;
  options.path = kOut;
  options.memory_bytes = 2 * MiB;
  options.mode = OpenMode::open;
  options.read_only = true;
  Partition db = co_await check(Partition::open(core, options));
  test::Pairs pairs;
  {
    Scan scan = db.scan();
    co_await check(test::collect_scan(scan, pairs));
  }
  co_await check(db.check());
  out = Model(pairs.begin(), pairs.end());
  Status closed = co_await db.close();
  co_return closed;
}

Task<Status> write_two(Partition& db, Bytes put, Bytes del) {
  WriteBatch batch;
  batch.put(put, "of a batch").del(del);
  Status written = co_await db.write(batch);
  co_return written;
}

// Tables with keys 0 to 99; in the log: writes 101 to 106 put keys 50, 101 .. 105, write 107 deletes key 7, writes 108
// and 109 are a batch that puts key 108 and deletes key 8, write 110 puts key 110.
class HalfFlushed : public Logged {
 public:
  HalfFlushed() {
    for (int i = 0; i < 100; ++i) put(i, 300);
    core->run(test::flush_partition(*db, {})).value();
    put(50, 700);
    for (int i = 101; i < 106; ++i) put(i, 300);
    core->run(test::apply_del(*db, logged_key(7))).value();
    core->run(write_two(*db, logged_key(108), logged_key(8))).value();
    put(110, 300);
  }
  // How the file would look with the log up to this write.
  static Model expected(int through) {
    Model model;
    for (int i = 0; i < 100; ++i) model[logged_key(i)] = std::string(300, 'v');
    if (through >= 101) model[logged_key(50)] = std::string(700, 'v');
    for (int i = 101; i < 106; ++i) {
      if (through >= i + 1) model[logged_key(i)] = std::string(300, 'v');
    }
    if (through >= 107) model.erase(logged_key(7));
    if (through >= 109) {
      model[logged_key(108)] = "of a batch";
      model.erase(logged_key(8));
    }
    if (through >= 110) model[logged_key(110)] = std::string(300, 'v');
    return model;
  }
  SalvageReport salvage_all() {
    const std::string before = bytes();
    SalvageReport report = core->run(run_salvage(*core)).value();
    CHECK(bytes() == before);
    core->run(read_out(*core, out)).value();
    return report;
  }
  Model out;
};

TEST_CASE("salvage: what is only in the log is copied as newer writes, deletes and batches included", "[F05]") {
  HalfFlushed f;
  f.kill();
  const SalvageReport report = f.salvage_all();
  CHECK(report.complete());
  CHECK(report.entries == 100);
  CHECK(report.log_writes == 10);
  CHECK(report.log_damage.empty());
  CHECK(f.out == HalfFlushed::expected(110));
}

TEST_CASE("salvage: a log that open() refuses gives what comes before the damage, and says what is missing", "[F05]") {
  HalfFlushed f;
  f.kill();
  const int broken = GENERATE(101, 104, 107, 108, 110);
  CAPTURE(broken);
  f.flip_write(static_cast<std::uint64_t>(broken));
  REQUIRE(f.core->run(test::open_partition(*f.core, f.options)).code() == Errc::corruption);
  const SalvageReport report = f.salvage_all();
  CHECK_FALSE(report.complete());
  CHECK(report.lost.empty());
  CHECK(report.log_writes == static_cast<std::uint64_t>(broken - 101));
  CHECK(raw(report.log_lost_from) == static_cast<std::uint64_t>(broken));
  // Of the last one nothing is left that could say how far it went.
  CHECK(raw(report.log_lost_to) == (broken == 110 ? 0u : 110u));
  CHECK(report.log_damage.find("position") != std::string::npos);
  CHECK(f.out == HalfFlushed::expected(broken - 1));
}

TEST_CASE("salvage: damage to what the tables have of the log costs nothing, nor does a lost segment header") {
  HalfFlushed f;
  f.kill();
  const format::Superblock record = f.superblock();
  const bool header = GENERATE(true, false);
  CAPTURE(header);
  if (header) {
    for (std::uint32_t i = 0; i < record.wal_segment_count; ++i) {
      f.disk.flip_bit(kLoggedFile, record.wal_segments[i] * std::uint64_t{kPageBytes} + 24, 1);
    }
  } else {
    f.flip_write(99);
  }
  const SalvageReport report = f.salvage_all();
  CHECK(report.log_lost_from == Sequence{});
  CHECK(report.log_writes == 10);
  CHECK(f.out == HalfFlushed::expected(110));
}

TEST_CASE("salvage: with the newest superblock gone the log brings back what that had", "[F05]") {
  HalfFlushed f;
  f.kill();
  test::PageForger forger(f.disk, kLoggedFile);
  const std::uint64_t newest = forger.record().page.page_id / 2 * 2;
  for (std::uint64_t copy = 0; copy < 2; ++copy) f.disk.flip_bit(kLoggedFile, (newest + copy) * kPageBytes + 500, 1);
  const SalvageReport report = f.salvage_all();
  CHECK(report.commit_lost);
  CHECK(f.out == HalfFlushed::expected(110));
}

TEST_CASE("salvage: a superblock that says impossible things of the log gives the tables, and says so") {
  HalfFlushed f;
  f.kill();
  test::PageForger forger(f.disk, kLoggedFile);
  forger.rewrite_superblock([](format::Superblock& record) { record.wal_segment_count = 5000; });
  const SalvageReport report = f.salvage_all();
  CHECK_FALSE(report.complete());
  CHECK_FALSE(report.log_damage.empty());
  CHECK(raw(report.log_lost_from) == 101);
  CHECK(f.out == HalfFlushed::expected(100));
}

}  // namespace
}  // namespace cambium
