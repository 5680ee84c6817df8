// SPDX-License-Identifier: MIT OR Apache-2.0
// stat, check, compact: what the file holds, whether it is whole, and its size.
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>

#include <cambium/partition.h>

#include "base/text.h"
#include "cambium/encoding.h"
#include "cambium/progress.h"
#include "cambium/report.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

using nlohmann::ordered_json;
using rt::str;

struct FileFacts {
  std::uint64_t size_bytes = 0;
  std::uint64_t allocated_bytes = 0;
};

FileFacts facts_of(const std::string& path) noexcept {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {static_cast<std::uint64_t>(status.st_size), static_cast<std::uint64_t>(status.st_blocks) * 512};
}

ordered_json file_object(const FileFacts& facts) {
  return {{"size_bytes", facts.size_bytes}, {"allocated_bytes", facts.allocated_bytes}, {"page_bytes", kPageBytes}};
}

// The keys of a damaged place, or the writes, for people; nothing where none are known.
std::string keys_text(const Damage& damage) {
  if (damage.in_log) {
    const std::string writes = damage.first_write == Sequence{} ? std::string()
                               : damage.last_write == Sequence{}
                                   ? str(", writes from ", raw(damage.first_write))
                                   : str(", writes ", raw(damage.first_write), " to ", raw(damage.last_write));
    return str(", the log at position ", damage.log_position, writes);
  }
  if (damage.from.empty() && damage.to.empty()) return {};
  return str(", keys from ", damage.from.empty() ? "the first" : in_quotes(damage.from), " to ",
             damage.to.empty() ? "the last" : in_quotes(damage.to));
}

std::string damage_text(const Damage& damage) {
  const std::string page = damage.page != 0 ? str("page ", damage.page) : "no single page";
  const std::string table = damage.table.empty() ? "" : ", table " + damage.table;
  return str("damaged: ", page, table, keys_text(damage), ": ", damage.reason, "\n");
}

ordered_json damages_object(const CheckReport& report) {
  ordered_json damages = ordered_json::array();
  for (const Damage& damage : report.damages) {
    const bool text = is_utf8(damage.from) && is_utf8(damage.to);
    const Encoding encoding = text ? Encoding::text : Encoding::base64;
    damages.push_back({{"page", damage.page},
                       {"table", damage.table},
                       {"from", encode(encoding, damage.from)},
                       {"to", encode(encoding, damage.to)},
                       {"enc", to_string(encoding)},
                       {"reason", damage.reason}});
    if (!damage.in_log) continue;
    damages.back()["log_position"] = damage.log_position;
    damages.back()["first_write"] = raw(damage.first_write);
    damages.back()["last_write"] = raw(damage.last_write);
  }
  return damages;
}

// With --table: what there is to say of that one.
Answer stat_of_table(Session& session) {
  const Table& table = *session.table;
  co_await look_into(session, table);
  const TableStats stats = co_await check(session.db->table_stats(table));
  if (!session.plain()) {
    ordered_json object = {{"file", session.arguments.file}};
    object.update(table_object(table, stats));
    print_object(session, object);
    co_return Exit::ok;
  }
  session.output.write(str(session.arguments.file, ", table ", table.name(), "\n"));
  table_lines(session, table, stats, true);
  co_return Exit::ok;
}

// Those of kind levels: of the others the table list says enough.
ordered_json level_stores(Session& session) {
  ordered_json objects = ordered_json::array();
  for (const TableInfo& info : session.db->tables()) {
    if (info.table.kind() != TableKind::levels) continue;
    Result<TableStats> stats = session.db->table_stats(info.table);
    if (stats) objects.push_back(table_object(info.table, *stats));
  }
  return objects;
}

}  // namespace

Answer verb_stat(Session& session) {
  if (!session.arguments.table.empty()) co_return co_await stat_of_table(session);
  const std::string& path = session.arguments.file;
  const FileFacts facts = facts_of(path);
  co_await look_into_all(session);
  const ordered_json stores = level_stores(session);
  const Stats stats = session.db->stats();
  const std::string options = session.db->options().to_string();
  const std::size_t tables = session.db->tables().size();
  if (!session.plain()) {
    ordered_json figures = ordered_json::object();
    for (const StatDescription& one : describe_stats()) figures[std::string(one.name)] = stats.*one.field;
    print_object(session, {{"file", path},
                           {"facts", file_object(facts)},
                           {"options", options},
                           {"tables", tables},
                           {"backend", to_string(session.core.backend_kind())},
                           {"backend_note", session.core.backend_note()},
                           {"stats", figures},
                           {"level_stores", stores}});
    co_return Exit::ok;
  }
  session.output.write(str(path, "\n"));
  line(session, "size", rt::format_bytes(facts.size_bytes), "length of the file");
  line(session, "allocated", rt::format_bytes(facts.allocated_bytes), "blocks that the file system gave it");
  line(session, "backend", std::string(to_string(session.core.backend_kind())), session.core.backend_note());
  line(session, "tables", str(tables), "cambium table list names them");
  line(session, "level stores", str(stores.size()), "of them; cambium levels looks inside");
  for (const StatDescription& one : describe_stats()) {
    line(session, one.name, humane(stats.*one.field, one.unit), one.help);
  }
  session.output.write(str("options: ", options, "\n"));
  co_return Exit::ok;
}

Answer verb_check(Session& session) {
  const Progress clock("check", 0, false);
  Options options;
  options.path = session.arguments.file;
  options.memory_bytes = session.arguments.memory_bytes != 0 ? session.arguments.memory_bytes : 64 * MiB;
  CheckReport found;
  const Status whole = co_await Partition::check_file(session.core, options, found);
  if (!whole && found.whole()) co_return whole.error();  // it could not be carried out
  const double seconds = clock.seconds();
  if (found.superblock_damaged) {
    note(session.arguments, "warning: one copy of the superblock is damaged; the next commit mends it");
  }
  if (!session.plain()) {
    print_object(session, {{"file", session.arguments.file},
                           {"whole", found.whole()},
                           {"tables", found.tables},
                           {"entries", found.entries},
                           {"reachable_pages", found.reachable_pages},
                           {"free_pages", found.free_pages},
                           {"held_pages", found.held_pages},
                           {"log_bytes", found.log_bytes},
                           {"log_records", found.log_records},
                           {"superblock_damaged", found.superblock_damaged},
                           {"damaged_places", found.damaged_places},
                           {"damages", damages_object(found)},
                           {"seconds", seconds}});
    if (!whole) co_return whole.error();
    co_return Exit::ok;
  }
  for (const Damage& damage : found.damages) session.output.write(damage_text(damage));
  line(session, "tables", str(found.tables));
  line(session, "entries", str(found.entries));
  line(session, "reachable pages", humane(found.reachable_pages, "pages"), "read and verified");
  if (found.log_bytes != 0) {
    line(session, "log", rt::format_bytes(found.log_bytes), str("read and verified, ", found.log_records, " records"));
  }
  line(session, "free pages", humane(found.free_pages, "pages"));
  line(session, "held pages", humane(found.held_pages, "pages"), "freed, waiting for the next commits");
  if (!whole) {
    line(session, "damaged places", str(found.damaged_places),
         found.damaged_places > found.damages.size() ? "of which the first are listed above" : "listed above");
    co_return whole.error();
  }
  session.output.write(str(session.arguments.file, ": whole, checked in ", format_seconds(seconds), "\n"));
  co_return Exit::ok;
}

Answer verb_compact(Session& session) {
  const FileFacts before = facts_of(session.arguments.file);
  co_await check(session.db->compact());
  const FileFacts after = facts_of(session.arguments.file);
  if (!session.plain()) {
    print_object(session,
                 {{"file", session.arguments.file}, {"before", file_object(before)}, {"after", file_object(after)}});
    co_return Exit::ok;
  }
  session.output.write(str(session.arguments.file, ": ", rt::format_bytes(before.size_bytes), " -> ",
                           rt::format_bytes(after.size_bytes), "\n"));
  co_return Exit::ok;
}

}  // namespace cambium::cli
