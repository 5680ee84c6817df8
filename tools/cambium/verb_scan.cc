// SPDX-License-Identifier: MIT OR Apache-2.0
// scan and dump: a range of entries as text.
#include <memory>
#include <span>

#include <cambium/partition.h>

#include "base/text.h"
#include "cambium/formats.h"
#include "cambium/interrupt.h"
#include "cambium/progress.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

ScanRange range_of(const Arguments& arguments) noexcept {
  if (arguments.prefix) return ScanRange::with_prefix(*arguments.prefix);
  ScanRange range;
  if (arguments.from) range.from = *arguments.from;
  if (arguments.to) range.to = *arguments.to;
  return range;
}

class KeyWriter final : public RecordWriter {
 public:
  explicit KeyWriter(Encoding encoding) noexcept : encoding_(encoding) {}
  void record(std::string& to, Bytes key, Bytes /*value*/) const override {
    append_field(to, encoding_, key.view());
    to += '\n';
  }

 private:
  Encoding encoding_;
};

Exit exit_when_stopped(const Session& session, std::uint64_t records) {
  if (!interrupted()) return Exit::ok;
  note(session.arguments, rt::str("interrupted after ", records, " records; the output is not complete"));
  return Exit::interrupted;
}

Answer print_range(Session& session, const RecordWriter& writer, Progress& progress) {
  const Arguments& arguments = session.arguments;
  Output& output = session.output;
  const Stats stats = session.db->stats();
  writer.begin(output.buffer(), stats.used_pages * kPageBytes);
  Scan scan =
      session.db->scan(*session.table, range_of(arguments), {.reverse = arguments.reverse, .limit = arguments.limit});
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  while (!interrupted() && output.status() && !output.closed()) {
    const std::span<const Entry> page = co_await check(scan.next_page());
    if (page.empty()) {
      writer.end(output.buffer());
      break;
    }
    for (const Entry& entry : page) {
      writer.record(output.buffer(), entry.key, entry.value);
      bytes += entry.key.size() + entry.value.size();
      if (!output.pass()) break;
    }
    records += page.size();
    progress.update(bytes, records);
  }
  co_return exit_when_stopped(session, records);
}

}  // namespace

Answer verb_scan(Session& session) {
  const Arguments& arguments = session.arguments;
  std::unique_ptr<RecordWriter> writer = make_writer(session.plain() ? Format::tsv : Format::jsonl, arguments.encoding);
  if (arguments.keys_only && session.plain()) writer = std::make_unique<KeyWriter>(arguments.encoding);
  Progress progress("scan", 0, false);
  co_return co_await print_range(session, *writer, progress);
}

Answer verb_dump(Session& session) {
  const Arguments& arguments = session.arguments;
  Format format = arguments.format;
  if (format == Format::automatic) format = session.plain() ? Format::tsv : Format::jsonl;
  const std::unique_ptr<RecordWriter> writer = make_writer(format, arguments.encoding);
  Progress progress("dump", 0, !arguments.quiet);
  co_return co_await print_range(session, *writer, progress);
}

}  // namespace cambium::cli
