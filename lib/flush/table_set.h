// SPDX-License-Identifier: MIT OR Apache-2.0
// The tables of a partition: names, kinds, and for each the roots that some live generation can still see.
//
// Commits add roots, generations that die take them away. In the file the tables are rows of the catalog, a small tree
// of its own that is written by the same commit.
//
// A table that is dropped stays in the set, without a name, until its pages are freed: snapshots that are older than
// the drop still read it. Then it goes, as soon as no scan stands on it.
//
// Invariants
//   1. The versions of a table ascend by generation; the last one is the newest.
//   2. The set iterates in the order of the numbers, over exactly the tables that have a row in the catalog, or get one
//      with their first entry (the default table).
//   3. A name belongs to one live table.
//
// Units      some 400 bytes per table, all in all; find() by number is one probe of a hash table.
// Lifetime   a TableState stays in place while it has a row, or a TablePin.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/result.h>

#include "base/assert.h"
#include "flush/table_name.h"
#include "format/table_row.h"
#include "table_store.h"

namespace cambium {

struct TableCounts {
  std::uint64_t gets = 0;
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t scans = 0;
  std::uint64_t bytes_put = 0;      // keys and values of writes and sorted loads; of deletes the keys
  std::uint64_t bytes_flushed = 0;  // pages that flushes and sorted loads wrote for it

  void add(const TableCounts& other) noexcept {
    gets += other.gets;
    puts += other.puts;
    deletes += other.deletes;
    scans += other.scans;
    bytes_put += other.bytes_put;
    bytes_flushed += other.bytes_flushed;
  }
};

// Of a level store that cannot be merged: what its flushes leave behind piles up. First flushes of it are delayed, then
// it takes no more writes, and says why.
struct TableBacklog {
  std::int64_t flush_delay_ns = 0;
  Status refusal;
};

class TableState : public std::enable_shared_from_this<TableState> {
 public:
  TableState(TableId id, std::string name, TableKind kind, TableIndex index = TableIndex::automatic,
             Compression compression = Compression::none)
      : id_(id), kind_(kind), name_(std::make_shared<const std::string>(std::move(name))) {
    newest_.root.index = index;
    newest_.root.compression = compression;
  }

  TableId id() const noexcept { return id_; }
  const std::string& name() const noexcept { return *name_; }
  const std::shared_ptr<const std::string>& shared_name() const noexcept { return name_; }
  TableKind kind() const noexcept { return kind_; }
  TableIndex index() const noexcept { return newest_.root.index; }
  Compression compression() const noexcept { return newest_.root.compression; }
  bool live() const noexcept { return dropped_epoch_ == kLive; }
  // Dropped by which drop; Requires: !live().
  std::uint64_t dropped_epoch() const noexcept { return dropped_epoch_; }

  const TableRoot& newest() const noexcept { return newest_.root; }
  const TableRoot& at(Generation generation) const noexcept {
    if (newest_.generation <= generation || older_.empty()) return newest_.root;
    std::size_t i = older_.size();
    while (i > 1 && older_[i - 1].generation > generation) --i;
    return older_[i - 1].root;
  }
  void publish(Generation generation, const TableRoot& root) {
    const TableIndex chosen = index();  // when the table was made, and for good
    const Compression compressed = compression();
    older_.push_back(std::exchange(newest_, Version{generation, root}));
    newest_.root.index = chosen;
    newest_.root.compression = compressed;
  }
  // No generation below `oldest` will be asked for again.
  void forget_before(Generation oldest) {
    if (newest_.generation <= oldest) {
      std::vector<Version>().swap(older_);
      return;
    }
    std::size_t keep = 0;
    while (keep + 1 < older_.size() && older_[keep + 1].generation <= oldest) ++keep;
    older_.erase(older_.begin(), older_.begin() + static_cast<std::ptrdiff_t>(keep));
  }
  // The content of this version is in memory.
  void loaded(const TableRoot& root) {
    for (Version& version : older_) {
      if (version.root.pointer == root.pointer && !version.root.content) version.root.content = root.content;
    }
    if (newest_.root.pointer == root.pointer && !newest_.root.content) newest_.root.content = root.content;
  }
  // Of the newest version. 0 while a level store has not been looked into: its root alone counts sstables.
  std::uint64_t entries() const noexcept {
    return kind_ == TableKind::levels && !newest_.root.content ? 0 : newest_.root.entries();
  }
  std::size_t version_count() const noexcept { return older_.size() + 1; }

  // nullptr: there is none.
  const TableBacklog* backlog() const noexcept { return backlog_.get(); }
  void set_backlog(std::unique_ptr<const TableBacklog> backlog) noexcept { backlog_ = std::move(backlog); }

  TableCounts counts;

 private:
  friend class TableSet;
  static constexpr std::uint64_t kLive = ~std::uint64_t{0};
  struct Version {
    Generation generation{};
    TableRoot root;
  };

  TableId id_;
  TableKind kind_;
  bool listed_ = false;  // in TableSet::with_versions_
  std::uint64_t dropped_epoch_ = kLive;
  std::shared_ptr<const std::string> name_;
  Version newest_;
  std::vector<Version> older_;  // oldest first
  std::unique_ptr<const TableBacklog> backlog_;
};
static_assert(sizeof(TableState) <= 208, "there are tens of thousands of them");

class TableSet {
 public:
  TableSet() : default_(&add(kDefaultTable, std::string(kDefaultTableName), TableKind::tree)) {}
  TableSet(TableSet&&) noexcept = default;
  TableSet& operator=(TableSet&&) = delete;

  // Requires: neither the number nor the name is taken.
  TableState& add(TableId id, std::string name, TableKind kind, TableIndex index = TableIndex::automatic,
                  Compression compression = Compression::none);
  TableState& default_table() noexcept { return *default_; }
  // Those that have a row, dropped ones included; null if there is none.
  TableState* find(TableId id) noexcept { return *slot_of(id); }
  TableState* find_live(TableId id) noexcept {
    TableState* const table = find(id);
    return table != nullptr && table->live() ? table : nullptr;
  }
  TableState* find(std::string_view name) noexcept {
    const auto it = names_.find(name);
    return it == names_.end() ? nullptr : it->second;
  }
  auto begin() const noexcept { return tables_.begin(); }
  auto end() const noexcept { return tables_.end(); }
  std::size_t size() const noexcept { return tables_.size(); }
  // The live ones, by name.
  const std::map<std::string_view, TableState*>& by_name() const noexcept { return names_; }

  // Requires: live, and no live table has the new name.
  void rename(TableState& table, std::string name);
  // From a catalog row: a table that was dropped before there was any snapshot.
  TableState& add_dropped(TableId id, std::string name, TableKind kind);
  // It has no name any more; snapshots taken before drop number `epoch` may read it.
  void drop(TableState& table, std::uint64_t epoch);
  // Its row is gone. The state stays as long as it is pinned. Requires: nobody will look for it.
  void remove(TableState& table);
  // Those that wait for their pages to be freed, in the order in which they were dropped.
  const std::vector<TableId>& dropped() const noexcept { return dropped_; }

  // It has a version more: forget_before() will look at it.
  void has_versions(TableState& table) {
    if (std::exchange(table.listed_, true)) return;
    with_versions_.push_back(&table);
  }
  // No generation below `oldest` will be asked for again, of any table. Looks only at those that have older versions.
  void forget_before(Generation oldest);

  // What was done with all tables, those that are gone included.
  TableCounts counts() const noexcept;

 private:
  friend class TablePin;
  static constexpr std::size_t kSlotsMin = 16;
  TableState** slot_of(TableId id) noexcept {
    std::size_t at = raw(id) & (slots_.size() - 1);  // numbers ascend: neighbours do not meet
    while (slots_[at] != nullptr && slots_[at]->id() != id) at = (at + 1) & (slots_.size() - 1);
    return &slots_[at];
  }
  TableState& insert(TableId id, std::string name, TableKind kind, TableIndex index, Compression compression);
  void enlarge();

  std::map<TableId, std::shared_ptr<TableState>> tables_;
  std::vector<TableState*> slots_ = std::vector<TableState*>(kSlotsMin);  // by number, open addressing, half full
  std::map<std::string_view, TableState*> names_;
  std::vector<TableState*> with_versions_;
  std::vector<TableId> dropped_;
  TableCounts removed_counts_;
  TableState* default_;
};

// Keeps a table in place for whoever stands on it across suspensions, dropped or not.
class TablePin {
 public:
  explicit TablePin(TableState& table) : table_(table.shared_from_this()) {}

 private:
  std::shared_ptr<TableState> table_;
};

// ---- catalog rows -------------------------------------------------------------------------------------------------

std::string catalog_key(TableId id, char row_kind = format::kTableRowKind);
inline std::string catalog_key(const TableState& table) {
  return catalog_key(table.id(), table.live() ? format::kTableRowKind : format::kDroppedRowKind);
}
std::string catalog_value(std::string_view name, TableKind kind, const TableRoot& root);
inline std::string catalog_value(const TableState& table, const TableRoot& root) {
  return catalog_value(table.name(), table.kind(), root);
}
// Takes a row into the set. Errors: corruption; unsupported: a kind from the future.
Status read_catalog_row(Bytes key, Bytes value, TableSet& tables);

}  // namespace cambium
