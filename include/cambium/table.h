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
#include <string_view>
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
  // Likewise. Of the entries in pages, not of long values. A build may be without the libraries: Errc::unsupported,
  // then, here and for whoever opens the file with such a build.
  Compression compression = Compression::none;
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
  std::uint64_t entries = 0;                 // TableStats::entries says what that means in a level store
  std::uint64_t pages = 0;                   // of 4 KiB, those of long values included
  std::uint64_t bytes = 0;                   // the same as bytes
  TableIndex index = TableIndex::automatic;  // as it was made
  Compression compression = Compression::none;
};

// How the background compaction of a level store stands. The policy is chosen anew after every 20,000 operations, by
// how many of them were reads; a change is logged. It is not stored: every open begins with the one for writes, and a
// partition that is open read-only shows that.
struct TableCompaction {
  unsigned flush_runs = 0;  // so many runs of level 0 are merged
  unsigned tier_runs = 0;   // so many of a level between are merged into the one below; 1: leveled compaction
  std::string_view reason;  // for this policy, in words
  bool merging = false;     // a merge has begun, and is not finished
  std::string failure;      // what made it stop, or wait; empty: nothing

  // Since the partition was opened.
  std::uint64_t merges = 0;         // that were finished
  std::uint64_t slices = 0;         // parts of merges that were built
  std::uint64_t entries_read = 0;   // by them
  std::uint64_t bytes_written = 0;  // pages that they wrote: sstables, filters, rows of the manifest
  std::uint64_t ns = 0;             // spent in them
};

// What a table holds, likewise, and what was done with it since the partition was opened.
struct TableStats {
  // Of a level store: the entries of all sstables. A key that is in several of them counts in each until a compaction
  // merges them, and so do tombstones, and entries that a compaction under way has taken already. 0 while `loaded` is
  // false.
  std::uint64_t entries = 0;
  std::uint64_t pages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t gets = 0;
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t scans = 0;
  std::uint64_t bytes_put = 0;      // keys and values of writes and sorted loads; of deletes the keys
  std::uint64_t bytes_flushed = 0;  // pages written for it by flushes and sorted loads, long values included
  unsigned height = 0;              // of a tree: pages on the way to an entry

  // ---- of a table of kind `levels`; 0 in others ----
  bool loaded = true;  // false: nobody has looked into it since open(); Partition::table_levels() does
  std::uint64_t sstables = 0;
  std::uint64_t runs = 0;
  std::uint64_t levels = 0;            // that have a run
  std::uint64_t tombstones = 0;        // part of `entries`
  std::uint64_t content_bytes = 0;     // keys and values of `entries`
  std::uint64_t node_bytes = 0;        // of its sstables, long values left out
  std::uint64_t unpacked_bytes = 0;    // what these would be without compression
  std::uint64_t lookups = 0;           // gets that no write buffer answered; twice in a multi_get that had to wait
  std::uint64_t sstable_searches = 0;  // by them: the key was in the range, and the filter did not exclude it
  std::uint64_t filter_checks = 0;     // sstables whose filter they asked
  std::uint64_t filter_negatives = 0;  // of these, searches that it made unnecessary
  std::uint64_t filter_false_positives = 0;  // sstables that were searched, and did not have the key
  TableCompaction compaction;

  // The three figures by which such stores are compared; 0 where there is nothing to tell.

  // Bytes written for the table by flushes and compaction, per byte put into it, both since the partition was opened.
  // What is still buffered has been put, and is not written yet; writes recovered from a log are only written. Neither
  // the log nor the partition's own pages are in it.
  double write_amplification() const noexcept { return ratio(bytes_flushed + compaction.bytes_written, bytes_put); }
  // Level store: sstables searched per get, of the gets that no write buffer answered. Tree: pages on the way, cached
  // or not.
  double read_amplification() const noexcept { return lookups != 0 ? ratio(sstable_searches, lookups) : height; }
  // Level store: bytes of its pages per byte of content. What compaction has not dropped yet counts as content: the
  // figure is exact when all is one run. Trees do not count their content.
  double space_amplification() const noexcept { return ratio(bytes, content_bytes); }
  // Level store: how many times smaller its pages of nodes are than they would be without compression, long values
  // left out; 1 where nothing is compressed.
  double compression_ratio() const noexcept { return node_bytes == 0 ? 1 : ratio(unpacked_bytes, node_bytes); }

 private:
  static double ratio(std::uint64_t of, std::uint64_t per) noexcept {
    return per == 0 ? 0 : static_cast<double>(of) / static_cast<double>(per);
  }
};

}  // namespace cambium
