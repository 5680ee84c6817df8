// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/version.h>

#include "base/text.h"
#include "cambium/cli.h"
#include "cambium/help.h"

namespace cambium::cli {
namespace {

using rt::str;

// Options that are bytes are kept as text until --hex or --base64 is known.
struct Raw {
  std::string from;
  std::string to;
  std::string prefix;
  std::string value;
  std::string format = "auto";
  bool hex = false;
  bool base64 = false;
  bool utf8 = false;
};

struct Options {
  Arguments& to;
  Raw& raw;
};

void add_size(CLI::App& app, const std::string& name, std::uint64_t& to, const std::string& help) {
  const auto convert = [&to, name](const std::string& text) {
    const std::optional<std::uint64_t> bytes = rt::parse_bytes(text);
    if (!bytes) throw CLI::ValidationError(name, str(in_quotes(text), " is not a size; write it like 64MiB"));
    to = *bytes;
  };
  app.add_option_function<std::string>(name, convert, help)->type_name("SIZE");
}

void add_common(CLI::App& app, const Options& options) {
  Arguments& to = options.to;
  app.add_flag("--json", to.json, "one JSON object, or JSON lines for streams; errors too")->group("Common");
  app.add_flag("-q,--quiet", to.quiet, "no progress, no notes")->group("Common");
  app.add_flag("-v,--verbose", to.verbose, "log more; twice: debug")->group("Common");
  app.add_flag("--no-color", to.no_color, "plain error messages; so does the environment variable NO_COLOR")
      ->group("Common");
  add_size(app, "--memory", to.memory_bytes, "hard budget for cache and buffers, like 64MiB");
  app.get_option("--memory")->group("Common");
}

void add_encoding(CLI::App& app, const Options& options) {
  CLI::Option* const hex = app.add_flag("--hex", options.raw.hex, "keys and values in hexadecimal");
  CLI::Option* const base64 = app.add_flag("--base64", options.raw.base64, "keys and values in base64");
  app.add_flag("--utf8", options.raw.utf8, "keys and values as text (the default)")->excludes(hex)->excludes(base64);
  hex->excludes(base64);
}

void add_file(CLI::App& app, const Options& options) {
  app.add_option("file", options.to.file, "the partition: a file or block device")->required()->type_name("");
}

void add_key(CLI::App& app, const Options& options) {
  app.add_option("key", options.to.key, "the key; after -- it may begin with a dash")->required()->type_name("");
}

void add_input(CLI::App& app, const Options& options, const std::string& help) {
  app.add_option("input", options.to.input, help)->type_name("");
}

void add_range(CLI::App& app, const Options& options) {
  CLI::Option* const from = app.add_option("--from", options.raw.from, "first key, included");
  CLI::Option* const to = app.add_option("--to", options.raw.to, "last key, excluded");
  app.add_option("--prefix", options.raw.prefix, "only keys that begin with this")->excludes(from)->excludes(to);
  app.add_option("--limit", options.to.limit, "at most so many entries");
}

void add_format(CLI::App& app, const Options& options, const std::string& names) {
  app.add_option("--format", options.raw.format, names)->type_name("NAME");
}

void add_wal(CLI::App& app, const Options& options) {
  app.add_option("--wal", options.to.wal, "the log: none, batched or sync")
      ->check(CLI::IsMember({"none", "batched", "sync"}))
      ->capture_default_str();
}

CLI::Option& add_table(CLI::App& app, const Options& options, const std::string& help) {
  return *app.add_option("--table", options.to.table, help)->type_name("NAME");
}

// create, list, drop, rename: each a command of its own below `table`.
void add_table_actions(CLI::App& app, const Options& options) {
  Arguments& to = options.to;
  app.require_subcommand(1);
  const auto add = [&](const std::string& action, const std::string& help) -> CLI::App& {
    CLI::App& sub = *app.add_subcommand(action, help);
    sub.callback([&to, action] { to.action = action; });
    add_file(sub, options);
    if (action != "list") sub.add_option("name", to.name, "the table")->required()->type_name("");
    return sub;
  };
  CLI::App& create = add("create", "makes an empty table");
  create.add_option("--kind", to.kind, "tree or levels")
      ->check(CLI::IsMember({"tree", "levels"}))
      ->capture_default_str();
  create.add_option("--index", to.index, "of a table of kind levels: auto, plain or learned")
      ->check(CLI::IsMember({"auto", "plain", "learned"}))
      ->capture_default_str();
  create.add_option("--compression", to.compression, "of a table of kind levels: none, lz4 or zstd")
      ->check(CLI::IsMember({"none", "lz4", "zstd"}))
      ->capture_default_str();
  CLI::App& list = add("list", "prints the tables, by name");
  CLI::App& drop = add("drop", "removes a table with all that is in it");
  CLI::App& rename = add("rename", "gives a table another name");
  rename.add_option("new-name", to.new_name, "its name from now on")->required()->type_name("");
  for (CLI::App* const sub : {&create, &list, &drop, &rename}) add_common(*sub, options);
}

void add_stress(CLI::App& app, const Options& options) {
  Arguments& to = options.to;
  app.add_option("--seed", to.seed, "the stream of writes follows from it")->capture_default_str();
  app.add_option("--ops", to.ops, "length of the stream")->capture_default_str();
  app.add_option("--keys", to.keys, "how many different keys")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--flush-every", to.flush_every, "writes between two flushes, or waits for a batched log")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--ack-fd", to.ack_fd, "descriptor for `sequence key crc32c` lines of durable writes");
  CLI::Option* const file = app.add_option("--ack-file", to.ack_file, "what --ack-fd wrote, for --verify");
  app.add_flag("--verify", to.verify, "check that every acknowledged write is there")->needs(file);
}

void add_verb(CLI::App& parent, std::string_view verb, const Options& options) {
  CLI::App& app = *parent.add_subcommand(std::string(verb), std::string(verb_summary(verb)));
  Arguments& to = options.to;
  if (verb == "table") {
    add_table_actions(app, options);
    return;
  }
  if (verb != "doctor") add_file(app, options);
  if (verb == "put" || verb == "get" || verb == "del") {
    add_key(app, options);
    if (verb == "put") {
      app.add_option("value", options.raw.value, "the value; without it, standard input is")->type_name("");
    }
    if (verb == "get") app.add_flag("--raw", to.raw, "the bytes of the value, and no newline after them");
    add_encoding(app, options);
  } else if (verb == "scan" || verb == "dump") {
    add_range(app, options);
    add_encoding(app, options);
    if (verb == "scan") {
      app.add_flag("--reverse", to.reverse, "from the last key down");
      app.add_flag("--keys", to.keys_only, "keys only");
    } else {
      add_format(app, options, "tsv (default), jsonl, mdb, mdb-print");
    }
  } else if (verb == "load") {
    add_input(app, options, "a file; - or nothing: standard input");
    add_format(app, options, "auto (default: by content), tsv, jsonl, mdb");
    app.add_flag("--sorted", to.sorted, "the input ascends by key and the partition is empty: bulk load");
    add_encoding(app, options);
  } else if (verb == "levels" || verb == "sstable") {
    add_encoding(app, options);
    if (verb == "sstable") {
      app.add_option("--id", to.id, "which one, as cambium levels lists them")->required();
      app.add_flag("--keys", to.keys_only, "all of its keys, not only the first and the last");
    }
  } else if (verb == "salvage") {
    app.add_option("into", to.output_file, "the new partition, which must not be there yet")->required()->type_name("");
  } else if (verb == "batch") {
    add_input(app, options, "a file of operations; - or nothing: standard input");
    add_encoding(app, options);
  } else if (verb == "stress") {
    add_stress(app, options);
  } else if (verb == "bench") {
    app.add_option("--records", to.records, "how many")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--value-bytes", to.value_bytes, "size of each value")->capture_default_str();
    app.add_flag("--keep", to.keep, "leave the file there");
  } else if (verb == "doctor") {
    app.add_option("directory", to.directory, "where the data is to live")->capture_default_str()->type_name("");
  }
  constexpr std::string_view kOfOneTable[] = {"put", "get", "del", "scan", "load", "dump", "batch", "stat", "stress"};
  if (std::find(std::begin(kOfOneTable), std::end(kOfOneTable), verb) != std::end(kOfOneTable)) {
    add_table(app, options, "the table; without it, the one called default");
  } else if (verb == "levels") {
    add_table(app, options, "the table; without it, all of kind levels");
  } else if (verb == "sstable") {
    add_table(app, options, "the table, which is of kind levels").required();
  }
  constexpr std::string_view kWriters[] = {"create", "put", "del", "load", "batch", "stress"};
  if (std::find(std::begin(kWriters), std::end(kWriters), verb) != std::end(kWriters)) add_wal(app, options);
  add_common(app, options);
}

// --------------------------------------------------------------------------------------------------- usage errors

std::string suggestion(std::string_view word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const std::optional<std::string_view> match = rt::closest_match(word, candidates);
  return match ? str("did you mean ", *match, "?") : std::string();
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> verb_names() {
  std::vector<std::string> names;
  for (const std::string_view verb : all_verbs()) names.emplace_back(verb);
  return names;
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error, std::string_view first) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (chosen.empty()) {
    if (first.empty()) return Error(Errc::invalid_argument, "no command was given", "cambium --help");
    const bool option = first.starts_with('-');
    std::string hint = suggestion(first, option ? option_names(app) : verb_names());
    return Error(Errc::invalid_argument, str("no such ", option ? "option: " : "command: ", in_quotes(first)),
                 hint.empty() ? "cambium --help" : hint);
  }
  const CLI::App& verb = *chosen.front();
  const std::string help = str("cambium ", verb.get_name(), " --help");
  for (const std::string& word : app.remaining(true)) {
    if (!word.starts_with('-')) continue;
    std::string hint = suggestion(word.substr(0, word.find('=')), option_names(verb));
    return Error(Errc::invalid_argument, str("no such option: ", in_quotes(word)), hint.empty() ? help : hint);
  }
  return Error(Errc::invalid_argument, error.what(), help);
}

// The common flags may come before the verb; the first other word is what was meant as one.
std::string_view first_word(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--memory") {
      ++i;
    } else if (word != "--json" && word != "-q" && word != "--quiet" && word != "-v" && word != "--verbose" &&
               word != "--no-color" && !word.starts_with("--memory=")) {
      return word;
    }
  }
  return {};
}

// -------------------------------------------------------------------------------------------------------- decoding

Status decode_into(const CLI::App& verb, const char* name, const std::string& text, Encoding encoding,
                   std::optional<std::string>& to) {
  const CLI::Option* const option = verb.get_option_no_throw(name);
  if (option == nullptr || option->count() == 0) return {};
  Result<std::string> bytes = decode(encoding, text);
  if (!bytes) return bytes.error().within(name);
  to = std::move(*bytes);
  return {};
}

Status decode_bytes(const CLI::App& verb, const Raw& raw, Arguments& arguments) {
  arguments.encoding = raw.hex ? Encoding::hex : (raw.base64 ? Encoding::base64 : Encoding::text);
  const Encoding encoding = arguments.encoding;
  Result<std::string> key = decode(encoding, arguments.key);
  if (!key) return key.error().within("key");
  arguments.key = std::move(*key);
  if (Status status = decode_into(verb, "value", raw.value, encoding, arguments.value); !status) return status;
  if (Status status = decode_into(verb, "--from", raw.from, encoding, arguments.from); !status) return status;
  if (Status status = decode_into(verb, "--to", raw.to, encoding, arguments.to); !status) return status;
  if (Status status = decode_into(verb, "--prefix", raw.prefix, encoding, arguments.prefix); !status) return status;

  const std::optional<Format> format = format_by_name(raw.format);
  if (!format) {
    return Error(Errc::invalid_argument, str("no such format: ", in_quotes(raw.format)),
                 suggestion(raw.format, {"auto", "tsv", "jsonl", "mdb", "mdb-print"}));
  }
  arguments.format = *format;
  return {};
}

int fail(const Arguments& arguments, const Error& error) {
  print_error(arguments, error);
  return static_cast<int>(Exit::usage);
}

int help(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const std::string_view verb = chosen.empty() ? std::string_view() : std::string_view(chosen.front()->get_name());
  std::printf("%s%s%s", examples_of(verb).c_str(), app.help().c_str(), notes_of(verb).c_str());
  return static_cast<int>(Exit::ok);
}

}  // namespace

std::optional<int> parse_arguments(int argc, const char* const* argv, Arguments& arguments) {
  Raw raw;
  const Options options = {.to = arguments, .raw = raw};
  CLI::App app(std::string(verb_summary({})), "cambium");
  app.require_subcommand(1);
  app.set_version_flag("--version", str("cambium ", version()));
  app.get_formatter()->column_width(26);
  add_common(app, options);
  for (const std::string_view verb : all_verbs()) add_verb(app, verb, options);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return help(app);
  } catch (const CLI::CallForVersion& version) {
    std::printf("%s\n", version.what());
    return static_cast<int>(Exit::ok);
  } catch (const CLI::ParseError& error) {
    for (int i = 1; i < argc; ++i) arguments.json |= std::string_view(argv[i]) == "--json";
    const Error usage = usage_error(app, error, first_word(argc, argv));
    if (!app.get_subcommands().empty()) arguments.verb = app.get_subcommands().front()->get_name();
    return fail(arguments, usage);
  }
  const CLI::App& verb = *app.get_subcommands().front();
  arguments.verb = verb.get_name();
  if (Status status = decode_bytes(verb, raw, arguments); !status) return fail(arguments, status.error());
  return std::nullopt;
}

}  // namespace cambium::cli
