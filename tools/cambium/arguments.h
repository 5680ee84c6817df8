// SPDX-License-Identifier: MIT OR Apache-2.0
// Arguments: what the command line said, checked and decoded. The only header main needs to know of CLI parsing.
//
// Errors     usage errors are printed here, with "did you mean", and end the program with exit code 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cambium/encoding.h"
#include "cambium/formats.h"

namespace cambium::cli {

struct Arguments {
  std::string verb;
  std::string file;

  // table
  std::string action;
  std::string name;
  std::string new_name;
  std::string kind = "tree";
  std::string index = "auto";
  std::string compression = "none";

  // whatever reads or writes entries
  std::string table;  // empty: the default table

  // common
  bool json = false;
  bool quiet = false;
  bool no_color = false;
  unsigned verbose = 0;
  Encoding encoding = Encoding::text;
  std::uint64_t memory_bytes = 0;  // 0: what suits the verb

  // put, get, del
  std::string key;
  std::optional<std::string> value;  // none: standard input
  bool raw = false;

  // scan, dump
  std::optional<std::string> from;
  std::optional<std::string> to;
  std::optional<std::string> prefix;
  std::uint64_t limit = 0;  // 0: none
  bool reverse = false;
  bool keys_only = false;

  // whatever writes
  std::string wal = "none";

  // load, dump, batch
  std::string input = "-";
  Format format = Format::automatic;
  bool sorted = false;

  // sstable
  std::uint64_t id = 0;

  // salvage
  std::string output_file;

  // stress
  std::uint64_t seed = 1;
  std::uint64_t ops = 100'000;
  std::uint64_t keys = 10'000;
  std::uint64_t flush_every = 100;
  int ack_fd = -1;
  bool verify = false;
  std::string ack_file;

  // bench
  std::uint64_t records = 500'000;
  std::uint64_t value_bytes = 100;
  bool keep = false;

  // doctor
  std::string directory = ".";
};

// Fills `arguments`; or answers with the exit code where the program ends here (help, version, usage error).
std::optional<int> parse_arguments(int argc, const char* const* argv, Arguments& arguments);

}  // namespace cambium::cli
