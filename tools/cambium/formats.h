// SPDX-License-Identifier: MIT OR Apache-2.0
// The text formats of load and dump: readers take lines, writers append text. Pure: no I/O here.
//
//   tsv        key<TAB>value, escaped (\\ \t \n \r \xHH), or both fields in hexadecimal or base64
//   jsonl      {"k":"..","v":".."}, with "enc":"hex" or "enc":"base64" where the bytes are not UTF-8
//   mdb        the text of mdb_dump and mdb_load (LMDB): header, then key and value lines in hexadecimal
//   mdb-print  the same with printable characters as they are and \hh for the others
//
// Invariants
//   1. What a writer wrote its reader reads back, byte for byte, whatever the bytes are.
//   2. A reader that has failed is not used again.
//
// Errors     invalid_argument for a line that cannot be read, unsupported for a dump we must not load.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <cambium/rt/bytes.h>
#include <cambium/rt/result.h>

#include "cambium/encoding.h"

namespace cambium::cli {

enum class Format : std::uint8_t { automatic, tsv, jsonl, mdb, mdb_print };

struct Record {
  std::string key;
  std::string value;
};

class RecordReader {
 public:
  virtual ~RecordReader() = default;
  // Takes one line without its newline. True: `record` is complete.
  virtual Result<bool> line(std::string_view line, Record& record) = 0;
  // After the last line. Errors: the input ends inside a record or header.
  virtual Status end() const { return {}; }
};

class RecordWriter {
 public:
  virtual ~RecordWriter() = default;
  // `data_bytes` is what a reader should make room for, generously.
  virtual void begin(std::string& /*to*/, std::uint64_t /*data_bytes*/) const {}
  virtual void record(std::string& to, Bytes key, Bytes value) const = 0;
  virtual void end(std::string& /*to*/) const {}
};

std::optional<Format> format_by_name(std::string_view name) noexcept;
std::string_view to_string(Format format) noexcept;
// Format::tsv unless the first line of the input looks like one of the others.
Format format_by_content(std::string_view first_line) noexcept;

// Requires: format is not `automatic`. `encoding` is that of tsv fields; the other formats carry their own.
std::unique_ptr<RecordReader> make_reader(Format format, Encoding encoding);
std::unique_ptr<RecordWriter> make_writer(Format format, Encoding encoding);

}  // namespace cambium::cli
