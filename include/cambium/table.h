// SPDX-License-Identifier: MIT OR Apache-2.0
// Table: the handle of one key space of a partition; what there is to say and to ask about tables.
//
//   Table events = co_await check(db.table("events"));
//   co_await check(db.put(events, "2024-06-01", "rain"));
//   co_await check(db.write(WriteBatch().put(events, "k", "v").del("in the default table")));
//
// Every partition has the table "default", which is the one that is meant where none is named. A table without entries
// costs a row of some 50 bytes in the file and some 400 bytes of memory: there may be tens of thousands of them.
//
// Names are 1 to 255 bytes of UTF-8, without '/', control characters, or anything that is not UTF-8.
//
// Lifetime   a handle is a value, and may outlive everything. It means the table that it was made for, whatever its
// name
//            is by now. Once that is dropped every operation with it answers not_found and changes nothing; no other
//            table ever gets its number. A handle is good for the partition it came from, and says nothing to another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <cambium/ids.h>

namespace cambium {

// What is to happen when the table is there already, or is not.
enum class TableMode : std::uint8_t {
  open_or_create,
  open,    // Errc::not_found when there is none of this name
  create,  // Errc::exists when there is one
};

struct TableOptions {
  // Of a new table; one that is there keeps its own.
  TableKind kind = TableKind::tree;
  TableIndex index = TableIndex::automatic;  // only of kind levels; Errc::invalid_argument otherwise
};

class Table {
 public:
  Table(TableId id, TableKind kind, std::shared_ptr<const std::string> name) noexcept
      : id_(id), kind_(kind), name_(std::move(name)) {}

  TableId id() const noexcept { return id_; }
  TableKind kind() const noexcept { return kind_; }
  const std::string& name() const noexcept { return *name_; }  // as of when the handle was made

  friend bool operator==(const Table& a, const Table& b) noexcept { return a.id_ == b.id_; }

 private:
  TableId id_;
  TableKind kind_;
  std::shared_ptr<const std::string> name_;
};

// A table as Partition::tables() lists it. Writes that are still in buffers are not counted.
struct TableInfo {
  Table table;
  std::uint64_t entries = 0;
  std::uint64_t pages = 0;                   // of 4 KiB, those of long values included
  std::uint64_t bytes = 0;                   // the same as bytes
  TableIndex index = TableIndex::automatic;  // as it was made
};

// What a table holds, likewise, and what was done with it since the partition was opened.
struct TableStats {
  std::uint64_t entries = 0;
  std::uint64_t pages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t gets = 0;
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t scans = 0;
};

}  // namespace cambium
