// SPDX-License-Identifier: MIT OR Apache-2.0
// create, put, get, del: one key or none.
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

// Everything on standard input is the value.
Task<Result<std::string>> read_value(Core& core, Encoding encoding) {
  std::unique_ptr<Input> input = co_await check(Input::open("-"));
  for (;;) {
    const bool more = co_await check(input->fill(core));
    if (interrupted()) co_return Error(Errc::cancelled, "interrupted; nothing was written");
    if (!more) break;
    if (input->unread().size() > kValueBytesMax * 2) {
      co_return Error(Errc::invalid_argument, "the value on standard input is too long", "1 GiB is the limit");
    }
  }
  std::string_view bytes = input->unread();
  if (encoding != Encoding::text && bytes.ends_with('\n')) bytes.remove_suffix(1);
  co_return decode(encoding, bytes);
}

}  // namespace

Answer verb_create(Session& session) {
  if (!session.plain()) print_object(session, {{"created", session.arguments.file}});
  co_return Exit::ok;
}

Answer verb_put(Session& session) {
  const Arguments& arguments = session.arguments;
  std::string value;
  if (arguments.value) {
    value = *arguments.value;
  } else {
    value = co_await check(read_value(session.core, arguments.encoding));
  }
  co_await check(session.db->put(*session.table, arguments.key, value));
  co_await check(session.db->flush());
  if (!session.plain()) print_object(session, {{"written", 1}, {"durable", true}});
  co_return Exit::ok;
}

Answer verb_get(Session& session) {
  const Arguments& arguments = session.arguments;
  const Value value = co_await check(session.db->get(*session.table, arguments.key));
  if (!session.plain()) {
    nlohmann::ordered_json fields = {{"found", static_cast<bool>(value)}};
    if (value) {
      const bool text = arguments.encoding == Encoding::text && is_utf8(arguments.key) && is_utf8(value.view());
      const Encoding encoding = text || arguments.encoding != Encoding::text ? arguments.encoding : Encoding::base64;
      fields["k"] = encode(encoding, arguments.key);
      fields["v"] = encode(encoding, value.view());
      if (encoding != Encoding::text) fields["enc"] = to_string(encoding);
    }
    print_object(session, fields);
  } else if (value) {
    session.output.write(encode(arguments.encoding, value.view()));
    if (!arguments.raw) session.output.write("\n");
  }
  if (value) co_return Exit::ok;
  if (session.plain()) note(arguments, rt::str("not found: ", in_quotes(arguments.key)));
  co_return Exit::not_found;
}

Answer verb_del(Session& session) {
  const Arguments& arguments = session.arguments;
  bool existed = false;
  {
    const Value value = co_await check(session.db->get(*session.table, arguments.key));
    existed = static_cast<bool>(value);
  }
  if (existed) {
    co_await check(session.db->del(*session.table, arguments.key));
    co_await check(session.db->flush());
  }
  if (!session.plain()) print_object(session, {{"existed", existed}, {"durable", true}});
  co_return Exit::ok;
}

}  // namespace cambium::cli
