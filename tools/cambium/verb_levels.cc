// SPDX-License-Identifier: MIT OR Apache-2.0
// levels and sstable: a look inside tables of kind levels.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include <cambium/partition.h>

#include "base/text.h"
#include "cambium/interrupt.h"
#include "cambium/report.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

using nlohmann::ordered_json;
using rt::str;

// ---- one sstable as a line, and as an object ------------------------------------------------------------------------

std::string bits_text(const SstableInfo& one) {
  if (one.filter_pages == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", one.filter_bits_per_key);
  return text;
}

constexpr const char* kColumns = "%5s %5s %8s %11s %11s %9s %10s %7s %5s %7s %10s\t";

void head_line(Session& session) {
  char text[160];
  std::snprintf(text, sizeof text, kColumns, "level", "run", "id", "entries", "tombstones", "pages", "bytes", "filter",
                "bits", "trimmed", "generation");
  session.output.write(str(static_cast<const char*>(text), "first key\tlast key\n"));
}

void sstable_line(Session& session, const SstableInfo& one) {
  char text[320];
  std::snprintf(text, sizeof text, kColumns, str(one.level).c_str(), str(one.run).c_str(), str(one.id).c_str(),
                str(one.entries).c_str(), str(one.tombstones).c_str(), str(one.pages()).c_str(),
                rt::format_bytes(one.bytes()).c_str(), str(one.filter_pages).c_str(), bits_text(one).c_str(),
                one.trimmed ? "yes" : "no", str(one.generation).c_str());
  std::string& to = session.output.buffer();
  to += text;
  append_field(to, session.arguments.encoding, one.min_key);
  to += '\t';
  append_field(to, session.arguments.encoding, one.max_key);
  to += '\n';
  session.output.pass();
}

ordered_json sstable_object(const Session& session, const SstableInfo& one) {
  const Encoding encoding = json_encoding(session.arguments.encoding, one.min_key, one.max_key);
  return {{"id", one.id},
          {"level", one.level},
          {"run", one.run},
          {"entries", one.entries},
          {"tombstones", one.tombstones},
          {"pages", one.pages()},
          {"bytes", one.bytes()},
          {"content_bytes", one.content_bytes},
          {"compression", compression_name(one.compression)},
          {"unpacked_bytes", (one.pages() - one.node_pages + one.unpacked_pages) * kPageBytes},
          {"min_key", encode(encoding, one.min_key)},
          {"max_key", encode(encoding, one.max_key)},
          {"enc", to_string(encoding)},
          {"filter_pages", one.filter_pages},
          {"filter_bits_per_key", one.filter_bits_per_key},
          {"trimmed", one.trimmed},
          {"generation", one.generation}};
}

// ---- levels ---------------------------------------------------------------------------------------------------------

// Levels of runs of sstables, as they follow one another in the list.
ordered_json levels_array(const Session& session, const std::vector<SstableInfo>& sstables) {
  ordered_json levels = ordered_json::array();
  const SstableInfo* last = nullptr;
  for (const SstableInfo& one : sstables) {
    const bool same_level = last != nullptr && last->level == one.level;
    const bool same_run = same_level && last->run == one.run;
    last = &one;
    if (!same_level) levels.push_back({{"level", one.level}, {"runs", ordered_json::array()}});
    ordered_json& runs = levels.back()["runs"];
    if (!same_run) runs.push_back({{"run", one.run}, {"sstables", ordered_json::array()}});
    runs.back()["sstables"].push_back(sstable_object(session, one));
  }
  return levels;
}

Task<Status> report_table(Session& session, const Table& table, ordered_json& objects) {
  const TableLevels inside = co_await check(session.db->table_levels(table));
  const TableStats stats = co_await check(session.db->table_stats(table));
  if (!session.plain()) {
    ordered_json object = table_object(table, stats);
    object["manifest_pages"] = inside.manifest_pages;
    object["levels"] = levels_array(session, inside.sstables);
    objects.push_back(std::move(object));
    co_return Status();
  }
  session.output.write(str(session.arguments.file, ", table ", table.name(), "\n"));
  table_lines(session, table, stats, false);
  if (!inside.sstables.empty()) head_line(session);
  for (const SstableInfo& one : inside.sstables) {
    if (interrupted() || session.output.closed()) break;
    sstable_line(session, one);
  }
  co_return Status();
}

std::vector<Table> tables_asked_for(const Session& session) {
  if (!session.arguments.table.empty()) return {*session.table};
  std::vector<Table> tables;
  for (const TableInfo& info : session.db->tables()) {
    if (info.table.kind() == TableKind::levels) tables.push_back(info.table);
  }
  return tables;
}

// ---- sstable --------------------------------------------------------------------------------------------------------

std::string_view kind_text(SstableEntryKind kind) noexcept {
  switch (kind) {
    case SstableEntryKind::value:
      return "value";
    case SstableEntryKind::long_value:
      return "long value";
    case SstableEntryKind::tombstone:
      break;
  }
  return "tombstone";
}

ordered_json entry_object(const Session& session, const SstableEntry& entry) {
  const Encoding encoding = json_encoding(session.arguments.encoding, entry.key);
  ordered_json object = {
      {"k", encode(encoding, entry.key)}, {"kind", kind_text(entry.kind)}, {"value_bytes", entry.value_bytes}};
  if (encoding != Encoding::text) object["enc"] = to_string(encoding);
  return object;
}

void entry_line(Session& session, const SstableEntry& entry) {
  std::string& to = session.output.buffer();
  if (session.plain()) {
    append_field(to, session.arguments.encoding, entry.key);
    to += str("\t", kind_text(entry.kind), "\t", entry.value_bytes, "\n");
  } else {
    to += entry_object(session, entry).dump() + "\n";
  }
  session.output.pass();
}

// The entry at one end, as it is in the pages.
Task<Status> entry_at_end(Session& session, std::uint64_t id, bool last, SstableEntry& entry) {
  const SstableRange range = {.reverse = last, .limit = 1};
  std::vector<SstableEntry> found = co_await check(session.db->sstable_entries(*session.table, id, range));
  if (!found.empty()) entry = std::move(found.front());
  co_return Status();
}

Answer print_entries(Session& session, std::uint64_t id) {
  std::string after;
  while (session.output.status() && !session.output.closed()) {
    if (interrupted()) co_return Exit::interrupted;
    const SstableRange range = {.after = after};
    const std::vector<SstableEntry> some = co_await check(session.db->sstable_entries(*session.table, id, range));
    if (some.empty()) break;
    for (const SstableEntry& entry : some) entry_line(session, entry);
    after = some.back().key;
  }
  co_return Exit::ok;
}

void describe_plain(Session& session, const SstableInfo& one) {
  session.output.write(str(session.arguments.file, ", table ", session.table->name(), ", sstable ", one.id, "\n"));
  line(session, "level", str(one.level));
  line(session, "run", str(one.run), "of its level; a higher number is newer");
  line(session, "generation", str(one.generation), "of the commit that wrote it");
  line(session, "entries", str(one.entries), str(one.tombstones, " of them tombstones"));
  line(session, "content", humane(one.content_bytes, "bytes"), "keys and values");
  line(session, "pages", humane(one.pages(), "pages"),
       str(one.node_pages, " of nodes, ", one.filter_pages, " of the filter, ", one.overflow_pages, " of long values"));
  if (one.compression != Compression::none) {
    line(session, "compression", std::string(compression_name(one.compression)),
         str(one.packed_pages, " of its pages; without it there would be ", one.unpacked_pages, " of nodes"));
  }
  line(session, "height", str(one.height), "of its tree");
  line(session, "filter", bits_text(one), str("bits per key, ", one.filter_probes, " probes"));
  line(session, "trimmed", one.trimmed ? "yes" : "no", "compaction has taken what is below its first key");
  for (const PageExtent& extent : one.extents) {
    line(session, "extent", str(extent.first_page, " .. ", extent.first_page + extent.pages - 1),
         humane(extent.pages, "pages"));
  }
}

ordered_json describe_object(const Session& session, const SstableInfo& one) {
  ordered_json object = {{"file", session.arguments.file}, {"table", session.table->name()}};
  object.update(sstable_object(session, one));
  ordered_json extents = ordered_json::array();
  for (const PageExtent& extent : one.extents) {
    extents.push_back({{"first_page", extent.first_page}, {"pages", extent.pages}});
  }
  object.update({{"node_pages", one.node_pages},
                 {"packed_pages", one.packed_pages},
                 {"unpacked_pages", one.unpacked_pages},
                 {"overflow_pages", one.overflow_pages},
                 {"height", one.height},
                 {"filter_probes", one.filter_probes},
                 {"extents", extents}});
  return object;
}

Answer describe(Session& session, const SstableInfo& one) {
  const bool all = session.arguments.keys_only;
  SstableEntry first;
  SstableEntry last;
  if (!all) {
    co_await check(entry_at_end(session, one.id, false, first));
    co_await check(entry_at_end(session, one.id, true, last));
  }
  if (!session.plain()) {
    ordered_json object = describe_object(session, one);
    if (!all) {
      object["first"] = entry_object(session, first);
      object["last"] = entry_object(session, last);
    }
    print_object(session, object);
  } else {
    describe_plain(session, one);
    session.output.write("\n");
    if (!all) {
      entry_line(session, first);
      entry_line(session, last);
    }
  }
  if (!all) co_return Exit::ok;
  co_return co_await print_entries(session, one.id);
}

}  // namespace

Answer verb_levels(Session& session) {
  ordered_json objects = ordered_json::array();
  const std::vector<Table> tables = tables_asked_for(session);
  for (const Table& table : tables) {
    co_await check(report_table(session, table, objects));
  }
  if (!session.plain()) print_object(session, {{"file", session.arguments.file}, {"tables", objects}});
  if (tables.empty()) note(session.arguments, "no table of kind levels");
  co_return interrupted() ? Exit::interrupted : Exit::ok;
}

Answer verb_sstable(Session& session) {
  const TableLevels inside = co_await check(session.db->table_levels(*session.table));
  for (const SstableInfo& one : inside.sstables) {
    if (one.id == session.arguments.id) co_return co_await describe(session, one);
  }
  co_return Error(Errc::not_found, str("table ", session.table->name(), " has no sstable ", session.arguments.id),
                  "`cambium levels` lists those that it has");
}

}  // namespace cambium::cli
