// SPDX-License-Identifier: MIT OR Apache-2.0
// salvage: what can still be read of a damaged partition, into a new one.
#include <nlohmann/json.hpp>
#include <string>

#include <cambium/rt/check.h>
#include <cambium/salvage.h>

#include "base/text.h"
#include "cambium/encoding.h"
#include "cambium/progress.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

using nlohmann::ordered_json;
using rt::str;

std::string range_text(const LostRange& range) {
  const std::string name = range.table.empty() ? "the catalog" : "table " + range.table;
  const std::string from = range.from.empty() ? "the first key" : in_quotes(range.from);
  const std::string to = range.to.empty() ? "to the last key" : "up to, not including, " + in_quotes(range.to);
  const std::string entries = range.entries == 0 ? "an unknown number of entries" : str(range.entries, " entries");
  return str(range.made_up_for() ? "found again: " : "lost: ", name, ", from ", from, " ", to, ": ", entries, ", ",
             range.found_again, " found in orphaned leaves\n  why: ", range.reason, "\n");
}

ordered_json range_object(const LostRange& range) {
  const bool text = is_utf8(range.from) && is_utf8(range.to);
  const Encoding encoding = text ? Encoding::text : Encoding::base64;
  ordered_json object = {
      {"table", range.table},     {"from", encode(encoding, range.from)}, {"to", encode(encoding, range.to)},
      {"entries", range.entries}, {"found_again", range.found_again},     {"reason", range.reason}};
  if (!text) object["enc"] = to_string(encoding);
  return object;
}

}  // namespace

Answer verb_salvage(Session& session) {
  const Arguments& arguments = session.arguments;
  const std::uint64_t memory_bytes = arguments.memory_bytes != 0 ? arguments.memory_bytes : 256 * MiB;
  const Progress clock("salvage", 0, false);
  const SalvageReport report =
      co_await check(salvage(session.core, arguments.file, arguments.output_file, memory_bytes));
  const Exit exit = report.complete() ? Exit::ok : Exit::corruption;
  if (!session.plain()) {
    ordered_json lost = ordered_json::array();
    for (const LostRange& range : report.lost) lost.push_back(range_object(range));
    print_object(session, {{"file", arguments.file},
                           {"into", arguments.output_file},
                           {"complete", report.complete()},
                           {"tables", report.tables},
                           {"entries", report.entries},
                           {"orphan_entries", report.orphan_entries},
                           {"orphans_left_out", report.orphans_left_out},
                           {"pages_searched", report.pages_searched},
                           {"log_writes", report.log_writes},
                           {"log_left_out", report.log_left_out},
                           {"log_damage", report.log_damage},
                           {"log_lost_from", raw(report.log_lost_from)},
                           {"log_lost_to", raw(report.log_lost_to)},
                           {"commit_lost", report.commit_lost},
                           {"lost", lost},
                           {"seconds", clock.seconds()}});
    co_return exit;
  }
  for (const LostRange& range : report.lost) session.output.write(range_text(range));
  if (report.log_lost_from != Sequence{}) {
    const std::string to = report.log_lost_to == Sequence{} ? "on" : str("to ", raw(report.log_lost_to));
    session.output.write(str("lost: of the log, the writes from ", raw(report.log_lost_from), " ", to, "\n"));
  }
  if (report.log_left_out != 0) {
    session.output.write(str("lost: ", report.log_left_out, " writes of the log, to a table that is not known\n"));
  }
  if (!report.log_damage.empty()) session.output.write(str("  why: ", report.log_damage, "\n"));
  if (report.commit_lost) {
    session.output.write("lost: maybe the newest commit; the superblock, or the catalog, that it wrote is damaged\n");
  }
  if (report.orphans_left_out != 0) {
    session.output.write(str("lost: ", report.orphans_left_out, " orphaned leaves that could be of several tables\n"));
  }
  session.output.write(str("copied ", report.entries, " entries of ", report.tables, " tables to ",
                           arguments.output_file, ", ", report.orphan_entries, " of them from orphaned leaves, and ",
                           report.log_writes, " writes of the log; ",
                           report.complete() ? "nothing was lost\n" : "something was lost\n"));
  co_return exit;
}

}  // namespace cambium::cli
