// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/formats.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/assert.h"
#include "base/text.h"

namespace cambium::cli {
namespace {

using nlohmann::ordered_json;
using rt::str;

constexpr std::array<std::pair<std::string_view, Format>, 5> kNames = {{{"auto", Format::automatic},
                                                                        {"tsv", Format::tsv},
                                                                        {"jsonl", Format::jsonl},
                                                                        {"mdb", Format::mdb},
                                                                        {"mdb-print", Format::mdb_print}}};

Error bad_line(std::string message, std::string hint) {
  return Error(Errc::invalid_argument, std::move(message), std::move(hint));
}

// ------------------------------------------------------------------------------------------------------------- tsv

class TsvReader final : public RecordReader {
 public:
  explicit TsvReader(Encoding encoding) noexcept : encoding_(encoding) {}

  Result<bool> line(std::string_view line, Record& record) override {
    if (line.empty()) return false;
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) {
      return bad_line(str("no tab between key and value: ", in_quotes(line)), "a line is key<TAB>value; see --format");
    }
    Result<std::string> key = read_field(encoding_, line.substr(0, tab));
    if (!key) return key.error();
    Result<std::string> value = read_field(encoding_, line.substr(tab + 1));
    if (!value) return value.error();
    record = {std::move(*key), std::move(*value)};
    return true;
  }

 private:
  Encoding encoding_;
};

class TsvWriter final : public RecordWriter {
 public:
  explicit TsvWriter(Encoding encoding) noexcept : encoding_(encoding) {}

  void record(std::string& to, Bytes key, Bytes value) const override {
    append_field(to, encoding_, key.view());
    to += '\t';
    append_field(to, encoding_, value.view());
    to += '\n';
  }

 private:
  Encoding encoding_;
};

// ------------------------------------------------------------------------------------------------------ JSON lines

Result<Encoding> encoding_of(const ordered_json& object) {
  const auto field = object.find("enc");
  if (field == object.end()) return Encoding::text;
  for (const Encoding encoding : {Encoding::text, Encoding::hex, Encoding::base64}) {
    if (*field == to_string(encoding)) return encoding;
  }
  // Only a string is shown: dump() of a nested value recurses as deep as the input wants.
  const std::string shown = field->is_string() ? in_quotes(field->get_ref<const std::string&>()) : field->type_name();
  return bad_line(str("unknown \"enc\": ", shown), "\"enc\" is \"hex\", \"base64\" or \"utf8\"");
}

class JsonReader final : public RecordReader {
 public:
  Result<bool> line(std::string_view line, Record& record) override {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return false;
    const ordered_json object = ordered_json::parse(line, nullptr, false);
    if (!object.is_object()) return bad_line(str("not a JSON object: ", in_quotes(line)), "see --format");
    Result<Encoding> encoding = encoding_of(object);
    if (!encoding) return encoding.error();
    for (const auto& [name, to] : {std::pair("k", &record.key), std::pair("v", &record.value)}) {
      const auto field = object.find(name);
      if (field == object.end() || !field->is_string()) {
        return bad_line(str("\"", name, "\" is missing or not a string: ", in_quotes(line)),
                        "a line is {\"k\":\"..\",\"v\":\"..\"}");
      }
      Result<std::string> bytes = decode(*encoding, field->get_ref<const std::string&>());
      if (!bytes) return bytes.error();
      *to = std::move(*bytes);
    }
    return true;
  }
};

class JsonWriter final : public RecordWriter {
 public:
  explicit JsonWriter(Encoding encoding) noexcept : encoding_(encoding) {}

  void record(std::string& to, Bytes key, Bytes value) const override {
    Encoding encoding = encoding_;
    if (encoding == Encoding::text && !(is_utf8(key.view()) && is_utf8(value.view()))) encoding = Encoding::base64;
    ordered_json object = {{"k", encode(encoding, key.view())}, {"v", encode(encoding, value.view())}};
    if (encoding != Encoding::text) object["enc"] = to_string(encoding);
    to += object.dump();
    to += '\n';
  }

 private:
  Encoding encoding_;
};

// ----------------------------------------------------------------------------------------------------------- LMDB

// \hh is a byte, \\ a backslash; everything else stands for itself.
Result<std::string> unprint(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (i + 1 < text.size() && text[i + 1] == '\\') {
      bytes += '\\';
      i += 1;
    } else if (low >= 0) {
      bytes += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      return bad_line(str("a backslash without two hexadecimal digits: ", in_quotes(text.substr(i, 3))),
                      "some mdb_dump -p leave backslashes as they are: dump without -p");
    }
  }
  return bytes;
}

class MdbReader final : public RecordReader {
 public:
  Result<bool> line(std::string_view line, Record& record) override {
    switch (state_) {
      case State::header: {
        if (Status status = header(line); !status) return status.error();
        return false;
      }
      case State::key: {
        if (line == "DATA=END") {
          state_ = State::done;
          return false;
        }
        Result<std::string> key = field(line);
        if (!key) return key.error();
        record.key = std::move(*key);
        state_ = State::value;
        return false;
      }
      case State::value: {
        Result<std::string> value = field(line);
        if (!value) return value.error();
        record.value = std::move(*value);
        state_ = State::key;
        return true;
      }
      case State::done:
        break;
    }
    if (line.empty()) return false;
    return Error(Errc::unsupported, "the dump holds more than one database", "dump one of them: mdb_dump -s NAME");
  }

  Status end() const override {
    if (state_ == State::done) return {};
    return bad_line("the dump ends before DATA=END", "it was cut off: dump it again");
  }

 private:
  enum class State : std::uint8_t { header, key, value, done };

  Status header(std::string_view line) {
    if (line == "HEADER=END") {
      if (!version_seen_) return bad_line("the dump has no VERSION= line", "is it the output of mdb_dump?");
      state_ = State::key;
      return {};
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return bad_line(str("no header line: ", in_quotes(line)), "see --format");
    const std::string_view name = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (name == "VERSION") {
      version_seen_ = true;
      if (value != "3") return Error(Errc::unsupported, str("dump version ", in_quotes(value)), "version 3 is known");
    } else if (name == "format") {
      if (value != "print" && value != "bytevalue") {
        return Error(Errc::unsupported, str("dump format ", in_quotes(value)), "known are print and bytevalue");
      }
      print_ = value == "print";
    } else if ((name == "duplicates" || name == "dupsort") && value == "1") {
      return Error(Errc::unsupported, "the dump holds several values per key", "one value per key is supported");
    }
    return {};
  }

  Result<std::string> field(std::string_view line) const {
    if (line.empty() || line.front() != ' ') {
      return bad_line(str("a data line begins with a blank, this is ", in_quotes(line)), "is the dump cut or edited?");
    }
    return print_ ? unprint(line.substr(1)) : decode(Encoding::hex, line.substr(1));
  }

  State state_ = State::header;
  bool print_ = false;
  bool version_seen_ = false;
};

class MdbWriter final : public RecordWriter {
 public:
  explicit MdbWriter(bool print) noexcept : print_(print) {}

  void begin(std::string& to, std::uint64_t data_bytes) const override {
    // mdb_load takes the map size from here, and fails when it is too small.
    constexpr std::uint64_t kGranule = 16u << 20;
    const std::uint64_t map_bytes = (data_bytes * 4 / kGranule + 2) * kGranule;
    to += str("VERSION=3\nformat=", print_ ? "print" : "bytevalue", "\ntype=btree\nmapsize=", map_bytes,
              "\nmaxreaders=126\nHEADER=END\n");
  }
  void record(std::string& to, Bytes key, Bytes value) const override {
    field(to, key.view());
    field(to, value.view());
  }
  void end(std::string& to) const override { to += "DATA=END\n"; }

 private:
  void field(std::string& to, std::string_view bytes) const {
    to += ' ';
    if (print_) {
      for (const char byte : bytes) {
        if (byte >= ' ' && byte <= '~' && byte != '\\') {
          to += byte;
        } else {
          to += '\\';
          to += rt::hex_bytes(std::string_view(&byte, 1));
        }
      }
    } else {
      to += rt::hex_bytes(bytes);
    }
    to += '\n';
  }

  bool print_;
};

}  // namespace

std::optional<Format> format_by_name(std::string_view name) noexcept {
  for (const auto& [text, format] : kNames) {
    if (text == name) return format;
  }
  return std::nullopt;
}

std::string_view to_string(Format format) noexcept {
  for (const auto& [text, known] : kNames) {
    if (known == format) return text;
  }
  return "unknown";
}

Format format_by_content(std::string_view first_line) noexcept {
  if (first_line.starts_with("VERSION=")) return Format::mdb;
  const std::size_t start = first_line.find_first_not_of(' ');
  // The key of a tsv line may begin with a brace too: the field name decides.
  const bool brace = start != std::string_view::npos && first_line[start] == '{';
  if (brace && first_line.find("\"k\"") != std::string_view::npos) return Format::jsonl;
  return Format::tsv;
}

std::unique_ptr<RecordReader> make_reader(Format format, Encoding encoding) {
  switch (format) {
    case Format::tsv:
      return std::make_unique<TsvReader>(encoding);
    case Format::jsonl:
      return std::make_unique<JsonReader>();
    case Format::mdb:
    case Format::mdb_print:
      return std::make_unique<MdbReader>();  // its header says which of the two
    case Format::automatic:
      break;
  }
  CAMBIUM_UNREACHABLE();
}

std::unique_ptr<RecordWriter> make_writer(Format format, Encoding encoding) {
  switch (format) {
    case Format::tsv:
      return std::make_unique<TsvWriter>(encoding);
    case Format::jsonl:
      return std::make_unique<JsonWriter>(encoding);
    case Format::mdb:
      return std::make_unique<MdbWriter>(false);
    case Format::mdb_print:
      return std::make_unique<MdbWriter>(true);
    case Format::automatic:
      break;
  }
  CAMBIUM_UNREACHABLE();
}

}  // namespace cambium::cli
