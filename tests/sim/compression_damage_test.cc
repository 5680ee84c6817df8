// SPDX-License-Identifier: MIT OR Apache-2.0
// Damage of compressed level stores: found by reads, check and the scrub, never answered from; what salvage makes of
// it; and packed leaves where nobody expects them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/sim.h>
#include <cambium/salvage.h>

#include "lib/node/packed_page.h"
#include "sim/compressed_table.h"
#include "support/codecs.h"
#include "support/page_forger.h"
#include "support/quiet_log.h"
#include "support/seed.h"
#include "support/skip.h"

namespace cambium::test {
namespace {

constexpr std::uint64_t kDamageKeys = 3000;

Task<Status> make_file(Core& core) {
  Partition db = co_await check(open_packed(core, kPackedOptions));
  const TableOptions made{.kind = TableKind::levels, .compression = some_codec()};
  Table table = co_await check(db.table("t", made));
  db.pause_compaction();
  PackedModel model;
  co_await check(fill_packed(db, table, kDamageKeys, 1, model));
  Status closed = co_await db.close();
  co_return closed;
}

PackedModel damage_model() {
  PackedModel model;
  for (std::uint64_t i = 0; i < kDamageKeys; ++i) model[packed_key(i)] = packed_value(packed_key(i), 0);
  return model;
}

std::vector<std::uint64_t> packed_pages(const SimDisk& disk) {
  std::vector<std::uint64_t> pages;
  for (std::uint64_t page = format::kSuperblockPages; page < disk.file_size(kPackedFile) / kPageBytes; ++page) {
    const std::string bytes = disk.peek(kPackedFile, page * kPageBytes, kPageBytes);
    const format::PageHeader& header = format::header_of(bytes.data());
    if (format::is_packed_leaf(bytes.data()) && header.page_id == page &&
        header.checksum == format::page_checksum(bytes.data())) {
      pages.push_back(page);
    }
  }
  return pages;
}

struct Reading {
  std::uint64_t errors = 0;
  CheckReport report;
};

// Every answer is right, or corruption; scans end with it.
Task<Status> read_all(Core& core, const PackedModel& model, Reading& reading) {
  Partition db = co_await check(open_packed(core, kPackedOptions));
  db.pause_compaction();
  Table table = co_await check(db.table("t", {}, TableMode::open));
  for (const auto& [key, stored] : model) {
    Result<Value> value = co_await db.get(table, key);
    if (!value && value.code() != Errc::corruption) co_return value.error();
    reading.errors += value ? 0u : 1u;
    if (value && (!*value || value->view() != stored)) co_return Error(Errc::io, "a wrong value of " + key);
  }
  for (const bool reverse : {false, true}) {
    ScanOptions options;
    options.reverse = reverse;
    Scan scan = db.scan(table, {}, options);
    std::uint64_t shown = 0;
    for (;;) {
      Result<std::span<const Entry>> page = co_await scan.next_page();
      if (!page && page.code() != Errc::corruption) co_return page.error();
      if (!page) break;
      if (page->empty()) {
        if (shown != model.size()) co_return Error(Errc::io, "a scan passes over damage");
        break;
      }
      for (const Entry& entry : *page) {
        const auto wanted = model.find(entry.key.str());
        if (wanted == model.end() || entry.value.view() != wanted->second) co_return Error(Errc::io, "a wrong entry");
        ++shown;
      }
    }
  }
  const Status checked = co_await db.check(reading.report);
  CHECK(checked.code() == Errc::corruption);
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("compression: flipped bits in packed leaves are reported with table and keys, never answered from", "[F12]") {
  if (some_codec() == Compression::none) CAMBIUM_SKIP("this build has no codec");
  SimDisk pristine;
  {
    const std::unique_ptr<Core> core = pristine.make_core({.seed = 1, .eager = true});
    const Status made = core->run(make_file(*core));
    INFO(std::string(made ? "" : made.error().message()));
    REQUIRE(made);
    core->drain();
  }
  const std::vector<std::uint64_t> pages = packed_pages(pristine);
  REQUIRE(pages.size() > 20);
  const PackedModel model = damage_model();
  rt::Random random(test_seed(3));
  for (int round = 0; round < 40; ++round) {
    SimDisk disk = pristine.clone();
    const std::uint64_t page = pages[random.below(pages.size())];
    CAPTURE(round, page);
    bool resealed = false;
    if (round % 4 == 3) {  // another page of packed leaves, as after a misdirected write
      const std::uint64_t other = pages[(static_cast<std::size_t>(page) + 1 + random.below(5)) % pages.size()];
      if (other == page) continue;
      disk.poke(kPackedFile, page * kPageBytes, pristine.peek(kPackedFile, other * kPageBytes, kPageBytes));
    } else {
      disk.flip_bit(kPackedFile, page * kPageBytes + random.below(kPageBytes), static_cast<unsigned>(random.below(8)));
      resealed = round % 4 == 2;
      if (resealed) {  // the page's own checksum is right again: its parent's is not
        std::string bytes = disk.peek(kPackedFile, page * kPageBytes, kPageBytes);
        format::seal_page(bytes.data());
        disk.poke(kPackedFile, page * kPageBytes, bytes);
      }
    }
    const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
    Reading reading;
    const Status done = core->run(read_all(*core, model, reading));
    INFO(std::string(done ? "" : done.error().message()));
    REQUIRE(done);
    CHECK(reading.errors > 20);  // all that the page had
    REQUIRE(reading.report.damages.size() == 1);
    const Damage& damage = reading.report.damages.front();
    CHECK(damage.page == page);
    CHECK(damage.table == "t");
    CHECK(damage.reason.find(kPackedFile) != std::string::npos);
    std::uint64_t in_range = 0;
    for (const auto& [key, value] : model)
      in_range += key >= damage.from && (damage.to.empty() || key < damage.to) ? 1u : 0u;
    CHECK(in_range == reading.errors);
    core->drain();
  }
}

Task<Status> scrub_once(Core& core, std::uint64_t& damaged) {
  Options options = kPackedOptions;
  options.scrub_mb_per_s = 1000;
  Partition db = co_await check(open_packed(core, options));
  while (db.stats().scrub_rounds == 0) co_await core.sleep_ns(1'000'000);
  damaged = db.stats().scrub_damaged;
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("compression: the background scrub unpacks what it reads", "[F12]") {
  if (some_codec() == Compression::none) CAMBIUM_SKIP("this build has no codec");
  const bool whole = GENERATE(true, false);
  CAPTURE(whole);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  REQUIRE(core->run(make_file(*core)));
  const std::vector<std::uint64_t> pages = packed_pages(disk);
  if (!whole) disk.flip_bit(kPackedFile, pages[pages.size() / 3] * kPageBytes + 900, 5);
  const QuietLog quiet;
  std::uint64_t damaged = 0;
  const Status done = core->run(scrub_once(*core, damaged));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  CHECK(damaged == (whole ? 0u : 1u));
  core->drain();
}

Task<Status> rescue(Core& on, const PackedModel& model, bool whole) {
  SalvageReport report = co_await check(salvage(on, kPackedFile, "rescued", 24 * MiB));
  CHECK(report.lost.empty() == whole);
  Options options = kPackedOptions;
  options.path = "rescued";
  Partition db = co_await check(open_packed(on, options));
  for (const TableInfo& info : db.tables()) {
    if (info.table.name() == "t") CHECK(info.compression == some_codec());
  }
  Table table = co_await check(db.table("t", {}, TableMode::open));
  std::uint64_t missing = 0;
  for (const auto& [key, stored] : model) {
    const Value value = co_await check(db.get(table, key));
    if (value && value.view() != stored) co_return Error(Errc::io, "a wrong value of " + key);
    if (value) continue;
    ++missing;
    const bool known = std::any_of(report.lost.begin(), report.lost.end(), [&](const LostRange& range) {
      return key >= range.from && (range.to.empty() || key < range.to);
    });
    if (!known) co_return Error(Errc::io, "lost without a word: " + key);
  }
  CHECK((missing == 0) == whole);
  co_await check(db.check());
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("compression: salvage copies what is left of the table, and it is as it was made") {
  if (some_codec() == Compression::none) CAMBIUM_SKIP("this build has no codec");
  const bool whole = GENERATE(true, false);
  CAPTURE(whole);
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  REQUIRE(core->run(make_file(*core)));
  const std::vector<std::uint64_t> pages = packed_pages(disk);
  if (!whole) disk.flip_bit(kPackedFile, pages[pages.size() / 2] * kPageBytes + 500, 1);
  const Status done = core->run(rescue(*core, damage_model(), whole));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  core->drain();
}

// A page of packed leaves where a tree has a leaf: whoever reads it as a node would read beyond it.
Task<Status> read_tree(Core& core, std::uint64_t& errors) {
  Partition db = co_await check(open_packed(core, kPackedOptions));
  for (std::uint64_t i = 0; i < 400; ++i) {
    Result<Value> value = co_await db.get(packed_key(i));
    errors += value ? 0u : 1u;
    if (!value && value.code() != Errc::corruption) co_return value.error();
  }
  Result<CheckReport> report = co_await db.check();
  CHECK_FALSE(report);
  for (std::uint64_t i = 0; i < 400; ++i) {
    co_await check(db.put(packed_key(i), "new"));
  }
  const Status flushed = co_await db.flush();
  CHECK(flushed.code() == Errc::corruption);
  const Status closed = co_await db.close();
  static_cast<void>(closed);
  co_return Status();
}
Task<Status> make_tree(Core& core) {
  Partition db = co_await check(open_packed(core, kPackedOptions));
  for (std::uint64_t i = 0; i < 400; ++i) {
    co_await check(db.put(packed_key(i), "a value"));
  }
  Status closed = co_await db.close();
  co_return closed;
}

TEST_CASE("compression: packed leaves forged into a tree are damage to everybody who meets them", "[F12]") {
  const Compression compression = some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 1, .eager = true});
  REQUIRE(core->run(make_tree(*core)));
  PageForger forger(disk, kPackedFile);
  std::uint64_t entries = 0;
  forger.rewrite(forger.path_to({1}), [&](PageForger::Page& page) {
    const format::PageHeader was = format::header_of(page.data());
    REQUIRE(was.type == format::PageType::leaf);
    entries = was.count;
    format::PageHeader& header = format::header_of(page.data());
    header.checksum = 0;
    header.page_id = header.generation = header.file_id = 0;
    const std::unique_ptr<char[]> packed = pack_image(compression, page);
    std::memcpy(page.data(), packed.get(), kPageBytes);
    header.page_id = was.page_id;
    header.generation = was.generation;
    header.file_id = was.file_id;
  });
  std::uint64_t errors = 0;
  const Status done = core->run(read_tree(*core, errors));
  INFO(std::string(done ? "" : done.error().message()));
  CHECK(done);
  CHECK(errors == entries);
  core->drain();
}

}  // namespace
}  // namespace cambium::test
