// SPDX-License-Identifier: MIT OR Apache-2.0
// table create, list, drop, rename.
#include <nlohmann/json.hpp>
#include <string>

#include <cambium/partition.h>

#include "base/text.h"
#include "cambium/report.h"
#include "cambium/verbs.h"

namespace cambium::cli {

using rt::str;

std::string_view kind_name(TableKind kind) noexcept { return kind == TableKind::tree ? "tree" : "levels"; }

std::string_view compression_name(Compression compression) noexcept {
  if (compression == Compression::none) return "none";
  return compression == Compression::lz4 ? "lz4" : "zstd";
}

namespace {

std::string_view index_name(TableIndex index) noexcept {
  if (index == TableIndex::automatic) return "auto";
  return index == TableIndex::plain ? "plain" : "learned";
}

TableIndex index_of(std::string_view name) noexcept {
  if (name == "auto") return TableIndex::automatic;
  return name == "plain" ? TableIndex::plain : TableIndex::learned;
}

Compression compression_of(std::string_view name) noexcept {
  if (name == "none") return Compression::none;
  return name == "lz4" ? Compression::lz4 : Compression::zstd;
}

Answer list(Session& session) {
  co_await look_into_all(session);
  nlohmann::ordered_json tables = nlohmann::ordered_json::array();
  for (const TableInfo& info : session.db->tables()) {
    if (session.plain()) {
      session.output.write(
          str(info.table.name(), "\t", kind_name(info.table.kind()), "\t", info.entries, "\t", info.bytes, "\n"));
      continue;
    }
    nlohmann::ordered_json fields = {{"name", info.table.name()},
                                     {"kind", kind_name(info.table.kind())},
                                     {"number", raw(info.table.id())},
                                     {"entries", info.entries},
                                     {"pages", info.pages},
                                     {"bytes", info.bytes}};
    if (info.table.kind() == TableKind::levels) {
      fields["index"] = index_name(info.index);
      fields["compression"] = compression_name(info.compression);
    }
    tables.push_back(std::move(fields));
  }
  if (!session.plain()) print_object(session, {{"action", "list"}, {"tables", tables}});
  co_return Exit::ok;
}

}  // namespace

Answer verb_table(Session& session) {
  const Arguments& arguments = session.arguments;
  nlohmann::ordered_json fields = {{"action", arguments.action}, {"table", arguments.name}};
  if (arguments.action == "list") co_return co_await list(session);
  if (arguments.action == "create") {
    const TableKind kind = arguments.kind == "tree" ? TableKind::tree : TableKind::levels;
    const TableOptions options{
        .kind = kind, .index = index_of(arguments.index), .compression = compression_of(arguments.compression)};
    const Table made = co_await check(session.db->table(arguments.name, options, TableMode::create));
    fields["kind"] = kind_name(made.kind());
    if (kind == TableKind::levels) {
      fields["index"] = arguments.index;
      fields["compression"] = arguments.compression;
    }
    fields["number"] = raw(made.id());
  } else if (arguments.action == "drop") {
    co_await check(session.db->drop_table(arguments.name));
  } else {
    co_await check(session.db->rename_table(arguments.name, arguments.new_name));
    fields["new_name"] = arguments.new_name;
  }
  fields["durable"] = true;
  if (!session.plain()) print_object(session, fields);
  co_return Exit::ok;
}

}  // namespace cambium::cli
