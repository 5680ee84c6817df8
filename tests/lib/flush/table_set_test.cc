// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/table_set.h"

#include <catch2/catch.hpp>

#include <cstring>

namespace cambium {
namespace {

TableRoot root_at(std::uint32_t page) {
  TableRoot root;
  root.pointer = {page, page * 7, page * 100};
  root.height = 3;
  root.node_pages = page * 2;
  root.overflow_pages = page * 5;
  return root;
}

TEST_CASE("table set: a table shows each generation the root that was newest then") {
  TableState table(TableId{4}, "t", format::TableKind::tree);
  CHECK(table.newest().height == 0);
  table.publish(Generation{5}, root_at(50));
  table.publish(Generation{8}, root_at(80));
  CHECK(table.at(Generation{4}).height == 0);
  CHECK(table.at(Generation{5}).pointer.page == 50);
  CHECK(table.at(Generation{7}).pointer.page == 50);
  CHECK(table.at(Generation{8}).pointer.page == 80);
  CHECK(table.at(Generation{100}).pointer.page == 80);
  CHECK(table.newest().pointer.page == 80);
}

TEST_CASE("table set: forgetting keeps what the oldest generation still asks for") {
  TableState table(TableId{4}, "t", format::TableKind::tree);
  table.publish(Generation{5}, root_at(50));
  table.publish(Generation{8}, root_at(80));
  table.forget_before(Generation{7});
  CHECK(table.at(Generation{7}).pointer.page == 50);
  CHECK(table.at(Generation{8}).pointer.page == 80);
  CHECK(table.at(Generation{4}).pointer.page == 50);  // the empty version is gone
  table.forget_before(Generation{8});
  CHECK(table.at(Generation{7}).pointer.page == 80);
}

TEST_CASE("table set: there is a default table from the start, others are found by their number") {
  TableSet tables;
  CHECK(tables.size() == 1);
  CHECK(tables.default_table().id() == kDefaultTable);
  CHECK(tables.find(TableId{9}) == nullptr);
  TableState& other = tables.add(TableId{9}, "nine", format::TableKind::tree);
  CHECK(tables.find(TableId{9}) == &other);
  CHECK(tables.default_table().id() == kDefaultTable);
}

TEST_CASE("table set: a catalog row brings back the table that it was made of") {
  const TableState table(TableId{0x01020304}, "orders", format::TableKind::tree);
  const TableRoot root = root_at(17);
  TableSet tables;
  REQUIRE(read_catalog_row(catalog_key(table.id()), catalog_value(table, root), tables));
  const TableState* const read = tables.find(table.id());
  REQUIRE(read != nullptr);
  CHECK(read->name() == "orders");
  CHECK(read->newest().pointer == root.pointer);
  CHECK(read->newest().height == root.height);
  CHECK(read->newest().node_pages == root.node_pages);
  CHECK(read->newest().overflow_pages == root.overflow_pages);
}

TEST_CASE("table set: catalog keys order as the numbers of the tables") {
  CHECK(Bytes(catalog_key(TableId{255})) < Bytes(catalog_key(TableId{256})));
  CHECK(Bytes(catalog_key(TableId{1})) < Bytes(catalog_key(TableId{0x80000000})));
}

TEST_CASE("table set: a damaged catalog row is corruption, one of another kind is unsupported") {
  const TableState table(TableId{3}, "orders", format::TableKind::tree);
  std::string key = catalog_key(table.id());
  std::string value = catalog_value(table, root_at(17));
  Errc expected = Errc::corruption;
  SECTION("another row kind") { key[0] = 'X'; }
  SECTION("a short key") { key.pop_back(); }
  SECTION("a long key") { key += 'x'; }
  SECTION("a cut row") { value.resize(sizeof(format::TableRow) - 1); }
  SECTION("no row") { value.clear(); }
  SECTION("a cut name") { value.pop_back(); }
  SECTION("more than the name") { value += '!'; }
  SECTION("an impossible height") { value[offsetof(format::TableRow, height)] = 17; }
  SECTION("a table of another kind") {
    value[offsetof(format::TableRow, kind)] = static_cast<char>(format::TableKind::levels);
    expected = Errc::unsupported;
  }
  SECTION("a table of a kind from the future") {
    value[offsetof(format::TableRow, kind)] = 99;
    expected = Errc::unsupported;
  }
  TableSet tables;
  CHECK(read_catalog_row(key, value, tables).code() == expected);
  CHECK(tables.size() == 1);
}

}  // namespace
}  // namespace cambium
