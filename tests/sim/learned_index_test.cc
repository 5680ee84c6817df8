// SPDX-License-Identifier: MIT OR Apache-2.0
// Tables with learned indexes through the whole engine: the same answers as tables with plain ones, the choice kept by
// the file, what an older build is told, damage, and salvage.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>
#include <cambium/salvage.h>

#include "base/random.h"
#include "base/text.h"
#include "format/superblock.h"
#include "support/seed.h"
#include "support/superblocks.h"

namespace cambium::test {
namespace {

constexpr const char* kFile = "learned.cambium";
constexpr Options kOptions{
    .path = kFile, .memory_bytes = 24 * MiB, .write_buffer_bytes = 4 * MiB, .cache_bytes = 6 * MiB};

using Keys = std::vector<std::string>;

std::string value_of(const std::string& key) { return key.substr(0, 40) + std::string(700, 'v'); }

std::string key_of(const std::string& shape, rt::Random& random, std::uint64_t i) {
  static constexpr const char* kSyllables[] = {"an", "ber", "con", "de", "er", "fo", "ge", "in"};
  if (shape == "sequential") return rt::str("key ", 1'000'000 + i);
  if (shape == "clustered") return Bytes(u64_key((random.below(20) << 40) + random.below(5000))).str();
  if (shape == "one head") return rt::str("user ", random.below(20), " event ", 1'000'000 + random.below(5000));
  if (shape == "adversarial") {  // far apart, but for one lump whose first bytes agree
    return random.chance(0.1) ? rt::str("common beginning of them all ", random.next())
                              : Bytes(u64_key(random.next())).str();
  }
  std::string key;
  if (shape == "dictionary") {
    for (std::uint64_t n = random.between(3, 8); n != 0; --n) key += kSyllables[random.below(8)];
    return key;
  }
  key.resize(16);
  random.bytes(key.data(), key.size());
  return key;
}

Keys keys_of(const std::string& shape, std::uint64_t count) {
  rt::Random random(11);
  std::set<std::string> keys;
  for (std::uint64_t i = 0; i < count; ++i) keys.insert(key_of(shape, random, i));
  return {keys.begin(), keys.end()};
}

Task<Result<Partition>> open_file(Core& core, Options options) {
  Partition db = co_await check(Partition::open(core, options));
  co_return db;
}

// In so many flushes, each a run; every fifth key is deleted again.
Task<Status> fill(Partition& db, const Table& table, const Keys& keys, std::size_t parts) {
  for (std::size_t part = 0; part < parts; ++part) {
    for (std::size_t i = part; i < keys.size(); i += parts) {
      const std::string value = value_of(keys[i]);
      co_await check(db.put(table, keys[i], value));
    }
    co_await check(db.flush({.trim = false}));
  }
  for (std::size_t i = 0; i < keys.size(); i += 5) {
    co_await check(db.del(table, keys[i]));
  }
  co_await check(db.flush({.trim = false}));
  co_return Status();
}

Task<Status> same_answers(Partition& db, const Table& learned, const Table& plain, const Keys& keys) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string probes[] = {keys[i], keys[i] + "a", keys[i].substr(0, keys[i].size() / 2 + 1)};
    for (const std::string& key : probes) {
      const Value one = co_await check(db.get(learned, key));
      const Value other = co_await check(db.get(plain, key));
      if (static_cast<bool>(one) != static_cast<bool>(other)) co_return Error(Errc::io, "one has it, one has not");
      if (one && one.view() != other.view()) co_return Error(Errc::io, "two values");
    }
    const Value value = co_await check(db.get(learned, keys[i]));
    if (static_cast<bool>(value) != (i % 5 != 0)) co_return Error(Errc::io, "a wrong answer");
    if (value && value.view() != value_of(keys[i])) co_return Error(Errc::io, "a wrong value");
  }
  constexpr std::size_t kTogether = 16;
  for (std::size_t i = 0; i + kTogether <= keys.size(); i += kTogether) {
    Bytes asked[kTogether];
    Value values[kTogether];
    for (std::size_t k = 0; k < kTogether; ++k) asked[k] = keys[i + k];
    co_await check(db.multi_get(learned, asked, values));
    for (std::size_t k = 0; k < kTogether; ++k) {
      if (static_cast<bool>(values[k]) != ((i + k) % 5 != 0)) co_return Error(Errc::io, "a wrong answer of many");
      if (values[k] && values[k].view() != value_of(keys[i + k])) co_return Error(Errc::io, "a wrong value of many");
    }
  }
  co_return Status();
}

Task<Status> compare(Core& core, const std::string& shape, bool small_cache) {
  Options options = kOptions;
  if (small_cache) options.cache_bytes = 256 * KiB;
  const Keys keys = keys_of(shape, 4500);
  Partition db = co_await check(open_file(core, options));
  Table learned = co_await check(db.table("learned", {.kind = TableKind::levels, .index = TableIndex::learned}));
  Table plain = co_await check(db.table("plain", {.kind = TableKind::levels, .index = TableIndex::plain}));
  co_await check(fill(db, learned, keys, 3));
  co_await check(fill(db, plain, keys, 3));
  co_await check(same_answers(db, learned, plain, keys));
  co_await check(db.settle());
  co_await check(same_answers(db, learned, plain, keys));
  const bool regular = shape != "one head";  // else no sstable gets an index
  CHECK((db.stats().learned_lookups > keys.size() / 2) == regular);
  co_await check(db.check());
  co_await check(db.close());

  Partition again = co_await check(open_file(core, options));
  Table reopened = co_await check(again.table("learned", {}, TableMode::open));
  Table other = co_await check(again.table("plain", {}, TableMode::open));
  co_await check(same_answers(again, reopened, other, keys));
  CHECK((again.stats().learned_lookups > keys.size() / 2) == regular);
  for (const TableInfo& info : again.tables()) {
    if (info.table.kind() == TableKind::tree) continue;
    CHECK(info.index == (info.table.name() == "learned" ? TableIndex::learned : TableIndex::plain));
  }
  Status closed = co_await again.close();
  co_return closed;
}

TEST_CASE("learned index: the answers of a table with plain ones, by get and multi_get, before and after reopening",
          "[F19]") {
  const std::string shape = GENERATE("uniform", "sequential", "clustered", "dictionary", "adversarial", "one head");
  const bool small_cache = GENERATE(false, true);
  CAPTURE(shape, small_cache);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(17)});
  const Status done = core->run(compare(*core, shape, small_cache));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  core->drain();
}

// ---- the file -----------------------------------------------------------------------------------------------------

Task<Status> make_table(Core& core, TableOptions options) {
  Partition db = co_await check(open_file(core, kOptions));
  Result<Table> made = co_await db.table("t", options);
  co_await check(db.close());
  co_return made ? Status() : Status(made.error());
}

// One flush of more than the cache can hold the index of.
Task<Status> fill_automatic(Core& core, std::uint64_t cache_bytes, std::uint64_t& learned) {
  Options options = kOptions;
  options.cache_bytes = cache_bytes;
  Partition db = co_await check(open_file(core, options));
  Table table = co_await check(db.table("t", {.kind = TableKind::levels}));
  const Keys keys = keys_of("uniform", 12'000);
  co_await check(fill(db, table, keys, 3));
  co_await check(db.settle());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Value value = co_await check(db.get(table, keys[i]));
    if (static_cast<bool>(value) != (i % 5 != 0)) co_return Error(Errc::io, "a wrong answer");
  }
  learned = db.stats().learned_lookups;
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("learned index: left to the engine it is there where the cache is scarce, and the file says so") {
  const bool scarce = GENERATE(false, true);
  CAPTURE(scarce);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(5), .eager = true});
  std::uint64_t learned = 0;
  const Status done = core->run(fill_automatic(*core, scarce ? 96 * KiB : 6 * MiB, learned));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  CHECK((learned != 0) == scarce);
  CHECK(features_of(disk, kFile) == (scarce ? format::kFeatureLearned : 0));
  core->drain();
}

TEST_CASE("learned index: the file says that readers have to know of it once a table is to have one") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  SECTION("automatic") {
    REQUIRE(core->run(make_table(*core, {.kind = TableKind::levels})));
    CHECK(features_of(disk, kFile) == 0);
  }
  SECTION("plain") {
    REQUIRE(core->run(make_table(*core, {.kind = TableKind::levels, .index = TableIndex::plain})));
    CHECK(features_of(disk, kFile) == 0);
  }
  SECTION("learned, and it stays so") {
    REQUIRE(core->run(make_table(*core, {.kind = TableKind::levels, .index = TableIndex::learned})));
    CHECK(features_of(disk, kFile) == format::kFeatureLearned);
    REQUIRE(core->run(make_table(*core, {.kind = TableKind::levels})));
    CHECK(features_of(disk, kFile) == format::kFeatureLearned);
  }
  SECTION("a tree has no choice") {
    const Status refused = core->run(make_table(*core, {.index = TableIndex::learned}));
    CHECK(refused.code() == Errc::invalid_argument);
    CHECK(features_of(disk, kFile) == 0);
  }
  core->drain();
}

// ---- damage -------------------------------------------------------------------------------------------------------

constexpr std::uint64_t kDamageKeys = 1500;

Task<Status> make_file(Core& core) {
  Partition db = co_await check(open_file(core, kOptions));
  Table table = co_await check(db.table("t", {.kind = TableKind::levels, .index = TableIndex::learned}));
  const Keys keys = keys_of("sequential", kDamageKeys);
  db.pause_compaction();
  co_await check(fill(db, table, keys, 1));
  Status closed = co_await db.close();
  co_return closed;
}

struct Reading {
  std::uint64_t errors = 0;
  std::uint64_t learned = 0;
  bool whole = false;
};

// Every answer is right, or corruption.
Task<Status> read_all(Core& core, Reading& reading) {
  Result<Partition> opened = co_await open_file(core, kOptions);
  if (!opened) {
    ++reading.errors;
    co_return opened.code() == Errc::corruption ? Status() : Status(opened.error());
  }
  Partition& db = *opened;
  db.pause_compaction();
  Result<Table> table = co_await db.table("t", {}, TableMode::open);
  const Keys keys = keys_of("sequential", kDamageKeys);
  for (std::size_t i = 0; table && i < keys.size(); i += 2) {
    Result<Value> value = co_await db.get(*table, keys[i]);
    if (!value && value.code() != Errc::corruption) co_return value.error();
    reading.errors += value ? 0u : 1u;
    if (value && static_cast<bool>(*value) != (i % 5 != 0)) co_return Error(Errc::io, "a wrong answer");
    if (value && *value && value->view() != value_of(keys[i])) co_return Error(Errc::io, "a wrong value");
  }
  reading.learned = db.stats().learned_lookups;
  Result<CheckReport> report = co_await db.check();
  reading.whole = report.has_value();
  Status closed = co_await db.close();
  co_return closed;
}

std::vector<std::uint64_t> pages_of_type(const SimDisk& disk, format::PageType type) {
  std::vector<std::uint64_t> pages;
  for (std::uint64_t page = format::kSuperblockPages; page < disk.file_size(kFile) / kPageBytes; ++page) {
    const std::string bytes = disk.peek(kFile, page * kPageBytes, kPageBytes);
    const format::PageHeader& header = format::header_of(bytes.data());
    if (header.type == type && header.page_id == page && header.checksum == format::page_checksum(bytes.data())) {
      pages.push_back(page);
    }
  }
  return pages;
}

TEST_CASE("learned index: flipped bits and lost writes in its pages are reported, never answered from", "[F12][F19]") {
  SimDisk pristine;
  {
    const std::unique_ptr<Core> core = pristine.make_core({.seed = 1, .eager = true});
    REQUIRE(core->run(make_file(*core)));
    core->drain();
  }
  std::vector<std::uint64_t> pages = pages_of_type(pristine, format::PageType::learned_root);
  const std::vector<std::uint64_t> directories = pages_of_type(pristine, format::PageType::learned_directory);
  const std::vector<std::uint64_t> leaves = pages_of_type(pristine, format::PageType::leaf);
  REQUIRE(!pages.empty());
  REQUIRE(!directories.empty());
  pages.insert(pages.end(), directories.begin(), directories.end());
  rt::Random random(test_seed(3));
  std::uint64_t found = 0;
  for (int round = 0; round < 120; ++round) {
    SimDisk disk = pristine.clone();
    const std::uint64_t page = pages[random.below(pages.size())];
    CAPTURE(round, page);
    if (round % 6 == 5) {  // what was there before
      disk.poke(kFile, page * kPageBytes,
                pristine.peek(kFile, leaves[random.below(leaves.size())] * kPageBytes, kPageBytes));
    } else if (round % 6 == 4) {
      disk.zero(kFile, page * kPageBytes, kPageBytes);
    } else {
      disk.flip_bit(kFile, page * kPageBytes + random.below(kPageBytes), static_cast<unsigned>(random.below(8)));
    }
    const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
    Reading reading;
    const Status done = core->run(read_all(*core, reading));
    INFO(std::string(done ? "" : done.error().message()));
    REQUIRE(done);
    if (reading.errors != 0) CHECK_FALSE(reading.whole);
    found += reading.whole ? 0u : 1u;
    core->drain();
  }
  CHECK(found > 60);  // pages that a later version replaced are whole to nobody's loss
}

Task<Status> rescue(Core& on) {
  SalvageReport report = co_await check(salvage(on, kFile, "rescued", 24 * MiB));
  CHECK(report.lost.empty());
  CHECK(report.entries >= kDamageKeys);
  Options options = kOptions;
  options.path = "rescued";
  Partition db = co_await check(open_file(on, options));
  const std::vector<TableInfo> tables = db.tables();
  CHECK(std::any_of(tables.begin(), tables.end(), [](const TableInfo& info) {
    return info.table.name() == "t" && info.index == TableIndex::learned;
  }));
  Table table = co_await check(db.table("t", {}, TableMode::open));
  const Keys keys = keys_of("sequential", kDamageKeys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Value value = co_await check(db.get(table, keys[i]));
    if (static_cast<bool>(value) != (i % 5 != 0)) co_return Error(Errc::io, "a wrong answer");
  }
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("learned index: salvage copies the table, and it is as it was made") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  REQUIRE(core->run(make_file(*core)));
  const std::vector<std::uint64_t> directories = pages_of_type(disk, format::PageType::learned_directory);
  REQUIRE(!directories.empty());
  for (const std::uint64_t page : directories) disk.flip_bit(kFile, page * kPageBytes + 500, 1);
  const Status done = core->run(rescue(*core));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  core->drain();
}

}  // namespace
}  // namespace cambium::test
