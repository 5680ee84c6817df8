// SPDX-License-Identifier: MIT OR Apache-2.0
// load: records of a file or of standard input, by puts or, sorted, by a bulk load.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include <cambium/partition.h>

#include "base/text.h"
#include "cambium/formats.h"
#include "cambium/input.h"
#include "cambium/interrupt.h"
#include "cambium/progress.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

using rt::str;

struct Load {
  Session& session;
  Input& input;
  Progress& progress;
  BulkLoad* bulk = nullptr;
  std::unique_ptr<RecordReader> reader = {};
  Record record = {};
  std::uint64_t records = 0;
  std::uint64_t data_bytes = 0;  // of keys and values
};

Error at_line(const Load& load, const Error& error) {
  const std::string_view kept = load.bulk != nullptr ? "nothing was loaded" : "the records before it are loaded";
  return error.within(str("line ", load.input.lines(), " of ", load.input.name(), " (", kept, ")"));
}

Format format_for(const Load& load, std::string_view first_line) noexcept {
  const Format asked = load.session.arguments.format;
  return asked == Format::automatic ? format_by_content(first_line) : asked;
}

// Every line that is in the input's buffer.
Task<Status> load_lines(Load& load) {
  std::string_view line;
  while (load.input.next_line(line)) {
    if (!load.reader) load.reader = make_reader(format_for(load, line), load.session.arguments.encoding);
    const Result<bool> complete = load.reader->line(line, load.record);
    if (!complete) co_return at_line(load, complete.error());
    if (!complete.value()) continue;
    const Record& record = load.record;
    Op<void> stored = load.bulk != nullptr ? load.bulk->add(record.key, record.value)
                                           : load.session.db->put(*load.session.table, record.key, record.value);
    const Status status = co_await stored;
    if (!status) co_return at_line(load, status.error());
    ++load.records;
    load.data_bytes += record.key.size() + record.value.size();
    if (load.records % 256 == 0) load.progress.update(load.input.read_bytes(), load.records);
  }
  co_return Status();
}

Task<Status> load_all(Load& load) {
  Core& core = load.session.core;
  for (;;) {
    const bool more = co_await check(load.input.fill(core));
    co_await check(load_lines(load));
    if (interrupted()) co_return Status();
    if (!more) break;
    load.progress.update(load.input.read_bytes(), load.records);
    if (core.over_budget()) co_await core.yield();
  }
  if (!load.reader) co_return Status();  // an empty input is an empty load
  const Status complete = load.reader->end();
  if (!complete) co_return complete.error().within(load.input.name());
  co_return Status();
}

void report(const Load& load, double seconds) {
  const auto rate = static_cast<double>(load.records) / seconds;
  const auto bytes_rate = static_cast<double>(load.data_bytes) / seconds;
  if (!load.session.plain()) {
    print_object(load.session, {{"records", load.records},
                                {"lines", load.input.lines()},
                                {"data_bytes", load.data_bytes},
                                {"seconds", seconds},
                                {"complete", !interrupted()},
                                {"durable", true}});
  }
  note(load.session.arguments,
       str(interrupted() ? "interrupted: " : "loaded ", load.records, " records (", rt::format_bytes(load.data_bytes),
           interrupted() ? str(") are durable, all up to line ", load.input.lines(), " of ", load.input.name())
                         : str(") in ", format_seconds(seconds), ", ", format_count(rate), " records/s, ",
                               rt::format_bytes(static_cast<std::uint64_t>(bytes_rate)), "/s; all durable")));
}

}  // namespace

Answer verb_load(Session& session) {
  const Arguments& arguments = session.arguments;
  const std::unique_ptr<Input> input = co_await check(Input::open(arguments.input));
  Progress progress("load", input->size_bytes(), !arguments.quiet);
  Load load = {.session = session, .input = *input, .progress = progress};
  std::optional<BulkLoad> bulk;
  if (arguments.sorted) {
    BulkLoad begun = co_await check(session.db->bulk_load(*session.table));
    bulk.emplace(std::move(begun));
    load.bulk = &*bulk;
  }
  co_await check(load_all(load));
  if (bulk) {
    co_await check(bulk->finish());
  } else {
    co_await check(session.db->flush());
  }
  report(load, progress.seconds());
  co_return interrupted() ? Exit::interrupted : Exit::ok;
}

}  // namespace cambium::cli
