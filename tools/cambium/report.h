// SPDX-License-Identifier: MIT OR Apache-2.0
// Report: figures as the verbs that describe a file show them: one to a line, or as fields of an object.
//
// Units      as each name says; sizes and times get theirs beside them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include <cambium/table.h>

#include "cambium/cli.h"
#include "cambium/encoding.h"

namespace cambium::cli {

// A figure for people: bytes and pages as sizes, times with their unit.
std::string humane(std::uint64_t value, std::string_view unit);
void line(Session& session, std::string_view name, const std::string& value, std::string_view help = {});

// Everything that there is to say of one table; null where nothing can be told, as the ratios of an unused one.
nlohmann::ordered_json table_object(const Table& table, const TableStats& stats);
// `counters`: also what was done with it since it was opened.
void table_lines(Session& session, const Table& table, const TableStats& stats, bool counters);

// Keys in JSON are text where the bytes allow it and nothing else was asked for; "enc" beside them says what they are.
Encoding json_encoding(Encoding asked, std::string_view a, std::string_view b = {}) noexcept;

// Has a table looked into, if it is a level store, or all of them: their entries are not known without. One that cannot
// be read is a note on standard error.
Task<void> look_into(Session& session, const Table& table);
Task<void> look_into_all(Session& session);

}  // namespace cambium::cli
