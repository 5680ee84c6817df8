// SPDX-License-Identifier: MIT OR Apache-2.0
// What people and other programs hand the command line as text: load formats, encodings, options, sizes. It is refused,
// or read; and what was read is written such that it is read back the same.
//
// Input      one byte: what to read it as (see below); the rest is the text
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cambium/options.h>

#include "base/text.h"
#include "cambium/encoding.h"
#include "cambium/formats.h"
#include "fuzz/target.h"

namespace cambium::cli {
namespace {

constexpr Format kFormats[] = {Format::tsv, Format::jsonl, Format::mdb, Format::mdb_print};
constexpr Encoding kEncodings[] = {Encoding::text, Encoding::hex, Encoding::base64};

// Everything up to the first error. False: there was one.
bool read_all(RecordReader& reader, std::string_view text, std::vector<Record>& records) {
  Record record;  // of several lines, in some formats
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const Result<bool> complete = reader.line(text.substr(0, end), record);
    if (!complete) {
      CAMBIUM_FUZZ_REQUIRE(complete.code() == Errc::invalid_argument || complete.code() == Errc::unsupported,
                           "a line is refused with another error");
      CAMBIUM_FUZZ_REQUIRE(!complete.error().message().empty(), "a line is refused without a reason");
      return false;
    }
    if (complete.value()) records.push_back(std::exchange(record, {}));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return reader.end().has_value();
}

void round_trip(const std::vector<Record>& records, Format format, Encoding encoding) {
  const std::unique_ptr<RecordWriter> writer = make_writer(format, encoding);
  std::string text;
  writer->begin(text, 1000);
  for (const Record& record : records) writer->record(text, record.key, record.value);
  writer->end(text);
  std::vector<Record> again;
  const bool whole = read_all(*make_reader(format, encoding), text, again);
  CAMBIUM_FUZZ_REQUIRE(whole && again.size() == records.size(), "what was written cannot be read");
  for (std::size_t i = 0; i < again.size(); ++i) {
    if (again[i].key == records[i].key && again[i].value == records[i].value) continue;
    std::fprintf(stderr, "%s, %s: %s\n", std::string(to_string(format)).c_str(),
                 std::string(to_string(encoding)).c_str(), in_quotes(text).c_str());
    CAMBIUM_FUZZ_REQUIRE(false, "what was written is read differently");
  }
}

void read_records(std::string_view text, Format format, Encoding encoding) {
  std::vector<Record> records;
  read_all(*make_reader(format, encoding), text, records);
  // A record that came out of one format fits into every other.
  for (const Format other : kFormats) {
    for (const Encoding way : kEncodings) round_trip(records, other, way);
  }
}

void encode_bytes(std::string_view bytes) {
  for (const Encoding encoding : kEncodings) {
    const Result<std::string> decoded = decode(encoding, encode(encoding, bytes));
    CAMBIUM_FUZZ_REQUIRE(decoded && decoded.value() == bytes, "decode() is not the reverse of encode()");
    std::string field;
    append_field(field, encoding, bytes);
    const Result<std::string> read = read_field(encoding, field);
    CAMBIUM_FUZZ_REQUIRE(read && read.value() == bytes, "read_field() is not the reverse of append_field()");
  }
  std::string escaped;
  append_escaped(escaped, bytes);
  const Result<std::string> unescaped = unescape(escaped);
  CAMBIUM_FUZZ_REQUIRE(unescaped && unescaped.value() == bytes, "unescape() is not the reverse of append_escaped()");
  for (const std::string& shown : {escaped, in_quotes(bytes)}) {
    CAMBIUM_FUZZ_REQUIRE(is_utf8(shown), "escaped text that is not UTF-8");
    for (const char c : shown) {
      CAMBIUM_FUZZ_REQUIRE(static_cast<unsigned char>(c) >= ' ' && c != '\x7f', "a control character in escaped text");
    }
  }
}

void decode_text(std::string_view text, Encoding encoding) {
  const Result<std::string> decoded = decode(encoding, text);
  if (decoded) encode_bytes(decoded.value());
  const Result<std::string> field = read_field(encoding, text);
  if (field) encode_bytes(field.value());
}

void read_options(std::string_view text) {
  const Result<cambium::Options> read = cambium::Options::parse(text);
  if (!read) return;
  const cambium::Options& options = read.value();
  const std::string shown = options.to_string();
  const Result<cambium::Options> again = cambium::Options::parse(shown);
  CAMBIUM_FUZZ_REQUIRE(again.has_value(), "options are shown in a form that cannot be read");
  const cambium::Options& same = again.value();
  CAMBIUM_FUZZ_REQUIRE(same.path == options.path && same.mode == options.mode && same.read_only == options.read_only &&
                           same.memory_bytes == options.memory_bytes && same.cache_bytes == options.cache_bytes &&
                           same.write_buffer_bytes == options.write_buffer_bytes &&
                           same.direct_io == options.direct_io && same.readahead_pages == options.readahead_pages &&
                           same.lock_wait_ms == options.lock_wait_ms,
                       "options are shown in a form that is read differently");
  CAMBIUM_FUZZ_REQUIRE(same.to_string() == shown, "options are shown in two forms");
}

void read_size(std::string_view text) {
  const std::optional<std::uint64_t> bytes = rt::parse_bytes(text);
  if (!bytes) return;
  const std::optional<std::uint64_t> again = rt::parse_bytes(rt::format_bytes_exact(*bytes));
  CAMBIUM_FUZZ_REQUIRE(again == bytes, "a size is shown in a form that is read differently");
}

}  // namespace
}  // namespace cambium::cli

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cambium::cli;
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned kind = data[0] % 20;
  if (kind < 12) {
    read_records(text, kFormats[kind % 4], kEncodings[kind / 4]);
  } else if (kind < 15) {
    decode_text(text, kEncodings[kind - 12]);
  } else if (kind == 15) {
    encode_bytes(text);
    const std::vector<Record> records{{std::string(text.substr(0, text.size() / 2)), std::string(text)}};
    for (const Format format : kFormats) {
      for (const Encoding encoding : kEncodings) round_trip(records, format, encoding);
    }
  } else if (kind < 18) {
    read_options(text);
  } else if (kind == 18) {
    read_size(text);
  } else {
    static_cast<void>(format_by_name(text));
    read_records(text, format_by_content(text.substr(0, text.find('\n'))), Encoding::text);
  }
  return 0;
}
