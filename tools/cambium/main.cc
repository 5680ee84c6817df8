// SPDX-License-Identifier: MIT OR Apache-2.0
// cambium: the command line. Parses, makes a core, opens the partition the way the verb needs it, runs the verb.
//
// Verbs that read open the file read-only and never write to it; verbs that write flush when they end, also after an
// error, so that the exit code 0 means durable.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <cambium/partition.h>
#include <cambium/rt/core.h>

#include "base/log.h"
#include "base/text.h"
#include "cambium/arguments.h"
#include "cambium/cli.h"
#include "cambium/interrupt.h"

namespace cambium::cli {
namespace {

Options options_for(const Verb& verb, const Arguments& arguments) noexcept {
  Options options;
  options.path = arguments.file;
  options.read_only = verb.access == Access::read;
  options.memory_bytes = arguments.memory_bytes != 0 ? arguments.memory_bytes : verb.memory_bytes;
  if (arguments.wal != "none") options.wal = arguments.wal == "sync" ? WalMode::sync : WalMode::batched;
  switch (verb.access) {
    case Access::create:
      options.mode = OpenMode::create;
      break;
    case Access::write_or_create:
      options.mode = OpenMode::open_or_create;
      break;
    default:
      options.mode = OpenMode::open;
      break;
  }
  return options;
}

// Who may make the file may make the table.
Answer run_on_table(Session& session, const Verb& verb) {
  Table table = session.db->default_table();
  if (!session.arguments.table.empty()) {
    const TableMode mode = verb.access == Access::write_or_create ? TableMode::open_or_create : TableMode::open;
    table = co_await check(session.db->table(session.arguments.table, {}, mode));
  }
  session.table = &table;
  co_return co_await verb.run(session);
}

// A value or a page that the verb held is dropped with its frame, before the partition is closed.
Answer run_opened(Session& session, const Verb& verb) {
  if (verb.access == Access::none) co_return co_await verb.run(session);
  const Options options = options_for(verb, session.arguments);
  Partition db = co_await check(Partition::open(session.core, options));
  session.db = &db;
  Result<Exit> answer = co_await run_on_table(session, verb);
  const Status closed = co_await db.close();
  if (answer && !closed) co_return closed.error();
  co_return answer;
}

// Warnings of the library ("raise ulimit -l") are for those who operate a service: a single get is none. -v shows them,
// CAMBIUM_LOG decides where it is set, and doctor tells them all.
void set_up_log(const Arguments& arguments) noexcept {
  if (arguments.verbose != 0) {
    rt::set_log_level(arguments.verbose == 1 ? rt::LogLevel::info : rt::LogLevel::debug);
  } else if (arguments.quiet || std::getenv("CAMBIUM_LOG") == nullptr) {
    rt::set_log_level(rt::LogLevel::error);
  }
}

Result<Exit> run_verb(const Verb& verb, const Arguments& arguments, Output& output) {
  Result<std::unique_ptr<Core>> core = Core::create();
  if (!core) return core.error();
  Session session = {.core = **core, .arguments = arguments, .output = output};
  return (*core)->run(run_opened(session, verb));
}

int run(int argc, const char* const* argv) {
  Arguments arguments;
  if (const std::optional<int> ended = parse_arguments(argc, argv, arguments); ended) return *ended;
  set_up_log(arguments);
  install_signal_handlers();

  Output output(1);
  Result<Exit> answer = run_verb(find_verb(arguments), arguments, output);
  output.flush();
  if (answer && !output.status()) answer = Result<Exit>(output.status().error());
  if (answer) return static_cast<int>(*answer);
  print_error(arguments, answer.error());
  return static_cast<int>(exit_of(answer.error().code()));
}

}  // namespace
}  // namespace cambium::cli

int main(int argc, char** argv) {
  try {
    return cambium::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\n  in:  cambium\n  why: the system refused memory\n  try: a smaller --memory\n",
               stderr);
    return static_cast<int>(cambium::cli::Exit::resource);
  }
}
