// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/salvager.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "cache/overflow_value.h"
#include "format/table_row.h"
#include "partition/log_salvage.h"
#include "space/superblock_store.h"
#include "tree/tree_walk.h"

namespace cambium {

using node::NodeView;

namespace {

constexpr std::uint32_t kHeightMax = 16;

// The rows of a catalog, as far as they can be read.
class CatalogRows final : public PageVisitor {
 public:
  explicit CatalogRows(TableSet& tables) : tables_(tables) {}
  Status visit(PageRun, Generation) override { return {}; }
  Task<Status> leaf(const NodeView& leaf, Bytes, Bytes) override {
    char key[kKeyBytesMax + NodeView::kKeySlack];
    for (std::size_t i = 0; i < leaf.count() && whole; ++i) {
      const std::size_t bytes = leaf.leaf_key(i, key);
      whole = read_catalog_row(Bytes(key, bytes), leaf.leaf_entry(i).value, tables_);
    }
    co_return Status();
  }
  Status whole;

 private:
  TableSet& tables_;
};

// Catalog leaves lie among the others, and their keys are in nobody's lost range but by chance.
bool is_catalog_leaf(const NodeView& leaf) {
  char key[kKeyBytesMax + NodeView::kKeySlack];
  for (std::size_t i = 0; i < leaf.count(); ++i) {
    const std::size_t bytes = leaf.leaf_key(i, key);
    const Bytes value = leaf.leaf_entry(i).value;
    if (bytes != format::kTableRowKeyBytes) return false;
    if (key[0] != format::kTableRowKind && key[0] != format::kDroppedRowKind) return false;
    format::TableRow row;
    if (value.size() < sizeof row) return false;
    std::memcpy(&row, value.data(), sizeof row);
    if (value.size() != sizeof row + row.name_bytes) return false;
  }
  return true;
}

}  // namespace

Salvager::Salvager(BlockDevice& device)
    : device_(device),
      reader_(device, 0),
      file_pages_(std::min<std::uint64_t>(device.size_bytes() / kPageBytes, kFilePagesMax)),
      everything_(file_pages_, true),
      survey_(everything_, device.name()),
      key_(kKeyBytesMax + NodeView::kKeySlack) {}

// ---- superblock and catalog ---------------------------------------------------------------------------------------

Task<Status> Salvager::begin() {
  if (file_pages_ < format::kSuperblockPages) {
    co_return Error(Errc::unsupported, rt::str(device_.name(), " is too short to be a Cambium partition"));
  }
  co_await check(reader_.read_raw(PageId{0}, format::kSuperblockPages));
  std::vector<format::Superblock> records;  // one per slot, the newest first
  bool magic = false;
  for (unsigned page = 0; page < format::kSuperblockPages; ++page) {
    const auto& copy = *reinterpret_cast<const format::Superblock*>(reader_.page(page));
    magic = magic || copy.magic == format::kMagic;
    if (!intact_superblock(copy, page)) continue;
    const bool known = page % format::kSuperblockCopies != 0 && !records.empty() &&
                       records.back().page.page_id == page - 1 &&
                       records.back().page.generation == copy.page.generation;
    if (!known) records.push_back(copy);
  }
  if (!magic) co_return Error(Errc::unsupported, rt::str(device_.name(), " is not a Cambium partition"));
  for (const format::Superblock& record : records) {
    if (record.version == format::kFormatVersion && record.page_bytes == kPageBytes) {
      co_await check(knows_features(device_, record));
      continue;
    }
    co_return Error(Errc::unsupported, rt::str(device_.name(), " is of format version ", record.version),
                    "use the version of Cambium that wrote it, or a newer one");
  }
  std::sort(records.begin(), records.end(), [](const format::Superblock& a, const format::Superblock& b) {
    if (a.page.generation != b.page.generation) return a.page.generation > b.page.generation;
    return a.page.page_id < b.page.page_id;
  });
  const auto in_slot = [&](unsigned slot) {
    return std::any_of(records.begin(), records.end(), [&](const format::Superblock& record) {
      return record.page.page_id / format::kSuperblockCopies == slot;
    });
  };
  report_.commit_lost = !in_slot(0) || !in_slot(1);
  Status chosen = co_await choose_version(records);
  co_return chosen;
}

// The newest superblock with a whole catalog; without any, the newest one, with what is left of its catalog.
Task<Status> Salvager::choose_version(std::vector<format::Superblock>& records) {
  if (records.empty()) {
    co_await check(guess_file_id());
    take_tables(TableSet(), Error(Errc::corruption, rt::str("both superblocks of ", device_.name(), " are damaged")));
    co_return Status();
  }
  for (const format::Superblock& record : records) {
    TableSet tables;
    Status whole;
    co_await check(read_catalog(record, tables, whole));
    const bool last = &record == &records.back();
    if (!whole && !last) continue;
    if (!whole) {  // back to the newest
      TableSet partial;
      Status first_damage;
      co_await check(read_catalog(records.front(), partial, first_damage));
      newest_ = Generation{records.front().page.generation};
      chosen_ = records.front();
      take_tables(partial, first_damage);
      co_return Status();
    }
    report_.commit_lost = report_.commit_lost || record.page.generation != records.front().page.generation;
    newest_ = Generation{record.page.generation};
    chosen_ = record;
    take_tables(tables, whole);
    break;
  }
  co_return Status();
}

Task<Status> Salvager::read_catalog(const format::Superblock& record, TableSet& tables, Status& whole) {
  reader_.set_file_id(record.page.file_id);
  if (record.catalog_height == 0) co_return Status();
  if (record.catalog_height > kHeightMax) {
    whole = Error(Errc::corruption, rt::str("superblock of ", device_.name(), " holds impossible values"));
    co_return Status();
  }
  TableRoot root;
  root.pointer = record.catalog;
  root.height = record.catalog_height;
  CatalogRows rows(tables);
  TreeWalk walk(reader_, rows, TreeWalk::Values::skip);
  walk.begin(root, Bytes());
  while (!walk.done()) {
    co_await check(walk.step());
    // Forged branches may refer to the same page over and over.
    if (walk.pages_read() > file_pages_) break;
  }
  whole = walk.first_damage() ? rows.whole : walk.first_damage();
  co_return Status();
}

void Salvager::take_tables(const TableSet& tables, const Status& catalog) {
  for (const auto& [id, table] : tables) {
    if (!table->live()) continue;
    SalvagedTable& taken = tables_.emplace_back();
    taken.id = id;
    taken.kind = table->kind();
    taken.name = table->name();
    taken.root = table->newest();
    // A default table without a root is an empty one, or one whose row is gone.
    if (taken.root.height == 0 && !catalog) {
      taken.lost.add({taken.name, "", "", 0, 0, std::string(catalog.error().message())});
    }
  }
  if (!catalog && tables_.front().lost.ranges.empty()) {  // other tables than these may have been there
    report_.lost.push_back({"", "", "", 0, 0, std::string(catalog.error().message())});
  }
}

// Without a superblock the file is the one that most of its pages say they belong to.
Task<Status> Salvager::guess_file_id() {
  std::map<std::uint64_t, std::uint64_t> votes;
  for (std::uint64_t first = 0; first < file_pages_; first += PageReader::kBatchPages) {
    const std::uint64_t count = std::min<std::uint64_t>(PageReader::kBatchPages, file_pages_ - first);
    const Status read = co_await reader_.read_raw(PageId{first}, count);
    for (std::uint64_t i = 0; read && i < count; ++i) {
      const format::PageHeader& header = format::header_of(reader_.page(i));
      if (header.page_id == first + i && header.checksum == format::page_checksum(reader_.page(i))) {
        ++votes[header.file_id];
      }
    }
  }
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == votes.end()) {
    co_return Error(Errc::corruption, rt::str(device_.name(), " has no whole page left"));
  }
  reader_.set_file_id(most->first);
  co_return Status();
}

// ---- what the trees reach -----------------------------------------------------------------------------------------

Task<Status> Salvager::run(PartitionState& to) {
  to_ = &to;
  co_await check(make_tables(to));
  for (SalvagedTable& table : tables_) {
    co_await check(copy_table(table));
    ++report_.tables;
  }
  const bool all =
      std::all_of(tables_.begin(), tables_.end(), [](const SalvagedTable& t) { return t.lost.ranges.empty(); });
  if (!all) {
    std::vector<Orphan> orphans;
    co_await check(search_orphans(orphans));
    std::sort(orphans.begin(), orphans.end(), [](const Orphan& a, const Orphan& b) {
      return a.generation != b.generation ? a.generation > b.generation : a.page < b.page;
    });
    for (const Orphan& orphan : orphans) {
      co_await check(copy_orphan(orphan));
    }
  }
  co_await check(copy_log(to));
  for (SalvagedTable& table : tables_) {
    for (LostRange& range : table.lost.ranges) report_.lost.push_back(std::move(range));
  }
  co_return Status();
}

// Asked for all at once, so that they share commits.
Task<Status> Salvager::make_tables(PartitionState& to) {
  std::vector<Op<Table>> made;
  made.reserve(tables_.size());
  for (const SalvagedTable& table : tables_) {
    TableOptions options;
    options.kind = table.kind;
    options.index = table.root.index;
    options.compression = table.root.compression;
    made.push_back(to.open_table(table.name, options, TableMode::open_or_create));
  }
  Status first_error;
  for (std::size_t i = 0; i < made.size(); ++i) {
    Op<Table>& one = made[i];
    Result<Table> table = co_await one;
    if (table) tables_[i].target = to.tables.find(table->id());
    if (!table && first_error) first_error = table.error();
  }
  co_return first_error;
}

Task<Status> Salvager::copy_table(SalvagedTable& table) {
  if (table.root.height == 0) co_return Status();
  walked_ = &table;
  Status copied;
  if (table.kind == TableKind::levels) {
    copied = co_await copy_sstables(table);
  } else {
    copied = co_await copy_tree(table.root, Bytes());
  }
  co_return copied;
}

Task<Status> Salvager::copy_tree(const TableRoot& root, Bytes from) {
  from_ = from.str();
  const bool levels = walked_->kind == TableKind::levels;
  TreeWalk walk(reader_, *this, TreeWalk::Values::skip,
                levels ? TreeWalk::Tombstones::allow : TreeWalk::Tombstones::refuse);
  walk.begin(root, from);
  while (!walk.done()) {
    co_await check(walk.step());
    if (device_.core().over_budget()) co_await device_.core().yield();
  }
  co_return Status();
}

// A manifest is a tree, whose entries are no user's.
Task<Status> Salvager::copy_sstables(SalvagedTable& table) {
  rows_.emplace();
  Status read = co_await copy_tree(table.root, Bytes());
  std::vector<std::pair<SstablePtr, SstablePlace>> sstables = std::move(*rows_);
  rows_.reset();
  if (!read) co_return read;
  // The oldest first: what comes later replaces it, as it did when it was written.
  std::sort(sstables.begin(), sstables.end(), [](const auto& a, const auto& b) {
    if (a.second.level != b.second.level) return a.second.level > b.second.level;
    if (a.second.run != b.second.run) return a.second.run < b.second.run;
    return a.first->id < b.first->id;
  });
  for (const auto& [sstable, place] : sstables) {
    for (const FilterPage& page : sstable->filter) {
      const Status taken = survey_.take({page.pointer.id(), 1});
      static_cast<void>(taken);  // filters hold no data
    }
    for (std::uint32_t page = 0; page < sstable->index.pages(); ++page) {
      const Status taken = survey_.take({sstable->directory_page(page), 1});  // the root is the last of them
      static_cast<void>(taken);                                               // nor do indexes
    }
    co_await check(copy_tree(sstable->root, sstable->trimmed ? Bytes(sstable->min_key) : Bytes()));
  }
  co_return Status();
}

Task<Status> Salvager::take_row(Bytes key, const node::LeafEntry& row) {
  Bytes value = row.value;
  std::optional<OverflowBuffer> memory;
  if (row.kind == format::EntryKind::overflow) {
    Result<OverflowBuffer> read = co_await read_overflow(device_, OverflowView(row.value));
    if (read) memory.emplace(std::move(*read));
    value = memory ? memory->bytes() : Bytes();
  }
  SstablePlace place;
  Result<SstablePtr> sstable = read_sstable_row(key, value, file_pages_, place);
  if (sstable) {
    rows_->emplace_back(std::move(*sstable), place);
  } else {
    walked_->lost.add({walked_->name, "", "", 0, 0, std::string(sstable.error().message())});
  }
  co_return Status();
}

// What comes from it is newer than all else.
Task<Status> Salvager::copy_log(PartitionState& to) {
  if (!chosen_) {
    report_.log_damage = rt::str("without a superblock nothing says where the log of ", device_.name(), " is");
    co_return Status();
  }
  LogSalvage log(device_, *chosen_, to, report_);
  for (SalvagedTable& table : tables_) log.add_table(table.id, *table.target);
  Status copied = co_await log.run();
  co_return copied;
}

Status Salvager::visit(PageRun run, Generation) { return survey_.take(run); }

void Salvager::damaged(const DamagedPlace& place) {
  walked_->lost.add({walked_->name, place.low, place.high, place.entries, 0, std::string(place.reason.message())});
}

Task<Status> Salvager::leaf(const NodeView& leaf, Bytes, Bytes) {
  for (std::size_t i = 0; i < leaf.count(); ++i) {
    const Bytes key(key_.data(), leaf.leaf_key(i, key_.data()));
    if (rows_) {
      co_await check(take_row(key, leaf.leaf_entry(i)));
      continue;
    }
    if (key < Bytes(from_)) continue;
    const LostRange* const known = walked_->lost.find(key);  // its extents were objected to
    if (known != nullptr && known->from == key.view()) continue;
    bool readable = true;
    Status copied = co_await copy_entry(*walked_, key, leaf.leaf_entry(i), readable);
    if (!copied) co_return copied;
  }
  co_return Status();
}

// An entry whose long value cannot be read is lost; an error is one of writing.
Task<Status> Salvager::copy_entry(SalvagedTable& table, Bytes key, const node::LeafEntry& entry, bool& readable) {
  if (entry.kind == format::EntryKind::overflow) {
    Result<OverflowBuffer> value = co_await read_overflow(device_, OverflowView(entry.value));
    readable = value.has_value();
    if (!readable) {
      if (value.code() == Errc::resource) co_return value.error();
      if (table.lost.find(key) == nullptr) {
        std::string to = key.str() + '\0';
        table.lost.add({table.name, key.str(), std::move(to), 1, 0, std::string(value.error().message())});
      }
      co_return Status();
    }
    Op<void> stored = to_->write_one(*table.target, key, (*value).bytes(), WriteKind::put, {});
    Status status = co_await stored;
    if (!status) co_return status;
  } else {
    const bool gone = entry.kind == format::EntryKind::tombstone;
    Op<void> stored = to_->write_one(*table.target, key, entry.value, gone ? WriteKind::del : WriteKind::put, {});
    Status status = co_await stored;
    if (!status) co_return status;
    if (gone) co_return Status();
  }
  ++report_.entries;
  co_return Status();
}

// ---- orphans ------------------------------------------------------------------------------------------------------

bool Salvager::readable_leaf(const char* page, std::uint64_t page_id) const noexcept {
  const format::PageHeader& header = format::header_of(page);
  return header.type == format::PageType::leaf && header.page_id == page_id && header.file_id == reader_.file_id() &&
         Generation{header.generation} <= newest_ && header.checksum == format::page_checksum(page) &&
         node::validate_node(page) == nullptr && node::validate_table_kinds(page) == nullptr;
}

Task<Status> Salvager::search_orphans(std::vector<Orphan>& orphans) {
  for (std::uint64_t first = 0; first < file_pages_; first += PageReader::kBatchPages) {
    const std::uint64_t count = std::min<std::uint64_t>(PageReader::kBatchPages, file_pages_ - first);
    Status read = co_await reader_.read_raw(PageId{first}, count);
    report_.pages_searched += count;
    if (read) {
      for (std::uint64_t i = 0; i < count; ++i) consider(reader_.page(i), first + i, orphans);
      continue;
    }
    for (std::uint64_t i = 0; i < count; ++i) {  // one bad page takes none of its neighbours along
      read = co_await reader_.read_raw(PageId{first + i}, 1);
      if (read) consider(reader_.page(0), first + i, orphans);
    }
  }
  co_return Status();
}

void Salvager::consider(const char* page, std::uint64_t page_id, std::vector<Orphan>& orphans) {
  if (!readable_leaf(page, page_id) || survey_.met(PageId{page_id})) return;
  const NodeView leaf(page);
  if (is_catalog_leaf(leaf)) return;
  const std::string first(key_.data(), leaf.leaf_key(0, key_.data()));
  const std::string last(key_.data(), leaf.leaf_key(leaf.count() - 1, key_.data()));
  std::size_t owners = 0;
  Orphan orphan{leaf.generation(), PageId{page_id}, 0};
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (!tables_[i].lost.touches(first, last)) continue;
    if (tables_[i].kind != TableKind::tree) continue;  // leaves of replaced sstables may be older than what was copied
    ++owners;
    orphan.table = i;
  }
  if (owners == 1) orphans.push_back(orphan);
  if (owners > 1) ++report_.orphans_left_out;
}

Task<Status> Salvager::copy_orphan(const Orphan& orphan) {
  SalvagedTable& table = tables_[orphan.table];
  const Status read = co_await reader_.read_raw(orphan.page, 1);
  if (!read || !readable_leaf(reader_.page(0), raw(orphan.page))) co_return Status();
  const NodeView leaf(reader_.page(0));
  for (std::size_t i = 0; i < leaf.count(); ++i) {
    const Bytes key(key_.data(), leaf.leaf_key(i, key_.data()));
    LostRange* const range = table.lost.find(key);
    if (range == nullptr || table.lost.spoken_for.contains(key)) continue;
    bool readable = true;
    Status copied = co_await copy_entry(table, key, leaf.leaf_entry(i), readable);
    if (!copied) co_return copied;
    if (!readable) continue;
    ++range->found_again;
    ++report_.orphan_entries;
  }
  std::string first(key_.data(), leaf.leaf_key(0, key_.data()));
  std::string last(key_.data(), leaf.leaf_key(leaf.count() - 1, key_.data()));
  table.lost.spoken_for.add(std::move(first), std::move(last));
  co_return Status();
}

}  // namespace cambium
