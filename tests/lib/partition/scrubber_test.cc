// SPDX-License-Identifier: MIT OR Apache-2.0
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "lib/partition/partition_fixture.h"
#include "support/kinds.h"
#include "support/page_forger.h"

namespace cambium {
namespace {

using test::PageForger;

constexpr const char* kFile = "data.cambium";
constexpr std::int64_t kSecondNs = 1'000'000'000;

std::string key_of(int i) { return "key " + std::to_string(100'000 + i); }

// What is logged while it lives.
class LogLines {
 public:
  LogLines() : before_(rt::set_log_sink(&sink_)) {}
  ~LogLines() { rt::set_log_sink(before_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  bool has(const std::string& what) const {
    for (const std::string& line : lines) {
      if (line.find(what) != std::string::npos) return true;
    }
    return false;
  }
  std::vector<std::string> lines;

 private:
  static void write(void* context, rt::LogLevel, std::string_view message) {
    static_cast<LogLines*>(context)->lines.emplace_back(message);
  }
  rt::LogSink sink_{write, this};
  const rt::LogSink* before_;
};

Task<void> sleep_for(Core& core, std::int64_t ns) { co_await core.sleep_ns(ns); }

// A partition of about `keys` / 7 pages and some long values, which is scrubbed.
class Scrubbed {
 public:
  explicit Scrubbed(std::uint32_t mb_per_s, int keys = 4000, std::uint64_t seed = 1)
      : core(disk.make_core({.seed = seed, .eager = true})) {
    options.path = kFile;
    options.memory_bytes = 2 * MiB;
    db.emplace(core->run(test::open_partition(*core, options)).value());
    for (int i = 0; i < keys; ++i) put(i, std::string(i % 200 == 100 ? 70'000 : 500, 'v'));
    core->run(test::flush_partition(*db, {})).value();
    core->run(test::close_partition(*db)).value();
    db.reset();
    options.scrub_mb_per_s = mb_per_s;
    db.emplace(core->run(test::open_partition(*core, options)).value());
  }
  ~Scrubbed() {
    if (db) CHECK(core->run(test::close_partition(*db)));
    db.reset();
    while (!core->idle()) core->run(sleep_for(*core, kSecondNs));
  }
  void put(int i, const std::string& value) { core->run(test::apply_put(*db, key_of(i), value)).value(); }
  void pass(std::int64_t ns) { core->run(sleep_for(*core, ns)); }
  Stats stats() const { return db->stats(); }

  SimDisk disk;
  std::unique_ptr<Core> core;
  Options options;
  std::optional<Partition> db;
};

TEST_CASE("scrub: it is off unless asked for") {
  Scrubbed f(0, 100);
  f.pass(10 * kSecondNs);
  CHECK(f.stats().scrub_pages == 0);
  CHECK(f.stats().scrub_rounds == 0);
}

TEST_CASE("scrub: the rate holds within a tenth, whatever it is, round after round") {
  const std::uint32_t mb_per_s = GENERATE(1u, 2u, 3u);
  CAPTURE(mb_per_s);
  Scrubbed f(mb_per_s);
  f.pass(2 * kSecondNs);
  const Stats before = f.stats();
  f.pass(20 * kSecondNs);
  const Stats after = f.stats();
  const double bytes = static_cast<double>((after.scrub_pages - before.scrub_pages) * kPageBytes);
  const double expected = 20.0 * 1e6 * mb_per_s;
  CHECK(bytes > 0.9 * expected);
  CHECK(bytes < 1.1 * expected);
  // And the pages were read from the device, past the cache.
  CHECK(after.device_bytes_read - before.device_bytes_read >= static_cast<std::uint64_t>(0.9 * expected));
  CHECK(after.page_evictions == before.page_evictions);
  CHECK(after.page_reads == before.page_reads);
  CHECK(after.scrub_rounds > before.scrub_rounds);
  CHECK(after.scrub_damaged == 0);
}

TEST_CASE("scrub: damage in a leaf, a branch, a long value and the space map is found, named and counted") {
  const int where = GENERATE(range(0, 4));
  CAPTURE(where);
  Scrubbed f(10);
  LogLines log;
  f.pass(3 * kSecondNs);
  REQUIRE(f.stats().scrub_rounds >= 1);
  REQUIRE(f.stats().scrub_damaged == 0);
  PageForger forger(f.disk, kFile);
  std::uint64_t page = forger.target(forger.path_to({0, 3})).page;
  if (where == 1) page = forger.target(forger.path_to({1})).page;
  if (where == 2) {
    const std::string text = f.disk.peek(kFile, 0, f.disk.file_size(kFile));
    const std::string value(kPageBytes, 'v');
    page = 8;
    while (text.compare(page * kPageBytes, kPageBytes, value) != 0) ++page;
    while (text.compare((page - 1) * kPageBytes, kPageBytes, value) == 0) --page;  // the value's first page
  }
  if (where == 3) page = 6 + forger.record().tables[0].slot;
  f.disk.flip_bit(kFile, page * kPageBytes + 1234, 2);
  const std::uint64_t rounds = f.stats().scrub_rounds;
  f.pass(6 * kSecondNs);
  CHECK(f.stats().scrub_rounds > rounds + 1);
  CHECK(f.stats().scrub_damaged >= 2);
  CHECK(f.stats().scrub_damaged <= f.stats().scrub_rounds - rounds + 1);
  CHECK(log.has("page " + std::to_string(page) + " of data.cambium"));
  CHECK(log.has(where == 3 ? "the space map" : "in default"));
  if (where < 3) CHECK(log.has("keys from \""));
}

Task<Status> fill_levels(Core& core, const Options& options) {
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(test::table_of(db, TableKind::levels));
  for (int i = 0; i < 2000; ++i) {
    co_await check(db.put(table, key_of(i), std::string(i % 200 == 100 ? 9'000 : 300, 'v')));
    if (i % 500 == 499) {
      co_await check(db.flush());
    }
  }
  Status closed = co_await db.close();
  co_return closed;
}

// The pages of the manifest, of sstables and of filters, each once.
TEST_CASE("scrub: damage in any page of a level store is found, named and counted") {
  SimDisk whole;
  Options options;
  options.path = kFile;
  options.memory_bytes = 2 * MiB;
  {
    const std::unique_ptr<Core> core = whole.make_core({.seed = 1, .eager = true});
    core->run(fill_levels(*core, options)).value();
    core->drain();
  }
  options.scrub_mb_per_s = 100;
  const std::uint64_t pages = whole.file_size(kFile) / kPageBytes;
  std::uint64_t found = 0;
  for (std::uint64_t page = 8; page < pages; page += 3) {
    CAPTURE(page);
    SimDisk disk = whole.clone();
    const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
    std::optional<Partition> db(core->run(test::open_partition(*core, options)).value());
    LogLines log;
    disk.flip_bit(kFile, page * kPageBytes + 1234, 2);
    core->run(sleep_for(*core, 2 * kSecondNs));
    const bool damaged = core->run(test::check_partition(*db)).code() == Errc::corruption;
    CHECK((db->stats().scrub_damaged != 0) == damaged);
    const bool named = log.has("page " + std::to_string(page) + " of data.cambium");
    if (damaged) CHECK((named || log.has("checksum")));  // of a long value its first page is named
    found += damaged ? 1 : 0;
    core->run(test::close_partition(*db)).value();
    db.reset();
    while (!core->idle()) core->run(sleep_for(*core, kSecondNs));
  }
  CHECK(found > pages / 6);
}

TEST_CASE("scrub: it stops at close at once, however long it would still have waited") {
  Scrubbed f(1);
  f.pass(kSecondNs / 2);
  const std::int64_t before_ns = f.core->now_ns();
  f.core->run(test::close_partition(*f.db)).value();
  CHECK(f.core->now_ns() - before_ns < kSecondNs / 100);
  f.db.reset();
}

TEST_CASE("scrub: a partition dropped without close(), also one opened read-only, ends its scrub first") {
  Scrubbed f(1, 500);
  const bool read_only = GENERATE(true, false);
  f.core->run(test::close_partition(*f.db)).value();
  f.db.reset();
  f.options.read_only = read_only;
  f.db.emplace(f.core->run(test::open_partition(*f.core, f.options)).value());
  f.pass(kSecondNs);
  CHECK(f.stats().scrub_pages > 0);
  f.db.reset();
  while (!f.core->idle()) f.pass(kSecondNs);
}

std::int64_t time_of_writing(std::uint32_t mb_per_s) {
  Scrubbed f(mb_per_s);
  f.pass(kSecondNs);
  const std::int64_t before_ns = f.core->now_ns();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 2000; ++i) f.put(i * 2, std::string(300, static_cast<char>('a' + round)));
    f.core->run(test::flush_partition(*f.db, {})).value();
  }
  return f.core->now_ns() - before_ns;
}

TEST_CASE("scrub: writers and flushes are not held up") {
  const std::int64_t without = time_of_writing(0);
  const std::int64_t with = time_of_writing(20);
  CAPTURE(without, with);
  CHECK(with <= without + without / 10 + 1'000'000);
}

TEST_CASE("scrub: pages that are freed, moved, reused and cut off meanwhile are no false alarm") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  CAPTURE(seed);
  Scrubbed f(GENERATE(1u, 50u), 3000, seed);
  LogLines log;
  rt::Random random(seed);
  for (int round = 0; round < 40; ++round) {
    const auto from = static_cast<int>(random.below(3000));
    for (int i = from; i < from + 400; ++i) {
      if (round % 4 == 3) {
        f.core->run(test::apply_del(*f.db, key_of(i))).value();
      } else {
        f.put(i, std::string(random.chance(0.02) ? 30'000 : 400, static_cast<char>('a' + round % 26)));
      }
    }
    if (round == 20) {
      for (int i = 0; i < 3400; ++i) f.core->run(test::apply_del(*f.db, key_of(i))).value();  // the tree goes
    }
    f.core->run(test::flush_partition(*f.db, {})).value();
    if (round % 5 == 4) f.core->run(test::compact_partition(*f.db)).value();
    f.pass(static_cast<std::int64_t>(random.below(400)) * 1'000'000);
  }
  f.pass(5 * kSecondNs);
  CHECK(f.stats().scrub_pages > 500);
  CHECK(f.stats().scrub_rounds > 0);
  CHECK(f.stats().scrub_damaged == 0);
  CHECK(log.lines.empty());
  f.core->run(test::check_partition(*f.db)).value();
}

TEST_CASE("scrub: it holds no version for long: freed space comes back while it goes on") {
  Scrubbed f(1, 15'000);  // a round takes more than ten seconds
  f.pass(kSecondNs / 10);
  for (int i = 0; i < 6000; ++i) f.put(i, std::string(500, 'w'));
  f.core->run(test::flush_partition(*f.db, {})).value();
  f.pass(2 * kSecondNs);
  f.core->run(test::flush_partition(*f.db, {})).value();
  f.core->run(test::compact_partition(*f.db)).value();
  f.pass(2 * kSecondNs);
  for (int i = 0; i < 2; ++i) {  // the fallback superblock moves on
    f.put(i, "x");
    f.core->run(test::flush_partition(*f.db, {})).value();
  }
  f.pass(kSecondNs / 2);
  const Stats now = f.stats();
  CHECK(now.scrub_rounds == 0);
  CHECK(now.held_pages < now.used_pages / 4);
}

}  // namespace
}  // namespace cambium
