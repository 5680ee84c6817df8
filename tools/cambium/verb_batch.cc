// SPDX-License-Identifier: MIT OR Apache-2.0
// batch: a list of operations, one per line; groups of them are one WriteBatch. The language is in help.cc.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include <cambium/partition.h>

#include "base/text.h"
#include "cambium/input.h"
#include "cambium/interrupt.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

using rt::str;

enum class Kind : std::uint8_t { none, put, del, get, table, commit, flush };

struct Operation {
  Kind kind = Kind::none;
  std::string key;
  std::string value;
};

struct Batch {
  Session& session;
  Input& input;
  Table table;  // of the operations that follow
  WriteBatch group = {};
  std::uint64_t writes = 0;  // committed
  std::uint64_t commits = 0;
};

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kHint =
    "operations: put K V, del K, get K, table NAME, commit, flush, # comment; see cambium batch --help";

// Cuts the first field off; the one blank behind it goes too.
std::string_view take_field(std::string_view& rest) noexcept {
  const std::size_t end = rest.find_first_of(kBlanks);
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return field;
}

Result<Operation> parse(std::string_view line, Encoding encoding) {
  Operation operation;
  if (line.starts_with('#')) return operation;
  std::string_view rest = line;
  const std::string_view name = take_field(rest);
  if (name.empty() && rest.empty()) {
    operation.kind = Kind::commit;
    return operation;
  }
  if (name == "commit" || name == "flush") {
    if (!rest.empty()) return Error(Errc::invalid_argument, str(name, " stands alone"), std::string(kHint));
    operation.kind = name == "flush" ? Kind::flush : Kind::commit;
    return operation;
  }
  if (name == "table") {
    operation.kind = Kind::table;
    operation.key = rest;  // names are text as they are
    return operation;
  }
  operation.kind = name == "put" ? Kind::put : (name == "del" ? Kind::del : (name == "get" ? Kind::get : Kind::none));
  if (operation.kind == Kind::none) {
    return Error(Errc::invalid_argument, str("no such operation: ", in_quotes(name)), std::string(kHint));
  }
  const bool put = operation.kind == Kind::put;
  Result<std::string> key = read_field(encoding, put ? take_field(rest) : rest);
  if (!key) return key.error();
  operation.key = std::move(*key);
  if (operation.key.empty() || operation.key.size() > kKeyBytesMax) {
    return Error(Errc::invalid_argument, str("a key of ", operation.key.size(), " bytes"),
                 str("keys have 1 to ", kKeyBytesMax, " bytes"));
  }
  if (put) {
    Result<std::string> value = read_field(encoding, rest);
    if (!value) return value.error();
    operation.value = std::move(*value);
  }
  return operation;
}

Task<Status> commit(Batch& batch) {
  if (batch.group.empty()) co_return Status();
  co_await check(batch.session.db->write(batch.group));
  batch.writes += batch.group.count();
  batch.group.clear();
  ++batch.commits;
  co_return Status();
}

Task<Status> flush(Batch& batch) {
  Session& session = batch.session;
  co_await check(commit(batch));
  co_await check(session.db->flush());
  if (session.plain()) {
    session.output.write(str("flushed ", batch.writes, "\n"));
  } else {
    session.output.write(str("{\"flushed\":", batch.writes, "}\n"));
  }
  session.output.flush();  // whoever waits for it has to see it now
  co_return Status();
}

void print_value(Session& session, std::string_view key, const Value& value) {
  Encoding encoding = session.arguments.encoding;
  if (session.plain()) {
    append_field(session.output.buffer(), encoding, key);
    if (value) {
      session.output.buffer() += '\t';
      append_field(session.output.buffer(), encoding, value.view());
    }
  } else {
    if (encoding == Encoding::text && !(is_utf8(key) && is_utf8(value.view()))) encoding = Encoding::base64;
    nlohmann::ordered_json object = {{"k", encode(encoding, key)}, {"found", static_cast<bool>(value)}};
    if (value) object["v"] = encode(encoding, value.view());
    if (encoding != Encoding::text) object["enc"] = to_string(encoding);
    session.output.buffer() += object.dump();
  }
  session.output.write("\n");
}

Task<Status> carry_out(Batch& batch, const Operation& operation) {
  switch (operation.kind) {
    case Kind::none:
      break;
    case Kind::put:
      batch.group.put(batch.table, operation.key, operation.value);
      break;
    case Kind::del:
      batch.group.del(batch.table, operation.key);
      break;
    case Kind::table:
      batch.table = co_await check(batch.session.db->table(operation.key));
      break;
    case Kind::commit:
      co_return co_await commit(batch);
    case Kind::flush:
      co_return co_await flush(batch);
    case Kind::get: {
      const Value value = co_await check(batch.session.db->get(batch.table, operation.key));
      print_value(batch.session, operation.key, value);
      break;
    }
  }
  co_return Status();
}

Task<Status> carry_out_lines(Batch& batch) {
  std::string_view line;
  while (!interrupted() && batch.input.next_line(line)) {
    Result<Operation> operation = parse(line, batch.session.arguments.encoding);
    Status status;
    if (operation) {
      status = co_await carry_out(batch, *operation);
    } else {
      status = operation.error();
    }
    if (!status) co_return status.error().within(str("line ", batch.input.lines(), " of ", batch.input.name()));
  }
  co_return Status();
}

}  // namespace

Answer verb_batch(Session& session) {
  const std::unique_ptr<Input> input = co_await check(Input::open(session.arguments.input));
  Batch batch = {.session = session, .input = *input, .table = *session.table};
  for (;;) {
    session.output.flush();  // answers first, then the next wait
    const bool more = co_await check(input->fill(session.core));
    co_await check(carry_out_lines(batch));
    if (!more || interrupted()) break;
  }
  // Interrupted: the open group was never finished, and is dropped.
  if (!interrupted()) co_await check(commit(batch));
  co_await check(session.db->flush());
  if (!session.plain()) {
    print_object(session, {{"commits", batch.commits}, {"writes", batch.writes}, {"durable", true}});
  }
  if (!interrupted()) co_return Exit::ok;
  note(session.arguments, str("interrupted: ", batch.writes, " writes of ", batch.commits,
                              " groups are durable; the open group was dropped"));
  co_return Exit::interrupted;
}

}  // namespace cambium::cli
