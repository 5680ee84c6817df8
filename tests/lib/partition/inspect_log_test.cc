// SPDX-License-Identifier: MIT OR Apache-2.0
// The log under check and scrub, as a part of the partition: live, read-only, and in a file that open() refuses.
#include <catch2/catch.hpp>

#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "format/superblock.h"
#include "format/wal_group.h"
#include "lib/partition/partition_fixture.h"

namespace cambium {
namespace {

constexpr const char* kFile = "data.cambium";
constexpr std::int64_t kSecondNs = 1'000'000'000;

std::string key_of(int i) { return "key " + std::to_string(100'000 + i); }

Task<Status> check_into(Partition& db, CheckReport& report) {
  Status whole = co_await db.check(report);
  co_return whole;
}
Task<Status> check_file(Core& core, const Options& options, CheckReport& report) {
  Status whole = co_await Partition::check_file(core, options, report);
  co_return whole;
}
Task<void> sleep_for(Core& core, std::int64_t ns) { co_await core.sleep_ns(ns); }

// A partition with a log, and what is needed to find that in the file.
class Logged {
 public:
  explicit Logged(WalMode mode = WalMode::sync, std::uint64_t seed = 1)
      : core(disk.make_core({.seed = seed, .eager = true})) {
    options.path = kFile;
    options.memory_bytes = 2 * MiB;
    options.wal = mode;
    options.wal_bytes_max = 256 * KiB;
    open();
  }
  ~Logged() {
    if (db) core->run(test::close_partition(*db)).value();
    db.reset();
    while (!core->idle()) core->run(sleep_for(*core, kSecondNs));
  }
  void open() { db.emplace(core->run(test::open_partition(*core, options)).value()); }
  void put(int i, std::size_t bytes = 300) {
    core->run(test::apply_put(*db, key_of(i), std::string(bytes, 'v'))).value();
  }
  // As a killed process leaves it, not a closed one: the log is not clean.
  void kill() {
    db.reset();
    core->drain();
  }
  std::string bytes() const { return disk.peek(kFile, 0, static_cast<std::size_t>(disk.file_size(kFile))); }
  format::Superblock superblock() const {
    const std::string file = bytes();
    format::Superblock newest{};
    for (std::uint64_t page = 0; page < format::kSuperblockPages; ++page) {
      format::Superblock copy;
      std::memcpy(static_cast<void*>(&copy), file.data() + page * kPageBytes, sizeof copy);
      if (copy.page.generation >= newest.page.generation) newest = copy;
    }
    return newest;
  }
  // File offset of the group that brings this write.
  std::uint64_t group_of(std::uint64_t sequence) const {
    const format::Superblock record = superblock();
    const std::string file = bytes();
    for (std::uint32_t s = 0; s < record.wal_segment_count; ++s) {
      for (std::uint32_t page = 1; page < record.wal_segment_pages; ++page) {
        const std::uint64_t offset = (record.wal_segments[s] + std::uint64_t{page}) * kPageBytes;
        format::WalGroupHeader header;
        std::memcpy(static_cast<void*>(&header), file.data() + offset, sizeof header);
        const bool brings =
            header.log_id == record.wal_log_id && header.first_sequence <= sequence && header.last_sequence >= sequence;
        if (brings && header.first_sequence != 0) return offset;
      }
    }
    FAIL("write " << sequence << " is in no group");
    return 0;
  }

  SimDisk disk;
  std::unique_ptr<Core> core;
  Options options;
  std::optional<Partition> db;
};

TEST_CASE("check: the log is read beside its writer, and a damaged group is told with position, page and writes",
          "[F05]") {
  Logged f;
  for (int i = 0; i < 12; ++i) f.put(i);
  CheckReport report;
  REQUIRE(f.core->run(check_into(*f.db, report)));
  CHECK(report.log_records == 12);
  CHECK(report.log_bytes >= 12 * 4096);

  const std::uint64_t offset = f.group_of(7);
  f.disk.flip_bit(kFile, offset + 80, 4);
  const Status whole = f.core->run(check_into(*f.db, report));
  REQUIRE(whole.code() == Errc::corruption);
  CHECK(report.damaged_places == 1);
  REQUIRE(report.damages.size() == 1);
  const Damage& damage = report.damages.front();
  CHECK(damage.in_log);
  CHECK(damage.page == offset / kPageBytes);
  CHECK(damage.log_position == 7 * 4096);
  CHECK(damage.first_write == Sequence{7});
  CHECK(damage.last_write == Sequence{7});
  CHECK(damage.reason.find(kFile) != std::string::npos);
  f.disk.flip_bit(kFile, offset + 80, 4);

  // Once the tables hold it all, and the log begins behind it, it is nobody's.
  for (int i = 0; i < 2; ++i) f.core->run(test::flush_partition(*f.db, {})).value();
  f.put(99);
  f.core->run(test::flush_partition(*f.db, {})).value();
  f.disk.flip_bit(kFile, offset + 80, 4);
  CHECK(f.core->run(check_into(*f.db, report)));
}

TEST_CASE("check: a file that was not closed is checked with its log, also when open() refuses it", "[F05]") {
  Logged f;
  for (int i = 0; i < 12; ++i) f.put(i);
  f.kill();
  CheckReport report;
  REQUIRE(f.core->run(check_file(*f.core, f.options, report)));
  CHECK(report.log_records == 12);
  CHECK(report.tables == 1);

  Options read_only = f.options;
  read_only.read_only = true;
  {
    Partition db = f.core->run(test::open_partition(*f.core, read_only)).value();
    REQUIRE(f.core->run(check_into(db, report)));
    CHECK(report.log_records == 12);
    f.disk.flip_bit(kFile, f.group_of(3) + 80, 4);  // after it was recovered
    CHECK(f.core->run(check_into(db, report)).code() == Errc::corruption);
    CHECK(report.damages.front().first_write == Sequence{3});
    f.core->run(test::close_partition(db)).value();
  }

  f.disk.flip_bit(kFile, f.group_of(9) + 80, 4);
  const std::string before = f.bytes();
  CHECK(f.core->run(test::open_partition(*f.core, f.options)).code() == Errc::corruption);
  CHECK(f.core->run(check_file(*f.core, f.options, report)).code() == Errc::corruption);
  REQUIRE(report.damages.size() == 2);
  CHECK(report.damages[0].first_write == Sequence{3});
  CHECK(report.damages[1].first_write == Sequence{9});
  CHECK(report.log_records == 10);
  CHECK(f.bytes() == before);
}

TEST_CASE("check: a log that was closed holds nothing that the tables do not, and is not read") {
  Logged f;
  for (int i = 0; i < 12; ++i) f.put(i);
  const std::uint64_t offset = f.group_of(7);
  f.core->run(test::close_partition(*f.db)).value();
  f.db.reset();
  f.disk.flip_bit(kFile, offset + 80, 4);
  CheckReport report;
  CHECK(f.core->run(check_file(*f.core, f.options, report)));
  CHECK(report.log_bytes == 0);
}

Task<void> write_on(Partition& db, const bool& stop, int& written) {
  while (!stop) {
    Status put = co_await db.put(key_of(written % 500), Bytes(std::string(900, 'w')));
    CHECK(put);
    ++written;
  }
}

TEST_CASE("check: beside writers that fill the log over and over it finds nothing, and neither does the scrub") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    Logged f(WalMode::sync, seed);
    f.core->run(test::close_partition(*f.db)).value();
    f.db.reset();
    f.options.scrub_mb_per_s = 50;
    f.open();
    bool stop = false;
    int written = 0;
    f.core->spawn(write_on(*f.db, stop, written));
    for (int i = 0; i < 60; ++i) {
      CheckReport report;
      const Status whole = f.core->run(check_into(*f.db, report));
      INFO(whole.error().message());
      REQUIRE(whole);
      f.core->run(sleep_for(*f.core, kSecondNs / 100));
    }
    stop = true;
    f.core->run(sleep_for(*f.core, 3 * kSecondNs));
    CHECK(written > 1000);  // of 256 KiB of log, a block each
    CHECK(f.db->stats().scrub_damaged == 0);
    CHECK(f.db->stats().scrub_rounds > 0);
  }
}

class LogLines {
 public:
  LogLines() : before_(rt::set_log_sink(&sink_)) {}
  ~LogLines() { rt::set_log_sink(before_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  std::string text;

 private:
  static void write(void* context, rt::LogLevel, std::string_view message) {
    static_cast<LogLines*>(context)->text.append(message).push_back('\n');
  }
  rt::LogSink sink_{write, this};
  const rt::LogSink* before_;
};

TEST_CASE("scrub: damage to the durable part of the log is told while it can still be read elsewhere") {
  Logged f;
  f.core->run(test::close_partition(*f.db)).value();
  f.db.reset();
  f.options.scrub_mb_per_s = 1;
  f.open();
  for (int i = 0; i < 12; ++i) f.put(i);
  const std::uint64_t offset = f.group_of(5);
  f.disk.flip_bit(kFile, offset + 80, 4);
  LogLines lines;
  f.core->run(sleep_for(*f.core, 5 * kSecondNs));
  CHECK(f.db->stats().scrub_damaged > 0);
  CHECK(lines.text.find("damage in the log") != std::string::npos);
  CHECK(lines.text.find("page " + std::to_string(offset / kPageBytes)) != std::string::npos);
}

}  // namespace
}  // namespace cambium
