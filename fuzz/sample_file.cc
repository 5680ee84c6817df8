// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuzz/sample_file.h"

#include <cstring>
#include <memory>

#include <cambium/partition.h>

#include "base/text.h"
#include "cache/overflow_value.h"
#include "format/superblock.h"
#include "format/table_row.h"
#include "fuzz/target.h"
#include "node/node_view.h"
#include "support/run_whole.h"

namespace cambium::fuzz {
namespace {

constexpr int kEntries = 900;

std::string key_of(int i) { return rt::str(i % 3 == 0 ? "alpha/" : "beta/", 10'000 + i * 7); }
std::string value_of(int i) {
  const auto bytes = static_cast<std::size_t>(i % 60 == 0 ? 5000 + 40 * (i / 60) : i % 97);
  return rt::str("value ", i, " ").append(bytes, static_cast<char>('a' + i % 26));
}

Task<Status> fill(Core& core) {
  Options options = kSampleOptions;
  options.mode = OpenMode::create;
  Partition db = co_await check(Partition::open(core, options));
  for (int i = 0; i < kEntries; ++i) {
    co_await check(db.put(key_of(i), value_of(i)));
    if (i % 150 == 149) {
      co_await check(db.flush());
    }
  }
  for (int i = 7; i < kEntries; i += 50) {
    co_await check(db.del(key_of(i)));
  }
  co_await check(db.flush());
  Status closed = co_await db.close();
  co_return closed;
}

// Opening commits once without a change, so that both superblocks are of the same contents.
Task<Status> open_and_close(Core& core) {
  Partition db = co_await check(Partition::open(core, kSampleOptions));
  Status closed = co_await db.close();
  co_return closed;
}

// Walks the file as the superblocks describe it, and notes what it meets.
class Surveyor {
 public:
  explicit Surveyor(SampleFile& file) : file_(file) {}

  void survey() {
    for (std::uint32_t page = 0; page < format::kSuperblockPages; ++page) superblock(page);
    for (std::uint32_t page = 0; page < format::kSuperblockPages; ++page) file_.seals.push_back({page, {}});
    for (std::uint32_t page = 0; page < format::kSuperblockPages; ++page) file_.foundation.push_back(page);
  }

 private:
  const char* at(std::uint32_t page) const { return file_.bytes.data() + std::size_t{page} * kPageBytes; }
  std::uint32_t offset_of(std::uint32_t page, const void* field) const {
    return static_cast<std::uint32_t>(static_cast<const char*>(field) - at(page));
  }
  // True when the page is new; else the place has been added to what is known of it.
  bool first_visit(std::uint32_t page, Place kept_at) {
    for (PageSeal& seal : file_.seals) {
      if (seal.page != page) continue;
      seal.kept_at.push_back(kept_at);
      return false;
    }
    return true;
  }
  void add(std::uint32_t page, Place kept_at) { file_.seals.push_back({page, {kept_at}}); }

  void superblock(std::uint32_t page) {
    const auto& record = *reinterpret_cast<const format::Superblock*>(at(page));
    for (std::uint32_t region = 0; region < record.table_count; ++region) {
      group_table(region, record.tables[region].slot, {page, offset_of(page, &record.tables[region].checksum)});
    }
    path_.clear();
    in_catalog_ = true;
    pointer({page, offset_of(page, &record.catalog)});
  }
  void group_table(std::uint32_t region, std::uint32_t slot, Place kept_at) {
    const std::uint32_t first = format::kSuperblockPages + region * format::kGroupsPerTable * format::kGroupPages;
    const std::uint32_t page = first + format::kBitmapSlots + slot;
    if (!first_visit(page, kept_at)) return;
    const auto& table = *reinterpret_cast<const format::GroupTablePage*>(at(page));
    for (std::uint32_t i = 0; i < table.page.count; ++i) {
      const std::uint32_t bitmap = first + i * format::kGroupPages + table.groups[i].slot;
      const Place place{page, offset_of(page, &table.groups[i].checksum)};
      if (first_visit(bitmap, place)) add(bitmap, place);
      file_.foundation.push_back(bitmap);
    }
    add(page, kept_at);
    file_.foundation.push_back(page);
  }

  // A ChildPointer at this place, and what it points at.
  void pointer(Place place) {
    format::ChildPointer child;
    std::memcpy(&child, at(place.page) + place.offset, sizeof child);
    if (child.empty()) return;
    const Place kept_at{place.page,
                        place.offset + static_cast<std::uint32_t>(offsetof(format::ChildPointer, checksum))};
    file_.pointers.push_back(place);
    if (!first_visit(child.page, kept_at)) return;
    const bool of_catalog = in_catalog_;
    path_.push_back(child.page);
    node(child.page, of_catalog);
    path_.pop_back();
    add(child.page, kept_at);
    if (of_catalog) file_.foundation.push_back(child.page);
  }
  void node(std::uint32_t page, bool of_catalog) {
    const node::NodeView view(at(page));
    for (std::size_t i = 0; i < view.count(); ++i) {
      if (!view.is_leaf()) {
        const std::size_t children = view.count() * (format::kHeadBytes);
        const char* first = reinterpret_cast<const char*>(view.heads()) + children;
        pointer({page, offset_of(page, first + i * sizeof(format::ChildPointer))});
      } else if (of_catalog) {
        table_row(page, view.leaf_entry(i).value);
      } else {
        entry(page, view, i);
      }
    }
  }
  void table_row(std::uint32_t page, Bytes row) {
    const std::vector<std::uint32_t> outer = std::exchange(path_, {});
    in_catalog_ = false;
    pointer({page, offset_of(page, row.data() + offsetof(format::TableRow, root))});
    in_catalog_ = true;
    path_ = outer;
  }
  void entry(std::uint32_t page, const node::NodeView& view, std::size_t index) {
    char key[kKeyBytesMax + node::NodeView::kKeySlack];
    const std::size_t key_bytes = view.leaf_key(index, key);
    SampleEntry& found = file_.entries.at(std::string(key, key_bytes));
    found.pages = path_;
    const node::LeafEntry stored = view.leaf_entry(index);
    if (stored.kind != format::EntryKind::overflow) return;
    const OverflowView reference(stored.value);
    const std::size_t checksum = offsetof(format::OverflowReference, checksum);
    ValueSeal seal{{}, reference.value_bytes(), {page, offset_of(page, stored.value.data() + checksum)}};
    for (std::size_t e = 0; e < reference.extent_count(); ++e) {
      const PageRun extent = reference.extent(e);
      for (std::uint32_t i = 0; i < extent.pages; ++i) {
        seal.pages.push_back(static_cast<std::uint32_t>(raw(extent.first)) + i);
      }
    }
    found.pages.insert(found.pages.end(), seal.pages.begin(), seal.pages.end());
    file_.values.push_back(std::move(seal));
  }

  SampleFile& file_;
  std::vector<std::uint32_t> path_;
  bool in_catalog_ = true;
};

SampleFile make_sample() {
  SampleFile file;
  test::run_whole(file.disk, &fill);
  test::run_whole(file.disk, &open_and_close);
  file.bytes = file.disk.peek(kSamplePath, 0, file.disk.file_size(kSamplePath));
  for (int i = 0; i < kEntries; ++i) {
    if (i % 50 != 7) file.entries[key_of(i)].value = value_of(i);
  }
  Surveyor(file).survey();
  for (const auto& [key, entry] : file.entries) CAMBIUM_ASSERT(entry.pages.size() >= 2);
  return file;
}

}  // namespace

const SampleFile& sample_file() {
  static const SampleFile file = make_sample();
  return file;
}

}  // namespace cambium::fuzz
