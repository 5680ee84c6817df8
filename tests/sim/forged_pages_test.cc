// SPDX-License-Identifier: MIT OR Apache-2.0
// Pages with right checksums that say wrong things: nothing asserts, hangs or reads outside; each is corruption that
// names file and page, or at worst an older right answer; what is intact stays readable; and nothing is written any
// more once the space map cannot be trusted.
#include <catch2/catch.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "node/node_builder.h"
#include "support/page_forger.h"
#include "support/run_whole.h"

namespace cambium::test {
namespace {

constexpr const char* kFile = "forged.cambium";
constexpr Options kSmall{.path = kFile, .mode = OpenMode::open, .memory_bytes = 1 * MiB, .cache_bytes = 128 * KiB};
constexpr int kKeys = 6000;  // three levels

std::string key_of(int i) {
  return rt::str("key ", 10'000 + i, std::string(static_cast<std::size_t>(i % 5) * 20, 'k'));
}
std::string value_of(int i) {
  return rt::str("value ", i, std::string(i % 500 == 7 ? 6000 : 100, static_cast<char>('a' + i % 26)));
}

Task<Status> fill(Core& core) {
  Options options = kSmall;
  options.mode = OpenMode::create;
  Partition db = co_await check(Partition::open(core, options));
  for (int i = 0; i < kKeys; ++i) {
    co_await check(db.put(key_of(i), value_of(i)));
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
  int right = 0;
  int corrupt = 0;
  int absent = 0;  // or another error, or another value
  Status scan;
  int scanned = 0;
  Status reverse_scan;
  Status check;
  CheckReport report;
  Status flush;  // after writing to every part of the tree
  Status later;  // a write after that
  int right_afterwards = 0;
};

Task<Status> scan_all(Partition& db, bool reverse, int& seen) {
  ScanOptions options;
  options.reverse = reverse;
  Scan scan = db.scan({}, options);
  std::string last;
  for (;;) {
    const std::span<const Entry> page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) {
      const bool ordered = last.empty() || (reverse ? entry.key.view() < last : last < entry.key.view());
      if (!ordered) co_return Error(Errc::invalid_argument, "the scan is out of order");
      last = entry.key.str();
      ++seen;
    }
  }
  co_return Status();
}

Task<void> use(Core& core, Outcome& outcome) {
  Result<Partition> opened = co_await Partition::open(core, kSmall);
  if (!opened) {
    outcome.open = opened.error();
    co_return;
  }
  Partition db = std::move(*opened);
  for (int i = 0; i < kKeys; ++i) {
    const Result<Value> value = co_await db.get(key_of(i));
    const bool right = value && value.value() && value.value().view() == value_of(i);
    outcome.right += right ? 1 : 0;
    outcome.corrupt += value.code() == Errc::corruption ? 1 : 0;
    outcome.absent += right || value.code() == Errc::corruption ? 0 : 1;
  }
  outcome.scan = co_await scan_all(db, false, outcome.scanned);
  int ignored = 0;
  outcome.reverse_scan = co_await scan_all(db, true, ignored);
  outcome.check = co_await db.check(outcome.report);
  for (int i = 0; i < kKeys; i += 3) {
    const Status put = co_await db.put(key_of(i), value_of(i));
    if (!put) break;
  }
  outcome.flush = co_await db.flush();
  outcome.later = co_await db.put("later", "1");
  if (outcome.later) outcome.later = co_await db.flush();
  for (int i = 1; i < kKeys; i += 3) {
    const Result<Value> value = co_await db.get(key_of(i));
    outcome.right_afterwards += value && value.value() && value.value().view() == value_of(i) ? 1 : 0;
  }
  const Status closed = co_await db.close();
  static_cast<void>(closed);
}

Outcome use_disk(SimDisk& disk) {
  Outcome outcome;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 2, .eager = true});
  core->run(use(*core, outcome));
  while (!core->idle()) core->poll();
  return outcome;
}

struct Forged {
  SimDisk disk = filled().clone();
  PageForger forger{disk, kFile};
};

// What every case of a damaged tree below has in common.
void require_contained(const Outcome& outcome) {
  REQUIRE(outcome.open);
  CHECK(outcome.check.code() == Errc::corruption);
  CHECK(outcome.right > 0);
  CHECK((outcome.scan || outcome.scan.code() == Errc::corruption));
  CHECK((outcome.reverse_scan || outcome.reverse_scan.code() == Errc::corruption));
  CHECK((outcome.flush || outcome.flush.code() == Errc::corruption));
}

TEST_CASE("forged: the forger itself leaves a whole file whole") {
  Forged f;
  f.forger.rewrite(f.forger.path_to({0, 0}), [](std::string&) {});
  f.forger.rewrite_bitmap([](format::GroupBitmapPage&) {});
  const Outcome outcome = use_disk(f.disk);
  REQUIRE(outcome.open);
  CHECK(outcome.right == kKeys);
  CHECK(outcome.scanned == kKeys);
  CHECK(outcome.check);
  CHECK(outcome.flush);
  CHECK(outcome.later);
}

TEST_CASE("forged: a child pointer beyond the file, into the superblocks or into the space map is corruption") {
  const auto target = static_cast<std::uint32_t>(GENERATE(1u, 3u, 4u, 6u, 7u, 100'000u, (1u << 30) - 1, ~0u));
  CAPTURE(target);
  Forged f;
  f.forger.redirect(f.forger.path_to({0, 3}), [&](format::ChildPointer& pointer) { pointer.page = target; });
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.corrupt > 0);
  CHECK(outcome.absent == 0);
  CHECK(outcome.corrupt + outcome.right == kKeys);
  CHECK(names(outcome.scan, kFile, target));
  CHECK(lists(outcome.report, kFile, target));
  CHECK(outcome.report.entries != 0);
  CHECK(names(outcome.flush, kFile, target));
}

TEST_CASE("forged: a root of a table that lies nowhere is refused at open, and the file is not changed") {
  const auto target = static_cast<std::uint32_t>(GENERATE(0u, 2u, 5u, 1'000'000u, ~0u));
  CAPTURE(target);
  Forged f;
  f.forger.redirect(f.forger.path_to(), [&](format::ChildPointer& pointer) { pointer.page = target; });
  const std::string before = f.disk.peek(kFile, 0, f.disk.file_size(kFile));
  CHECK(use_disk(f.disk).open.code() == Errc::corruption);
  CHECK(f.disk.peek(kFile, 0, f.disk.file_size(kFile)) == before);
}

TEST_CASE("forged: impossible values in the superblock are refused at open, and the file is not changed") {
  Forged f;
  const int which = GENERATE(range(0, 10));
  CAPTURE(which);
  f.forger.rewrite_superblock([&](format::Superblock& record) {
    if (which == 0) record.catalog.page = 0;
    if (which == 1) record.catalog.page = 5;
    if (which == 2) record.catalog.page = 1u << 29;
    if (which == 3) record.page.generation = ~std::uint64_t{0};
    if (which == 4) record.sequence = ~std::uint64_t{0};
    if (which == 5) record.file_pages = 4;
    if (which == 6) record.file_pages = 6;
    if (which == 7) record.tables[0].slot = 7;
    if (which == 8) record.catalog_height = 12;
    if (which == 9) record.table_count = 2;
  });
  const std::string before = f.disk.peek(kFile, 0, f.disk.file_size(kFile));
  CHECK(use_disk(f.disk).open.code() == Errc::corruption);
  CHECK(f.disk.peek(kFile, 0, f.disk.file_size(kFile)) == before);
}

// A branch whose child is itself: the checksum in the pointer is the one of the page that holds the pointer. A cached
// page used to be believed whatever level it was wanted at, and a branch searched as a leaf is read outside of its
// bytes.
TEST_CASE("forged: a child pointer back to an ancestor is corruption, cached or not") {
  const bool self = GENERATE(true, false);
  CAPTURE(self);
  Forged f;
  const PageForger::Path root_path = f.forger.path_to();
  const std::uint64_t root = f.forger.target(root_path).page;
  const PageForger::Path branch_path = f.forger.path_to({1});
  const std::uint64_t branch = f.forger.target(branch_path).page;
  constexpr std::uint32_t kChosen = 0x0DDBA11;
  const std::uint64_t ancestor = self ? branch : root;

  // The leaf pointer of the branch names the ancestor, with the checksum that the ancestor will be made to have.
  std::string page = f.forger.read(branch);
  const std::size_t offset = PageForger::child_offset(page, 2);
  format::ChildPointer pointer{static_cast<std::uint32_t>(ancestor), kChosen, 0};
  std::memcpy(&pointer.entries, page.data() + offset + offsetof(format::ChildPointer, entries), sizeof pointer.entries);
  std::memcpy(page.data() + offset, &pointer, sizeof pointer);
  if (self) PageForger::force_checksum(page, kChosen);
  f.forger.write_below(branch_path, branch, page);
  if (!self) {
    std::string top = f.forger.read(root);
    PageForger::force_checksum(top, kChosen);
    f.forger.write_below(root_path, root, top);
  }
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.corrupt > 0);
  CHECK(outcome.corrupt + outcome.right == kKeys);
  CHECK(names(outcome.scan, kFile, ancestor));
  CHECK(lists(outcome.report, kFile, ancestor));
  CHECK(names(outcome.flush, kFile, ancestor));
}

TEST_CASE("forged: one leaf under two parents is corruption for check and for the commit that frees it twice") {
  Forged f;
  // The last child of the first branch also becomes the first child of the second: neither knows a bound on that side.
  const format::ChildPointer first = f.forger.target(f.forger.path_to({1, 0}));
  const std::size_t last =
      node::NodeView(f.forger.read(f.forger.target(f.forger.path_to({0})).page).data()).count() - 1;
  f.forger.redirect(f.forger.path_to({0, last}), [&](format::ChildPointer& pointer) { pointer = first; });
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.flush.code() == Errc::corruption);
  CHECK(outcome.later.code() == Errc::corruption);
  CHECK(outcome.right_afterwards > kKeys / 4);
}

TEST_CASE("forged: keys outside of their separators are corruption for get, scan, check and flush") {
  const bool above = GENERATE(true, false);
  CAPTURE(above);
  Forged f;
  const std::uint64_t leaf = f.forger.target(f.forger.path_to({1, 5})).page;
  f.forger.rewrite(f.forger.path_to({1, 5}), [&](std::string& page) {
    const node::NodeView view(page.data());
    const std::string old = page;
    const node::NodeView from(old.data());
    std::vector<std::string> keys;
    std::vector<node::NodeEntry> entries(from.count());
    char key[kKeyBytesMax + node::NodeView::kKeySlack];
    for (std::size_t i = 0; i < from.count(); ++i) keys.emplace_back(key, from.leaf_key(i, key));
    if (above) {
      keys.back() = "zebra";
    } else {
      keys.front() = "aardvark";
    }
    for (std::size_t i = 0; i < from.count(); ++i) {
      entries[i].key = keys[i];
      entries[i].value = Bytes("x");
    }
    node::build_node(page.data(), {view.id(), view.generation(), format::header_of(old.data()).file_id, 0}, entries);
  });
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.corrupt > 0);
  CHECK(outcome.absent == 0);
  CHECK(names(outcome.scan, kFile, leaf));
  CHECK(outcome.reverse_scan.code() == Errc::corruption);
  CHECK(lists(outcome.report, kFile, leaf));
  CHECK(names(outcome.flush, kFile, leaf));
}

// A key under which a long value hangs.
template <class Edit>
std::uint64_t forge_reference(Forged& f, Edit edit) {
  for (std::size_t branch = 0;; ++branch) {
    const std::size_t leaves =
        node::NodeView(f.forger.read(f.forger.target(f.forger.path_to({branch})).page).data()).count();
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
      const PageForger::Path path = f.forger.path_to({branch, leaf});
      const std::uint64_t page_id = f.forger.target(path).page;
      const std::string page = f.forger.read(page_id);
      const node::NodeView view(page.data());
      for (std::size_t i = 0; i < view.count(); ++i) {
        const node::LeafEntry entry = view.leaf_entry(i);
        if (entry.kind != format::EntryKind::overflow) continue;
        const auto at = static_cast<std::size_t>(entry.value.data() - page.data());
        f.forger.rewrite(path, [&](std::string& bytes) { edit(bytes.data() + at); });
        return page_id;
      }
    }
  }
}

TEST_CASE("forged: the extents of a long value beyond the file, or in the space map, are corruption") {
  const auto target = static_cast<std::uint32_t>(GENERATE(3u, 5u, 1'000'000u, (1u << 30) - 2));
  CAPTURE(target);
  Forged f;
  forge_reference(
      f, [&](char* reference) { std::memcpy(reference + sizeof(format::OverflowReference), &target, sizeof target); });
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.corrupt == 1);
  CHECK(outcome.right == kKeys - 1);
  CHECK(names(outcome.scan, kFile, target));
  CHECK(lists(outcome.report, kFile, target));
}

TEST_CASE(
    "forged: a long value that says a commit to come wrote it is not freed: its pages could be reused too early") {
  Forged f;
  forge_reference(f, [&](char* reference) {
    const std::uint64_t future = std::uint64_t{1} << 50;
    std::memcpy(reference + offsetof(format::OverflowReference, generation), &future, sizeof future);
  });
  SimDisk& disk = f.disk;
  const std::unique_ptr<Core> core = disk.make_core({.seed = 2, .eager = true});
  Outcome outcome;
  core->run(use(*core, outcome));
  while (!core->idle()) core->poll();
  CHECK(outcome.right == kKeys);
  // One in three of the keys is written again; the long value is among them or not.
  CHECK((outcome.flush || outcome.flush.code() == Errc::corruption));
}

TEST_CASE("forged: entries of a kind that trees do not hold are corruption, not references to follow") {
  const unsigned kind = GENERATE(2u, 3u);
  CAPTURE(kind);
  Forged f;
  const std::uint64_t leaf = f.forger.target(f.forger.path_to({0, 4})).page;
  f.forger.rewrite(f.forger.path_to({0, 4}), [&](std::string& page) {
    const node::NodeView view(page.data());
    // key_info stands before the tail and the value of the entry; the record begins where the slot says.
    const auto* const slots = reinterpret_cast<const char*>(view.heads() + view.count());
    const std::size_t record = rt::load_le16(slots);
    auto info = rt::load_le16(page.data() + record);
    constexpr unsigned kKindBits = unsigned{format::kKindMask} << format::kKindShift;
    info = static_cast<std::uint16_t>((info & ~kKindBits) | unsigned{kind} << format::kKindShift);
    rt::store_le16(page.data() + record, info);
  });
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.corrupt > 0);
  CHECK(outcome.absent == 0);
  CHECK(names(outcome.scan, kFile, leaf));
  CHECK(lists(outcome.report, kFile, leaf));
}

TEST_CASE("forged: counts that lie in the catalog's row are found by check; everything stays readable") {
  const std::size_t offset =
      GENERATE(offsetof(format::TableRow, node_pages), offsetof(format::TableRow, overflow_pages));
  const std::uint64_t lie = GENERATE(std::uint64_t{0}, std::uint64_t{3}, ~std::uint64_t{0});
  Forged f;
  const PageForger::Link root = f.forger.path_to().back();
  f.forger.rewrite({f.forger.path_to().front()}, [&](std::string& rows) {
    std::memcpy(rows.data() + root.offset - offsetof(format::TableRow, root) + offset, &lie, sizeof lie);
  });
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.right == kKeys);
  CHECK(outcome.scanned == kKeys);
  CHECK(outcome.flush);
}

TEST_CASE("forged: a bitmap that calls pages of the space map, of a root, or of the catalog free is refused at open") {
  Forged f;
  const std::uint64_t root = f.forger.target(f.forger.path_to()).page;
  const std::uint64_t free = GENERATE_COPY(std::uint64_t{5}, std::uint64_t{7}, std::uint64_t{0});
  f.forger.rewrite_bitmap(
      [&](format::GroupBitmapPage& bitmap) { PageForger::set_used(bitmap, free == 0 ? root : free, false); });
  const std::string before = f.disk.peek(kFile, 0, f.disk.file_size(kFile));
  CHECK(use_disk(f.disk).open.code() == Errc::corruption);
  CHECK(f.disk.peek(kFile, 0, f.disk.file_size(kFile)) == before);
}

TEST_CASE("forged: a bitmap that calls a leaf or a branch free stops writing before anything is overwritten") {
  const bool leaf = GENERATE(true, false);
  CAPTURE(leaf);
  Forged f;
  const std::uint64_t page = f.forger.target(leaf ? f.forger.path_to({1, 3}) : f.forger.path_to({1})).page;
  f.forger.rewrite_bitmap([&](format::GroupBitmapPage& bitmap) { PageForger::set_used(bitmap, page, false); });
  const Outcome outcome = use_disk(f.disk);
  require_contained(outcome);
  CHECK(outcome.right == kKeys);
  CHECK(outcome.scanned == kKeys);
  CHECK(lists(outcome.report, kFile, page));
  CHECK(names(outcome.flush, kFile, page));
  CHECK(outcome.later.code() == Errc::corruption);
  CHECK(outcome.right_afterwards == kKeys / 3);
}

}  // namespace
}  // namespace cambium::test
