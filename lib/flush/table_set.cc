// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/table_set.h"

#include <cstring>

#include "base/endian.h"
#include "base/text.h"
#include "compress/codec.h"

namespace cambium {

using format::TableRow;

// ---- the set ------------------------------------------------------------------------------------------------------

TableState& TableSet::insert(TableId id, std::string name, TableKind kind, TableIndex index, Compression compression) {
  if ((tables_.size() + 1) * 2 > slots_.size()) enlarge();
  auto made = std::make_shared<TableState>(id, std::move(name), kind, index, compression);
  const auto [at, is_new] = tables_.emplace(id, std::move(made));
  CAMBIUM_ASSERT(is_new);
  *slot_of(id) = at->second.get();
  return *at->second;
}

TableState& TableSet::add(TableId id, std::string name, TableKind kind, TableIndex index, Compression compression) {
  TableState& table = insert(id, std::move(name), kind, index, compression);
  const bool is_new = names_.emplace(table.name(), &table).second;
  CAMBIUM_ASSERT(is_new);
  return table;
}

TableState& TableSet::add_dropped(TableId id, std::string name, TableKind kind) {
  TableState& table = insert(id, std::move(name), kind, TableIndex::automatic, Compression::none);
  table.dropped_epoch_ = 0;
  dropped_.push_back(id);
  return table;
}

void TableSet::drop(TableState& table, std::uint64_t epoch) {
  CAMBIUM_ASSERT(table.live() && &table != default_);
  names_.erase(table.name());
  table.dropped_epoch_ = epoch;
  dropped_.push_back(table.id());
}

void TableSet::remove(TableState& table) {
  CAMBIUM_ASSERT(&table != default_);
  const TableId id = table.id();
  if (table.live()) names_.erase(table.name());
  std::erase(dropped_, id);
  if (table.listed_) std::erase(with_versions_, &table);
  removed_counts_.add(table.counts);
  // Whoever lies behind the gap may have come there because of it.
  std::size_t at = static_cast<std::size_t>(slot_of(id) - slots_.data());
  slots_[at] = nullptr;
  for (at = (at + 1) & (slots_.size() - 1); slots_[at] != nullptr; at = (at + 1) & (slots_.size() - 1)) {
    TableState* const moved = std::exchange(slots_[at], nullptr);
    *slot_of(moved->id()) = moved;
  }
  tables_.erase(id);
}

void TableSet::enlarge() {
  std::vector<TableState*> old(slots_.size() * 2);
  old.swap(slots_);
  for (TableState* const table : old) {
    if (table != nullptr) *slot_of(table->id()) = table;
  }
}

void TableSet::rename(TableState& table, std::string name) {
  CAMBIUM_ASSERT(table.live() && find(name) == nullptr);
  names_.erase(table.name());
  table.name_ = std::make_shared<const std::string>(std::move(name));
  names_.emplace(table.name(), &table);
}

void TableSet::forget_before(Generation oldest) {
  std::erase_if(with_versions_, [&](TableState* table) {
    table->forget_before(oldest);
    table->listed_ = table->version_count() > 1;
    return !table->listed_;
  });
}

TableCounts TableSet::counts() const noexcept {
  TableCounts sum = removed_counts_;
  for (const auto& [id, table] : tables_) sum.add(table->counts);
  return sum;
}

// ---- catalog rows -------------------------------------------------------------------------------------------------

std::string catalog_key(TableId id, char row_kind) {
  std::string key(format::kTableRowKeyBytes, row_kind);
  rt::store_be32(key.data() + 1, raw(id));
  return key;
}

std::string catalog_value(std::string_view name, TableKind kind, const TableRoot& root) {
  TableRow row{};
  row.kind = kind;
  row.height = static_cast<std::uint8_t>(root.height);
  row.name_bytes = static_cast<std::uint16_t>(name.size());
  row.index = root.index;
  row.compression = root.compression;
  row.root = root.pointer;
  row.node_pages = root.node_pages;
  row.overflow_pages = root.overflow_pages;
  std::string value(reinterpret_cast<const char*>(&row), sizeof row);
  return value += name;
}

Status read_catalog_row(Bytes key, Bytes value, TableSet& tables) {
  const auto damaged = [](std::string_view what) { return Error(Errc::corruption, rt::str("catalog row ", what)); };
  const bool known = key.size() == format::kTableRowKeyBytes &&
                     (key.data()[0] == format::kTableRowKind || key.data()[0] == format::kDroppedRowKind);
  if (!known) return damaged("of an unknown kind");
  if (value.size() < sizeof(TableRow)) return damaged("too short");
  TableRow row;
  std::memcpy(&row, value.data(), sizeof row);
  if (value.size() != sizeof row + row.name_bytes || row.height > 16) return damaged("with impossible lengths");
  if ((row.height == 0) != row.root.empty()) return damaged("with a root that does not fit its height");
  if (row.kind != TableKind::tree && row.kind != TableKind::levels)
    return Error(Errc::unsupported, "a table of a kind this build does not know");
  if (row.index > TableIndex::learned)
    return Error(Errc::unsupported, "a table with an index this build does not know");
  if (row.kind == TableKind::tree && row.index != TableIndex::automatic) return damaged("of a tree with an index");
  if (row.compression > Compression::zstd || !has_codec(row.compression))
    return Error(Errc::unsupported, "a table with a compression this build does not know");
  if (row.kind == TableKind::tree && row.compression != Compression::none) return damaged("of a compressed tree");
  const TableId id{rt::load_be32(key.data() + 1)};
  const std::string_view name(value.data() + sizeof row, row.name_bytes);
  if (id == kCatalogTable) return damaged("for the catalog itself");
  if (!check_table_name(name)) return damaged("with an impossible name");
  const bool dropped = key.data()[0] == format::kDroppedRowKind;
  const bool is_default = id == kDefaultTable;
  if (is_default != (name == kDefaultTableName)) return damaged("with the name of another table");
  if (is_default && (dropped || row.kind != TableKind::tree)) return damaged("that makes the default table another");
  if (!is_default && (tables.find(id) != nullptr || (!dropped && tables.find(name) != nullptr))) {
    return damaged("that is there twice");
  }

  TableState& table = is_default ? tables.default_table()
                      : dropped  ? tables.add_dropped(id, std::string(name), row.kind)
                                 : tables.add(id, std::string(name), row.kind, row.index, row.compression);
  TableRoot root;
  root.pointer = row.root;
  root.height = row.height;
  root.node_pages = row.node_pages;
  root.overflow_pages = row.overflow_pages;
  table.publish(Generation{0}, root);
  table.forget_before(Generation{0});
  return {};
}

}  // namespace cambium
