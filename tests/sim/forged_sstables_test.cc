// SPDX-License-Identifier: MIT OR Apache-2.0
// The manifest, filters and sstables of a level store with right checksums that say wrong things: nothing asserts,
// hangs or reads outside, no value is shown that nobody wrote, and check() says what is wrong.
//
// A manifest is believed, as a tree's branches are: where its row hides keys they are absent, until check() compares
// the row with the leaves. A trim alone cannot be told from a right one: what it hides has moved elsewhere, as far as a
// reader knows.
#include <catch2/catch.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "format/filter_page.h"
#include "format/sstable_row.h"
#include "support/kinds.h"
#include "support/page_forger.h"
#include "support/quiet_log.h"
#include "support/run_whole.h"

namespace cambium::test {
namespace {

constexpr const char* kFile = "forged.cambium";
constexpr Options kSmall{.path = kFile, .mode = OpenMode::open, .memory_bytes = 1 * MiB, .cache_bytes = 256 * KiB};
constexpr int kKeys = 2400;
constexpr int kRuns = 3;

std::string key_of(int i) { return rt::str("key ", 10'000 + i); }
std::string value_of(int i) { return rt::str("value ", i, std::string(100, static_cast<char>('a' + i % 26))); }

// Three runs of disjoint keys, of several sstables each; beside them a tree.
Task<Status> fill(Core& core) {
  Options options = kSmall;
  options.mode = OpenMode::create;
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(table_of(db, TableKind::levels));
  db.pause_compaction();
  co_await check(db.put("beside", "it"));
  for (int run = 0; run < kRuns; ++run) {
    for (int i = run; i < kKeys; i += kRuns) {
      co_await check(db.put(table, key_of(i), value_of(i)));
    }
    co_await check(db.flush({.trim = false}));
  }
  Status closed = co_await db.close();
  co_return closed;
}

const SimDisk& filled() {
  static const SimDisk disk = [] {
    SimDisk made;
    run_whole(made, &fill);
    return made.clone();
  }();
  return disk;
}

struct Outcome {
  Status open;
  Status beside;
  int right = 0;
  int corrupt = 0;
  int absent = 0;
  int wrong = 0;  // another value, another error
  Status get;     // the first error
  Status scan;
  int scanned_wrong = 0;
  Status check;
  CheckReport report;
  Status settled;
  Status flush;
};

Task<void> ask(Partition& db, const Table& table, Outcome& outcome) {
  for (int i = 0; i < kKeys; ++i) {
    const Result<Value> value = co_await db.get(table, key_of(i));
    const bool right = value && value.value() && value.value().view() == value_of(i);
    const bool corrupt = value.code() == Errc::corruption;
    if (!value && outcome.get) outcome.get = value.error();
    outcome.right += right ? 1 : 0;
    outcome.corrupt += corrupt ? 1 : 0;
    outcome.absent += value && !value.value() ? 1 : 0;
    outcome.wrong += right || corrupt || (value && !value.value()) ? 0 : 1;
  }
  Scan scan = db.scan(table);
  for (;;) {
    const Result<const Entry*> entry = co_await scan.next();
    if (!entry) outcome.scan = entry.error();
    if (!entry || entry.value() == nullptr) co_return;
    const std::string key = entry.value()->key.str();
    const int number = static_cast<int>(std::strtol(key.c_str() + 4, nullptr, 10)) - 10'000;
    outcome.scanned_wrong += entry.value()->value.view() == value_of(number) ? 0 : 1;
  }
}

Task<void> use(Core& core, Outcome& outcome) {
  Result<Partition> opened = co_await Partition::open(core, kSmall);
  if (!opened) {
    outcome.open = opened.error();
    co_return;
  }
  Partition db = std::move(*opened);
  db.pause_compaction();
  Result<Table> table = co_await table_of(db, TableKind::levels, TableMode::open);
  if (!table) {
    outcome.open = table.error();
    co_return;
  }
  {
    const Result<Value> beside = co_await db.get("beside");
    outcome.beside = beside && beside.value() ? Status() : Status(Errc::corruption);
  }
  co_await ask(db, table.value(), outcome);
  outcome.check = co_await db.check(outcome.report);
  // Enough runs for a merge of everything.
  for (int round = 0; round < 6 && outcome.flush; ++round) {
    outcome.flush = co_await db.put(table.value(), key_of(round * 50), value_of(round * 50));
    if (outcome.flush) outcome.flush = co_await db.flush({.trim = false});
  }
  db.resume_compaction();
  outcome.settled = co_await db.settle();
  const Status closed = co_await db.close();
  static_cast<void>(closed);
}

// The first rows of the manifest, to be written over in place.
class Forged {
 public:
  template <class Edit>
  void row(std::size_t index, Edit edit) {
    forger.rewrite(manifest(), [&](std::string& page) {
      const Bytes value = node::NodeView(page.data()).leaf_entry(index).value;
      char* const at = page.data() + (value.data() - page.data());
      format::SstableRow row;
      std::memcpy(&row, at, sizeof row);
      edit(row, at);
      std::memcpy(at, &row, sizeof row);
    });
  }
  // What a row says is read, and changed nowhere.
  std::string row_bytes(std::size_t index) {
    const std::string page = forger.read(manifest_page());
    return node::NodeView(page.data()).leaf_entry(index).value.str();
  }
  static format::SstableRow row_of(const std::string& bytes) {
    format::SstableRow row;
    std::memcpy(&row, bytes.data(), sizeof row);
    return row;
  }
  static std::string min_key(const std::string& bytes) {
    return bytes.substr(keys_at(row_of(bytes)), row_of(bytes).min_key_bytes);
  }
  static std::string max_key(const std::string& bytes) {
    return bytes.substr(keys_at(row_of(bytes)) + row_of(bytes).min_key_bytes);
  }
  static std::size_t filter_at(const format::SstableRow& row) {
    return sizeof row + row.extent_count * sizeof(format::SstableExtent);
  }
  static std::size_t keys_at(const format::SstableRow& row) {
    return filter_at(row) + row.filter_pages * sizeof(format::FilterPageRow);
  }
  std::uint64_t manifest_page() { return forger.target(manifest()).page; }
  PageForger::Path manifest() { return forger.path_to({}, 1); }
  Outcome used() {
    const QuietLog quiet;
    Outcome outcome;
    const std::unique_ptr<Core> core = disk.make_core({.seed = 2, .eager = true});
    core->run(use(*core, outcome));
    core->drain();
    return outcome;
  }

  SimDisk disk = filled().clone();
  PageForger forger{disk, kFile};
};

void require_contained(const Outcome& outcome) {
  REQUIRE(outcome.open);
  CHECK(outcome.beside);
  CHECK(outcome.wrong == 0);
  CHECK(outcome.scanned_wrong == 0);
  CHECK((outcome.scan || outcome.scan.code() == Errc::corruption));
  CHECK((outcome.flush || outcome.flush.code() == Errc::corruption));
  CHECK((outcome.settled || outcome.settled.code() == Errc::corruption));
}

TEST_CASE("forged: the forger itself leaves a level store whole") {
  Forged f;
  f.row(0, [](format::SstableRow&, char*) {});
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.right == kKeys);
  CHECK(outcome.check);
  CHECK(outcome.settled);
}

TEST_CASE("forged: an impossible row of a manifest is corruption for every reader and writer of that table",
          "[F09][F12]") {
  const int which = GENERATE(range(0, 18));
  CAPTURE(which);
  Forged f;
  const std::uint64_t manifest = f.manifest_page();
  f.row(1, [&](format::SstableRow& row, char* at) {
    const format::SstableExtent outside{1, 2};
    if (which == 0) row.level = 200;
    if (which == 1) row.run = ~std::uint32_t{0};
    if (which == 2) row.height = 0;
    if (which == 3) row.height = 17;
    if (which == 4) row.root.entries = 0;
    if (which == 5) row.tombstones = row.root.entries + 1;
    if (which == 6) row.min_key_bytes = 0;
    if (which == 7) row.max_key_bytes = 5000;
    if (which == 8) row.flags = 8;
    if (which == 9) row.filter_probes = 0;
    if (which == 10) row.filter_probes = 17;
    if (which == 11) row.extent_count = ~std::uint32_t{0};
    if (which == 12) row.filter_pages = ~std::uint32_t{0};
    if (which == 13) row.node_pages += 1;
    if (which == 14) row.root.page = 9;
    if (which == 15) std::memcpy(at + sizeof row, &outside, sizeof outside);
    if (which == 16) at[Forged::keys_at(row)] = 'z';                               // min key above max key
    if (which == 17) std::memset(at + Forged::filter_at(row), 0, sizeof outside);  // a filter page elsewhere
  });
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.corrupt == kKeys);
  CHECK(names(outcome.get, kFile, manifest));
  CHECK(names(outcome.scan, kFile, manifest));
  CHECK(outcome.check.code() == Errc::corruption);
  CHECK(outcome.flush.code() == Errc::corruption);
}

TEST_CASE("forged: sstables of one run that overlap are corruption for every reader of that table", "[F09][F12]") {
  Forged f;
  const std::uint64_t manifest = f.manifest_page();
  // An sstable of another run, of keys that the first one spans as well, becomes one of its run.
  const std::string first = f.row_bytes(0);
  for (std::size_t i = 1;; ++i) {
    const std::string other = f.row_bytes(i);
    if (Forged::row_of(other).run == Forged::row_of(first).run || Forged::min_key(other) > Forged::max_key(first))
      continue;
    f.row(i, [&](format::SstableRow& row, char*) { row.run = Forged::row_of(first).run; });
    break;
  }
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.corrupt == kKeys);
  CHECK(names(outcome.get, kFile, manifest));
  CHECK(outcome.check.code() == Errc::corruption);
}

TEST_CASE("forged: bounds and counts of a row that its sstable does not have are found by check", "[F09][F12]") {
  const int which = GENERATE(range(0, 4));
  CAPTURE(which);
  Forged f;
  f.row(0, [&](format::SstableRow& row, char* at) {
    char* const keys = at + Forged::keys_at(row);
    if (which == 0) keys[row.min_key_bytes - 3] += 1;                      // "key 10003": some keys are below
    if (which == 1) keys[row.min_key_bytes + row.max_key_bytes - 2] -= 1;  // some are above
    if (which == 2) keys[4] -= 1;                                          // "key 0...": there is no such key
    if (which == 3) row.tombstones += 1;
  });
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.corrupt == 0);
  CHECK(outcome.right + outcome.absent == kKeys);
  CHECK(outcome.absent <= (which < 2 ? kKeys / 3 : 0));
  CHECK(outcome.check.code() == Errc::corruption);
  CHECK(outcome.report.damaged_places >= 1);
}

TEST_CASE("forged: a trim that nobody made hides keys, and what is left is right", "[F09]") {
  Forged f;
  f.row(0, [&](format::SstableRow& row, char* at) {
    row.flags = format::kSstableTrimmed;
    at[Forged::keys_at(row) + row.min_key_bytes - 3] += 1;
  });
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.corrupt == 0);
  CHECK(outcome.absent > 0);
  CHECK(outcome.right + outcome.absent == kKeys);
}

TEST_CASE("forged: a filter that denies keys, or belongs to another sstable, is found by check and named",
          "[F08][F12]") {
  const bool other = GENERATE(false, true);
  CAPTURE(other);
  Forged f;
  const std::string bytes = f.row_bytes(0);
  const format::SstableRow row = Forged::row_of(bytes);
  REQUIRE(row.filter_pages == 1);
  format::FilterPageRow filter;
  std::memcpy(&filter, bytes.data() + Forged::filter_at(row), sizeof filter);
  std::string page = f.forger.read(filter.page);
  if (other) {
    auto& header = *reinterpret_cast<format::FilterPageHeader*>(page.data());
    header.filter.keys += 1;
  } else {
    std::memset(page.data() + sizeof(format::FilterPageHeader), 0, kPageBytes - sizeof(format::FilterPageHeader));
  }
  filter.checksum = f.forger.seal(filter.page, page);
  f.row(0, [&](format::SstableRow&, char* at) { std::memcpy(at + Forged::filter_at(row), &filter, sizeof filter); });
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.corrupt == 0);
  CHECK((outcome.absent == 0) == other);
  CHECK(outcome.right + outcome.absent == kKeys);
  CHECK(names(outcome.check, kFile, filter.page));
}

// The bounds of two sstables of one run change places: whoever reads the run meets keys that do not ascend.
TEST_CASE("forged: sstables in each other's place are found by check, and a merge of them is refused", "[F09][F12]") {
  Forged f;
  const std::string rows[] = {f.row_bytes(0), f.row_bytes(1)};
  for (const std::size_t i : {0u, 1u}) {
    const format::SstableRow other = Forged::row_of(rows[1 - i]);
    f.row(i, [&](format::SstableRow& row, char* at) {
      REQUIRE(row.run == other.run);
      REQUIRE(row.min_key_bytes + row.max_key_bytes == other.min_key_bytes + other.max_key_bytes);
      const std::size_t bytes = std::size_t{row.min_key_bytes} + row.max_key_bytes;
      std::memcpy(at + Forged::keys_at(row), rows[1 - i].data() + Forged::keys_at(other), bytes);
    });
  }
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.right + outcome.absent == kKeys);
  CHECK(outcome.absent > 0);
  CHECK(outcome.check.code() == Errc::corruption);
  CHECK(outcome.settled.code() == Errc::corruption);
}

TEST_CASE("forged: a leaf of an sstable that lies nowhere is corruption for those that need it", "[F12]") {
  const auto target = static_cast<std::uint32_t>(GENERATE(3u, 5u, 100'000u, ~0u));
  CAPTURE(target);
  Forged f;
  const std::string page = f.forger.read(f.manifest_page());
  const Bytes value = node::NodeView(page.data()).leaf_entry(0).value;
  const format::SstableRow row = Forged::row_of(value.str());
  REQUIRE(row.height == 2);
  PageForger::Path path = f.manifest();
  const auto at = static_cast<std::size_t>(value.data() - page.data());
  path.push_back({f.manifest_page(), at + offsetof(format::SstableRow, root)});
  path.push_back({row.root.page, PageForger::child_offset(f.forger.read(row.root.page), 2)});
  f.forger.redirect(path, [&](format::ChildPointer& pointer) { pointer.page = target; });
  const Outcome outcome = f.used();
  require_contained(outcome);
  CHECK(outcome.corrupt > 0);
  CHECK(outcome.corrupt + outcome.right == kKeys);
  CHECK(names(outcome.scan, kFile, target));
  CHECK(names(outcome.check, kFile, target));
  CHECK(outcome.settled.code() == Errc::corruption);
}

}  // namespace
}  // namespace cambium::test
