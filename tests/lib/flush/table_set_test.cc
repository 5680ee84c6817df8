// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/table_set.h"

#include <catch2/catch.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "support/codecs.h"
#include "support/skip.h"

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

TEST_CASE("table set: a catalog row of levels keeps its kind; rows of one name or number twice are corruption") {
  TableSet tables;
  REQUIRE(read_catalog_row(catalog_key(TableId{5}), catalog_value("events", TableKind::levels, TableRoot()), tables));
  REQUIRE(tables.find("events") != nullptr);
  CHECK(tables.find("events")->kind() == TableKind::levels);
  CHECK(
      read_catalog_row(catalog_key(TableId{6}), catalog_value("events", TableKind::tree, TableRoot()), tables).code() ==
      Errc::corruption);
  CHECK(
      read_catalog_row(catalog_key(TableId{5}), catalog_value("other", TableKind::tree, TableRoot()), tables).code() ==
      Errc::corruption);
}

TEST_CASE("table set: the index that a table was made with is in its row, and survives new versions of it") {
  TableSet made;
  TableState& table = made.add(TableId{5}, "events", TableKind::levels, TableIndex::learned);
  CHECK(table.index() == TableIndex::learned);
  table.publish(Generation{1}, root_at(17));  // built by somebody who does not know
  CHECK(table.index() == TableIndex::learned);
  TableSet tables;
  REQUIRE(read_catalog_row(catalog_key(table), catalog_value(table, table.newest()), tables));
  CHECK(tables.find("events")->index() == TableIndex::learned);
  CHECK(tables.find("events")->newest().pointer == root_at(17).pointer);
}

TEST_CASE("table set: the compression that a table was made with is in its row, and survives new versions of it") {
  const Compression compression = test::some_codec();
  if (compression == Compression::none) CAMBIUM_SKIP("this build has no codec");
  TableSet made;
  TableState& table = made.add(TableId{5}, "events", TableKind::levels, TableIndex::automatic, compression);
  table.publish(Generation{1}, root_at(17));  // built by somebody who does not know
  CHECK(table.compression() == compression);
  TableSet tables;
  REQUIRE(read_catalog_row(catalog_key(table), catalog_value(table, table.newest()), tables));
  CHECK(tables.find("events")->compression() == compression);
  CHECK(tables.find("events")->index() == TableIndex::automatic);
}

TEST_CASE("table set: tables are found by number and by name, whatever the numbers, and iterate by number") {
  TableSet tables;
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < 3000; ++i) numbers.push_back(2 + i * (i % 3 == 0 ? 1u : 65'536u));  // many meet
  for (const std::uint32_t number : numbers) {
    if (tables.find(TableId{number}) == nullptr)
      tables.add(TableId{number}, "t" + std::to_string(number), TableKind::tree);
  }
  std::uint32_t last = 0;
  for (const auto& [id, table] : tables) {
    REQUIRE(raw(id) > last);
    last = raw(id);
    REQUIRE(tables.find(id) == table.get());
    REQUIRE(tables.find(table->name()) == table.get());
  }
  CHECK(tables.find(TableId{1'000'000'007}) == nullptr);
  CHECK(tables.find("t0") == nullptr);
}

TEST_CASE("table set: a table that was renamed has its new name only, and its handles' name stays what it was") {
  TableSet tables;
  TableState& table = tables.add(TableId{2}, "before", TableKind::tree);
  const std::shared_ptr<const std::string> seen = table.shared_name();
  tables.rename(table, "after");
  CHECK(tables.find("before") == nullptr);
  CHECK(tables.find("after") == &table);
  CHECK(*seen == "before");
  CHECK(tables.by_name().size() == 2);
}

TEST_CASE("table set: a dropped table has no name, keeps its number until it is removed, and its state while pinned") {
  TableSet tables;
  TableState& old = tables.add(TableId{2}, "t", TableKind::tree);
  old.counts.puts = 5;
  tables.drop(old, 7);
  CHECK(!old.live());
  CHECK(old.dropped_epoch() == 7);
  CHECK(tables.find("t") == nullptr);
  CHECK(tables.find(TableId{2}) == &old);
  CHECK(tables.find_live(TableId{2}) == nullptr);
  CHECK(tables.dropped() == std::vector<TableId>{TableId{2}});
  tables.add(TableId{3}, "t", TableKind::tree);  // the name is free
  const TablePin pin(old);
  tables.remove(old);
  CHECK(tables.find(TableId{2}) == nullptr);
  CHECK(tables.dropped().empty());
  CHECK(tables.counts().puts == 5);
  CHECK(old.name() == "t");
}

TEST_CASE("table set: whatever is removed, the others are found by their numbers") {
  TableSet tables;
  for (std::uint32_t i = 2; i < 500; ++i) {
    tables.add(TableId{i % 2 == 0 ? i : i * 4096}, "t" + std::to_string(i), TableKind::tree);  // in each other's way
  }
  for (std::uint32_t gone = 2; gone < 500; ++gone) {
    if (gone % 3 != 0) tables.remove(*tables.find("t" + std::to_string(gone)));
  }
  for (std::uint32_t i = 2; i < 500; ++i) {
    TableState* const found = tables.find(TableId{i % 2 == 0 ? i : i * 4096});
    REQUIRE((found != nullptr) == (i % 3 == 0));
  }
}

TEST_CASE("table set: the row of a dropped table is one of its own, and takes no name") {
  TableSet tables;
  const std::string key = catalog_key(TableId{9}, format::kDroppedRowKind);
  REQUIRE(read_catalog_row(key, catalog_value("t", TableKind::tree, root_at(17)), tables));
  REQUIRE(tables.find(TableId{9}) != nullptr);
  CHECK(catalog_key(*tables.find(TableId{9})) == key);
  CHECK(tables.find(TableId{9})->newest().pointer == root_at(17).pointer);
  CHECK(tables.find("t") == nullptr);
  CHECK(read_catalog_row(catalog_key(TableId{10}), catalog_value("t", TableKind::tree, TableRoot()), tables));
  CHECK(read_catalog_row(key, catalog_value("u", TableKind::tree, TableRoot()), tables).code() == Errc::corruption);
  CHECK(read_catalog_row(catalog_key(kDefaultTable, format::kDroppedRowKind),
                         catalog_value("default", TableKind::tree, TableRoot()), tables)
            .code() == Errc::corruption);
}

TEST_CASE("table set: versions are forgotten of all tables that have some, and of those alone") {
  TableSet tables;
  TableState& one = tables.add(TableId{2}, "one", TableKind::tree);
  TableState& two = tables.add(TableId{3}, "two", TableKind::tree);
  for (std::uint64_t g = 1; g <= 3; ++g) {
    one.publish(Generation{g * 10}, root_at(static_cast<std::uint32_t>(g)));
    tables.has_versions(one);
  }
  tables.forget_before(Generation{20});
  CHECK(one.version_count() == 2);
  CHECK(two.version_count() == 1);
  tables.forget_before(Generation{30});
  CHECK(one.version_count() == 1);
  one.publish(Generation{40}, root_at(4));
  tables.has_versions(one);  // listed anew
  tables.forget_before(Generation{50});
  CHECK(one.version_count() == 1);
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
  SECTION("the catalog's own number") { key = catalog_key(kCatalogTable); }
  SECTION("the default table's number and another name") { key = catalog_key(kDefaultTable); }
  SECTION("the default table's name and another number") {
    value = catalog_value("default", TableKind::tree, root_at(17));
  }
  SECTION("a default table kept in levels") {
    key = catalog_key(kDefaultTable);
    value = catalog_value("default", TableKind::levels, root_at(17));
  }
  SECTION("an impossible name") { value = catalog_value("a/b", TableKind::tree, root_at(17)); }
  SECTION("a table of a kind from the future") {
    value[offsetof(format::TableRow, kind)] = 99;
    expected = Errc::unsupported;
  }
  SECTION("an index from the future") {
    value[offsetof(format::TableRow, index)] = 3;
    expected = Errc::unsupported;
  }
  SECTION("a compression from the future") {
    value[offsetof(format::TableRow, compression)] = 3;
    expected = Errc::unsupported;
  }
  SECTION("a compressed tree") {
    value[offsetof(format::TableRow, compression)] = static_cast<char>(Compression::lz4);
    if (!has_codec(Compression::lz4)) expected = Errc::unsupported;
  }
  SECTION("a tree with an index") { value[offsetof(format::TableRow, index)] = 2; }
  TableSet tables;
  CHECK(read_catalog_row(key, value, tables).code() == expected);
  CHECK(tables.size() == 1);
}

}  // namespace
}  // namespace cambium
