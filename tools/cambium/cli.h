// SPDX-License-Identifier: MIT OR Apache-2.0
// What the verbs of the command line share: exit codes, the open partition, how errors and answers are printed.
//
// Data goes to standard output, everything else to standard error. With --json an answer is one object that carries
// "schema", or JSON lines for streams, and an error is {"schema":1,"error":{"code","message","hint","exit"}}.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include <cambium/partition.h>
#include <cambium/rt/core.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "cambium/arguments.h"
#include "cambium/output.h"

namespace cambium::cli {

inline constexpr int kJsonSchema = 1;  // raised when a field goes or changes its meaning

// The contract with whoever calls us; printed by `cambium --help`.
enum class Exit : int {
  ok = 0,
  not_found = 1,
  usage = 2,
  corruption = 3,
  busy = 4,
  unsupported = 5,
  no_space = 6,
  resource = 7,
  io = 8,
  interrupted = 130,
};
Exit exit_of(Errc code) noexcept;

// One run of one verb.
struct Session {
  Core& core;
  const Arguments& arguments;
  Output& output;
  Partition* db = nullptr;       // open, where the verb asks for it; closed by the caller
  const Table* table = nullptr;  // likewise: the one that --table names

  bool plain() const noexcept { return !arguments.json; }
};
using Answer = Task<Result<Exit>>;

enum class Access : std::uint8_t { none, read, write, write_or_create, create };  // of the file, and of --table

struct Verb {
  std::string_view name;
  Access access;
  std::uint64_t memory_bytes;  // unless --memory says otherwise
  Answer (*run)(Session& session);
};
const Verb& find_verb(const Arguments& arguments) noexcept;

// The answer of a verb: one line of text, or the object with "schema" and "verb" in front.
void print_object(Session& session, const nlohmann::ordered_json& fields);
// Something for people, on standard error, unless --quiet. Ends with a newline of its own.
void note(const Arguments& arguments, std::string_view text);
void print_error(const Arguments& arguments, const Error& error);

}  // namespace cambium::cli
