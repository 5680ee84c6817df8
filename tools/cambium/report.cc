// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/report.h"

#include <cstdio>
#include <vector>

#include <cambium/partition.h>

#include "base/text.h"
#include "cambium/progress.h"
#include "cambium/verbs.h"

namespace cambium::cli {

using nlohmann::ordered_json;
using rt::str;

std::string humane(std::uint64_t value, std::string_view unit) {
  if (unit == "bytes") return rt::format_bytes(value);
  if (unit == "pages") return str(value, " (", rt::format_bytes(value * kPageBytes), ")");
  if (unit == "ns") return format_seconds(static_cast<double>(value) / 1e9);
  return str(value);
}

void line(Session& session, std::string_view name, const std::string& value, std::string_view help) {
  char columns[96];
  std::snprintf(columns, sizeof columns, "%-24.*s %20s", static_cast<int>(name.size()), name.data(), value.c_str());
  session.output.write(str(static_cast<const char*>(columns), help.empty() ? "" : "   ", help, "\n"));
}

namespace {

ordered_json ratio_object(double ratio) { return ratio == 0 ? ordered_json() : ordered_json(ratio); }

std::string ratio_text(double ratio) {
  if (ratio == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", ratio);
  return text;
}

ordered_json compaction_object(const TableCompaction& state) {
  return {{"flush_runs", state.flush_runs},
          {"tier_runs", state.tier_runs},
          {"reason", state.reason},
          {"merging", state.merging},
          {"failure", state.failure},
          {"merges", state.merges},
          {"slices", state.slices},
          {"entries_read", state.entries_read},
          {"bytes_written", state.bytes_written},
          {"ns", state.ns}};
}

void level_lines(Session& session, const TableStats& stats) {
  line(session, "sstables", str(stats.sstables), str("in ", stats.runs, " runs on ", stats.levels, " levels"));
  line(session, "tombstones", str(stats.tombstones), "deletions that older runs need");
  line(session, "content", humane(stats.content_bytes, "bytes"), "keys and values of all entries");
  line(session, "space_amplification", ratio_text(stats.space_amplification()), "bytes of pages per byte of content");
  if (stats.compression_ratio() != 1) {
    line(session, "compression_ratio", ratio_text(stats.compression_ratio()),
         str(humane(stats.unpacked_bytes, "bytes"), " without it; long values are not compressed"));
  }
  const TableCompaction& state = stats.compaction;
  line(session, "policy", str(state.flush_runs, " / ", state.tier_runs),
       str("runs that are merged, of level 0 / of one between; ", state.reason));
  if (!state.failure.empty()) line(session, "compaction failure", state.failure);
}

void level_counters(Session& session, const TableStats& stats) {
  line(session, "lookups", str(stats.lookups), "gets that no write buffer answered");
  line(session, "sstable_searches", str(stats.sstable_searches), "by them");
  line(session, "filter_checks", str(stats.filter_checks), "sstables whose filter they asked");
  line(session, "filter_negatives", str(stats.filter_negatives), "that need not be searched, as their filter said");
  line(session, "filter_false_positives", str(stats.filter_false_positives), "searched for a key that is not there");
  line(session, "compactions", str(stats.compaction.merges), str("finished, in ", stats.compaction.slices, " slices"));
  line(session, "compacted", humane(stats.compaction.bytes_written, "bytes"), "written by compaction");
}

}  // namespace

ordered_json table_object(const Table& table, const TableStats& stats) {
  ordered_json object = {{"table", table.name()},
                         {"kind", kind_name(table.kind())},
                         {"number", raw(table.id())},
                         {"entries", stats.entries},
                         {"pages", stats.pages},
                         {"bytes", stats.bytes},
                         {"gets", stats.gets},
                         {"puts", stats.puts},
                         {"deletes", stats.deletes},
                         {"scans", stats.scans},
                         {"bytes_put", stats.bytes_put},
                         {"bytes_flushed", stats.bytes_flushed},
                         {"read_amplification", ratio_object(stats.read_amplification())},
                         {"write_amplification", ratio_object(stats.write_amplification())}};
  if (table.kind() == TableKind::tree) {
    object["height"] = stats.height;
    return object;
  }
  object.update({{"space_amplification", ratio_object(stats.space_amplification())},
                 {"sstables", stats.sstables},
                 {"runs", stats.runs},
                 {"level_count", stats.levels},
                 {"tombstones", stats.tombstones},
                 {"content_bytes", stats.content_bytes},
                 {"node_bytes", stats.node_bytes},
                 {"unpacked_bytes", stats.unpacked_bytes},
                 {"compression_ratio", stats.compression_ratio()},
                 {"lookups", stats.lookups},
                 {"sstable_searches", stats.sstable_searches},
                 {"filter_checks", stats.filter_checks},
                 {"filter_negatives", stats.filter_negatives},
                 {"filter_false_positives", stats.filter_false_positives},
                 {"compaction", compaction_object(stats.compaction)}});
  return object;
}

void table_lines(Session& session, const Table& table, const TableStats& stats, bool counters) {
  const bool levels = table.kind() == TableKind::levels;
  line(session, "kind", std::string(kind_name(table.kind())));
  line(session, "number", str(raw(table.id())));
  line(session, "entries", str(stats.entries), levels ? "of all sstables" : "");
  line(session, "pages", humane(stats.pages, "pages"), "with those of long values");
  if (levels) {
    level_lines(session, stats);
  } else {
    line(session, "height", str(stats.height), "pages on the way to an entry");
  }
  if (!counters) return;
  line(session, "read_amplification", ratio_text(stats.read_amplification()),
       levels ? "sstables searched per lookup" : "pages on the way to an entry");
  line(session, "write_amplification", ratio_text(stats.write_amplification()), "bytes written per byte put");
  line(session, "bytes_put", humane(stats.bytes_put, "bytes"), "keys and values, since it was opened");
  line(session, "bytes_flushed", humane(stats.bytes_flushed, "bytes"), "written for them by flushes");
  if (levels) level_counters(session, stats);
}

Encoding json_encoding(Encoding asked, std::string_view a, std::string_view b) noexcept {
  return asked != Encoding::text || (is_utf8(a) && is_utf8(b)) ? asked : Encoding::base64;
}

Task<void> look_into(Session& session, const Table& table) {
  if (table.kind() != TableKind::levels) co_return;
  const Result<TableLevels> looked = co_await session.db->table_levels(table);
  if (looked) co_return;
  note(session.arguments, str("warning: table ", table.name(), ": ", looked.error().message()));
}

Task<void> look_into_all(Session& session) {
  const std::vector<TableInfo> tables = session.db->tables();
  for (const TableInfo& info : tables) co_await look_into(session, info.table);
}

}  // namespace cambium::cli
