// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/table_set.h"

#include <cstring>

#include "base/endian.h"
#include "base/text.h"

namespace cambium {

using format::TableRow;

std::string catalog_key(TableId id) {
  std::string key(format::kTableRowKeyBytes, format::kTableRowKind);
  rt::store_be32(key.data() + 1, raw(id));
  return key;
}

std::string catalog_value(const TableState& table, const TableRoot& root) {
  TableRow row{};
  row.kind = table.kind();
  row.height = static_cast<std::uint8_t>(root.height);
  row.name_bytes = static_cast<std::uint16_t>(table.name().size());
  row.root = root.pointer;
  row.node_pages = root.node_pages;
  row.overflow_pages = root.overflow_pages;
  std::string value(reinterpret_cast<const char*>(&row), sizeof row);
  return value += table.name();
}

Status read_catalog_row(Bytes key, Bytes value, TableSet& tables) {
  const auto damaged = [](std::string_view what) { return Error(Errc::corruption, rt::str("catalog row ", what)); };
  if (key.size() != format::kTableRowKeyBytes || key.data()[0] != format::kTableRowKind)
    return damaged("of an unknown kind");
  if (value.size() < sizeof(TableRow)) return damaged("too short");
  TableRow row;
  std::memcpy(&row, value.data(), sizeof row);
  if (value.size() != sizeof row + row.name_bytes || row.height > 16) return damaged("with impossible lengths");
  if ((row.height == 0) != row.root.empty()) return damaged("with a root that does not fit its height");
  if (rt::load_be32(key.data() + 1) == raw(kCatalogTable)) return damaged("for the catalog itself");
  if (row.kind != format::TableKind::tree)
    return Error(Errc::unsupported, "a table of a kind this build does not know");
  TableState& table = tables.add(TableId{rt::load_be32(key.data() + 1)},
                                 std::string(value.data() + sizeof row, row.name_bytes), row.kind);
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
