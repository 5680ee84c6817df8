// SPDX-License-Identifier: MIT OR Apache-2.0
// Compressed level stores through the whole engine: the same answers as plain ones in fewer pages, snapshots and sorted
// loads, the choice kept by the file, and what is refused.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "format/superblock.h"
#include "sim/compressed_table.h"
#include "support/codecs.h"
#include "support/seed.h"
#include "support/skip.h"
#include "support/superblocks.h"

namespace cambium::test {
namespace {

Task<Status> same_scan(Partition& db, const Table& table, const PackedModel& model, Bytes from, Bytes to,
                       bool reverse) {
  ScanRange range;
  range.from = from;
  range.to = to;
  ScanOptions options;
  options.reverse = reverse;
  Scan scan = db.scan(table, range, options);
  std::vector<std::pair<std::string, std::string>> wanted;
  for (const auto& [key, value] : model) {
    if (!from.empty() && Bytes(key) < from) continue;
    if (!to.empty() && !(Bytes(key) < to)) continue;
    wanted.emplace_back(key, value);
  }
  if (reverse) std::reverse(wanted.begin(), wanted.end());
  std::size_t at = 0;
  for (;;) {
    const std::span<const Entry> page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) {
      if (at == wanted.size()) co_return Error(Errc::io, "a scan shows too much");
      if (entry.key.view() != wanted[at].first || entry.value.view() != wanted[at].second) {
        co_return Error(Errc::io, "a scan shows something else than " + wanted[at].first);
      }
      ++at;
    }
  }
  if (at != wanted.size()) co_return Error(Errc::io, "a scan ends too early");
  co_return Status();
}

Task<Status> same_answers(Partition& db, const Table& table, const PackedModel& model, std::uint64_t keys) {
  for (std::uint64_t i = 0; i < keys; ++i) {
    for (const std::string& key : {packed_key(i), packed_key(i) + "a"}) {
      const Value value = co_await check(db.get(table, key));
      const auto wanted = model.find(key);
      if (static_cast<bool>(value) != (wanted != model.end())) co_return Error(Errc::io, "a wrong answer: " + key);
      if (value && value.view() != wanted->second) co_return Error(Errc::io, "a wrong value: " + key);
    }
  }
  constexpr std::size_t kTogether = 16;
  for (std::uint64_t i = 0; i + kTogether <= keys; i += 5 * kTogether) {
    std::string names[kTogether];
    Bytes asked[kTogether];
    Value values[kTogether];
    for (std::size_t k = 0; k < kTogether; ++k) {
      names[k] = packed_key(i + k);
      asked[k] = names[k];
    }
    co_await check(db.multi_get(table, asked, values));
    for (std::size_t k = 0; k < kTogether; ++k) {
      const auto wanted = model.find(names[k]);
      if (static_cast<bool>(values[k]) != (wanted != model.end())) co_return Error(Errc::io, "a wrong answer of many");
      if (values[k] && values[k].view() != wanted->second) co_return Error(Errc::io, "a wrong value of many");
    }
  }
  co_await check(same_scan(db, table, model, Bytes(), Bytes(), false));
  co_await check(same_scan(db, table, model, Bytes(), Bytes(), true));
  rt::Random random(9);
  for (int part = 0; part < 40; ++part) {
    const std::string from = packed_key(random.below(keys));
    const std::string to = packed_key(random.below(keys)) + (random.chance(0.5) ? "x" : "");
    const bool reverse = random.chance(0.5);
    if (Bytes(from) < Bytes(to)) {
      co_await check(same_scan(db, table, model, from, to, reverse));
    }
  }
  co_return Status();
}

Task<Status> compare(Core& core, Compression compression, TableIndex index, bool small_cache) {
  constexpr std::uint64_t kKeys = 6000;
  Options options = kPackedOptions;
  if (small_cache) options.cache_bytes = 256 * KiB;
  Partition db = co_await check(open_packed(core, options));
  const TableOptions made{.kind = TableKind::levels, .index = index, .compression = compression};
  Table table = co_await check(db.table("packed", made));
  Table plain = co_await check(db.table("plain", {.kind = TableKind::levels, .index = index}));
  PackedModel model;
  PackedModel other;
  db.pause_compaction();
  co_await check(fill_packed(db, table, kKeys, 3, model));
  co_await check(fill_packed(db, plain, kKeys, 3, other));
  CHECK(model == other);
  co_await check(same_answers(db, table, model, kKeys));
  co_await check(db.settle());
  co_await check(same_answers(db, table, model, kKeys));
  co_await check(db.check());
  const TableStats packed_stats = co_await check(db.table_stats(table));
  const TableStats plain_stats = co_await check(db.table_stats(plain));
  CHECK(packed_stats.compression_ratio() > 1.5);
  CHECK(plain_stats.compression_ratio() == 1);
  CHECK(packed_stats.node_bytes * 3 < plain_stats.node_bytes * 2);
  CHECK(packed_stats.unpacked_bytes < plain_stats.node_bytes * 11 / 10);
  CHECK(packed_stats.unpacked_bytes * 11 / 10 > plain_stats.node_bytes);
  const TableLevels inside = co_await check(db.table_levels(table));
  for (const SstableInfo& one : inside.sstables) {
    CHECK(one.compression == compression);
    CHECK(one.packed_pages != 0);
    CHECK(one.unpacked_pages > one.node_pages);
  }
  co_await check(db.compact());
  co_await check(same_answers(db, table, model, kKeys));
  co_await check(db.close());

  Partition again = co_await check(open_packed(core, options));
  Table reopened = co_await check(again.table("packed", {}, TableMode::open));
  co_await check(same_answers(again, reopened, model, kKeys));
  for (const TableInfo& info : again.tables()) {
    CHECK(info.compression == (info.table.name() == "packed" ? compression : Compression::none));
  }
  co_await check(again.check());
  Status closed = co_await again.close();
  co_return closed;
}

TEST_CASE("compression: the answers of a table without, by get, multi_get and scans both ways, in fewer pages",
          "[F06][F09]") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  const TableIndex index = GENERATE(TableIndex::plain, TableIndex::learned);
  const bool small_cache = GENERATE(false, true);
  CAPTURE(name_of(compression), static_cast<int>(index), small_cache);
  CAMBIUM_NEEDS_CODEC(compression);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(23)});
  const Status done = core->run(compare(*core, compression, index, small_cache));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  core->drain();
}

// ---- what goes on beside -------------------------------------------------------------------------------------------

Task<Status> load_sorted(Partition& db, const Table& table, const PackedModel& model) {
  BulkLoad load = co_await check(db.bulk_load(table));
  for (const auto& [key, value] : model) {
    co_await check(load.add(key, value));
  }
  Status finished = co_await load.finish();
  co_return finished;
}

Task<Status> snapshots_and_loads(Core& core, Compression compression) {
  constexpr std::uint64_t kKeys = 2500;
  Partition db = co_await check(open_packed(core, kPackedOptions));
  const TableOptions made{.kind = TableKind::levels, .compression = compression};
  Table table = co_await check(db.table("loaded", made));
  PackedModel before;
  for (std::uint64_t i = 0; i < kKeys; ++i) before[packed_key(i)] = packed_value(packed_key(i), 77);
  co_await check(load_sorted(db, table, before));
  co_await check(same_answers(db, table, before, kKeys));
  const TableStats loaded = co_await check(db.table_stats(table));
  CHECK(loaded.compression_ratio() > 1.5);

  // An older version goes on being read while merges replace its pages; values outlive what they were unpacked from.
  std::optional<Snapshot> snapshot(db.snapshot());
  PackedModel after = before;
  co_await check(fill_packed(db, table, kKeys, 3, after));
  co_await check(db.settle());
  std::vector<Value> kept;
  for (std::uint64_t i = 0; i < kKeys; i += 3) {
    ReadOptions as_of;
    as_of.snapshot = &*snapshot;
    Value value = co_await check(db.get(table, packed_key(i), as_of));
    if (!value || value.view() != before[packed_key(i)]) co_return Error(Errc::io, "a snapshot shows something else");
    kept.push_back(std::move(value));
  }
  for (std::uint64_t i = 0; i < kKeys; i += 3) {
    if (kept[i / 3].view() != before[packed_key(i)]) co_return Error(Errc::io, "a value was taken away");
  }
  kept.clear();
  snapshot.reset();
  co_await check(same_answers(db, table, after, kKeys));
  co_await check(db.compact());
  co_await check(db.check());
  co_await check(db.drop_table("loaded"));
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("compression: a sorted load, snapshots under merges, values that are kept, and the table's end", "[F06]") {
  const Compression compression = GENERATE(Compression::lz4, Compression::zstd);
  CAPTURE(name_of(compression));
  CAMBIUM_NEEDS_CODEC(compression);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = test_seed(29)});
  const Status done = core->run(snapshots_and_loads(*core, compression));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  core->drain();
}

// ---- the file -----------------------------------------------------------------------------------------------------

void need(SimDisk& disk, std::uint64_t features) {
  for (std::uint64_t page = 0; page < format::kSuperblockPages; ++page) {
    std::string bytes = disk.peek(kPackedFile, page * kPageBytes, kPageBytes);
    reinterpret_cast<format::Superblock*>(bytes.data())->features_needed |= features;
    format::seal_page(bytes.data());
    disk.poke(kPackedFile, page * kPageBytes, bytes);
  }
}

Task<Status> make_table(Core& core, Compression compression, TableKind kind) {
  Partition db = co_await check(open_packed(core, kPackedOptions));
  TableOptions options;
  options.kind = kind;
  options.compression = compression;
  Result<Table> made = co_await db.table("t", options);
  co_await check(db.close());
  co_return made ? Status() : Status(made.error());
}

TEST_CASE("compression: the file says what it takes to read it, from the table's making on") {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  SECTION("none") {
    REQUIRE(core->run(make_table(*core, Compression::none, TableKind::levels)));
    CHECK(features_of(disk, kPackedFile) == 0);
  }
  SECTION("a codec that is there, and it stays so") {
    const Compression compression = some_codec();
    if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
    REQUIRE(core->run(make_table(*core, compression, TableKind::levels)));
    CHECK(features_of(disk, kPackedFile) == format::feature_of(compression));
    REQUIRE(core->run(make_table(*core, Compression::none, TableKind::levels)));
    CHECK(features_of(disk, kPackedFile) == format::feature_of(compression));
  }
  SECTION("a tree has no choice") {
    const Status refused = core->run(make_table(*core, Compression::lz4, TableKind::tree));
    CHECK(refused.code() == Errc::invalid_argument);
    CHECK(features_of(disk, kPackedFile) == 0);
  }
  SECTION("there is no such compression") {
    const Status refused = core->run(make_table(*core, static_cast<Compression>(3), TableKind::levels));
    CHECK(refused.code() == Errc::invalid_argument);
    CHECK(features_of(disk, kPackedFile) == 0);
  }
  core->drain();
}

// In a build with both libraries an unknown feature stands for them.
TEST_CASE(
    "compression: a build without the library refuses to make such a table, and to open such a file, which stays") {
  const bool any_missing = !has_codec(Compression::lz4) || !has_codec(Compression::zstd);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  for (const Compression missing : {Compression::lz4, Compression::zstd}) {
    if (has_codec(missing)) continue;
    const Status refused = core->run(make_table(*core, missing, TableKind::levels));
    CHECK(refused.code() == Errc::unsupported);
  }
  REQUIRE(core->run(make_table(*core, Compression::none, TableKind::levels)));
  const Compression missing = has_codec(Compression::lz4) ? Compression::zstd : Compression::lz4;
  need(disk, any_missing ? format::feature_of(missing) : std::uint64_t{1} << 40);
  const std::string before = disk.peek(kPackedFile, 0, disk.file_size(kPackedFile));
  const Status opened = core->run(make_table(*core, Compression::none, TableKind::levels));
  CHECK(opened.code() == Errc::unsupported);
  const std::string wanted = any_missing ? "lib" + std::string(name_of(missing)) : "features";
  CHECK(std::string(opened.error().message()).find(wanted) != std::string::npos);
  CHECK(!opened.error().hint().empty());
  CHECK(disk.peek(kPackedFile, 0, disk.file_size(kPackedFile)) == before);
  core->drain();
}

}  // namespace
}  // namespace cambium::test
