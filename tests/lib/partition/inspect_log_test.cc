// SPDX-License-Identifier: MIT OR Apache-2.0
// The log under check and scrub, as a part of the partition: live, read-only, and in a file that open() refuses.
#include <catch2/catch.hpp>

#include <string>

#include "base/log.h"
#include "lib/partition/logged_fixture.h"

namespace cambium {
namespace {

using test::kSecondNs;
using test::Logged;
using test::sleep_for;

constexpr const char* kFile = test::kLoggedFile;

Task<Status> check_into(Partition& db, CheckReport& report) {
  Status whole = co_await db.check(report);
  co_return whole;
}
Task<Status> check_file(Core& core, const Options& options, CheckReport& report) {
  Status whole = co_await Partition::check_file(core, options, report);
  co_return whole;
}

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
    Status put = co_await db.put(test::logged_key(written % 500), Bytes(std::string(900, 'w')));
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
