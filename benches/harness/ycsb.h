// SPDX-License-Identifier: MIT OR Apache-2.0
// The core workloads of YCSB (Cooper et al., SoCC 2010): their mixes, their request distributions and their rows,
// number for number as the original generates them.
//
//   zipfian     theta 0.99, after Gray et al., SIGMOD 1994, over 10^10 items, scattered by FNV-64 over the records
//   latest      newest record - zipfian over the records there are
//   key         "user" + decimal(FNV-64 of the record's number)
//   row         for each field: length, name, length, 100 bytes; lengths in 4 bytes, big-endian: 1,140 bytes for ten
//
// A field begins with its stamp (0 from the load, else unique to one update) and goes on with bytes drawn from record,
// field and stamp: any mixture of updates is a valid row, anything else ends the program. Updates of one row by two
// clients at once may lose one of them, as in the original; which is the newest is therefore not checked.
//
// Threads    Zipfian and Rows: one per client. InsertCounter: all clients at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "harness/workload.h"

namespace cambium::bench {

std::uint64_t fnv_hash64(std::uint64_t number);  // YCSB's: of the eight bytes, lowest first; without the sign

class Zipfian {
 public:
  explicit Zipfian(std::uint64_t item_count);               // 0 .. item_count - 1, the lowest most often
  Zipfian(std::uint64_t item_count, double zeta_of_items);  // where summing up would take minutes

  std::uint64_t next(Random& random) { return draw(random); }
  // The same over another number of items, which may only grow: the sum goes on where it was.
  std::uint64_t next(Random& random, std::uint64_t item_count);

 private:
  std::uint64_t draw(Random& random) const;
  void grow(std::uint64_t item_count);
  void set_eta();

  std::uint64_t item_count_ = 0;
  double zeta_ = 0;
  double eta_ = 0;
};

// Scattered: the popular records lie anywhere among them.
class ScrambledZipfian {
 public:
  ScrambledZipfian();
  std::uint64_t next(Random& random, std::uint64_t record_count) {
    return fnv_hash64(zipfian_.next(random)) % record_count;
  }

 private:
  Zipfian zipfian_;
};

// Numbers of new records, and the last one up to which every insert has ended.
class InsertCounter {
 public:
  explicit InsertCounter(std::uint64_t record_count) : next_(record_count), limit_(record_count) {}
  std::uint64_t take();
  void acknowledge(std::uint64_t number);
  // Reads may ask for 0 .. last().
  std::uint64_t last() const { return limit_.load(std::memory_order_acquire) - 1; }

 private:
  std::mutex mutex_;
  std::uint64_t next_;
  std::atomic<std::uint64_t> limit_;  // all below have been acknowledged
  std::vector<std::uint64_t> ahead_;  // acknowledged, but not all before them
};

enum class Requests : std::uint8_t { zipfian, latest };

struct Mix {
  char letter;
  double reads;
  double updates;
  double inserts;
  double scans;
  double read_modify_writes;
  Requests requests;
};
const Mix& ycsb_mix(char letter);  // requires: A to F
inline constexpr std::uint32_t kScanLengthMax = 100;

class Rows {
 public:
  Rows(unsigned field_count, std::size_t field_bytes, std::uint64_t seed);  // requires: fields of 16 bytes or more

  std::size_t row_bytes() const { return fields_.size() * (kHeaderBytes + field_bytes_); }
  unsigned field_count() const { return static_cast<unsigned>(fields_.size()); }

  static void make_key(std::uint64_t number, std::string& key);
  void make(std::uint64_t number, std::uint64_t stamp, std::string& row);
  void set_field(std::uint64_t number, unsigned field, std::uint64_t stamp, std::string& row);
  void check(std::uint64_t number, std::string_view row);  // ends the program unless every field is valid

 private:
  static constexpr std::size_t kHeaderBytes = 4 + 6 + 4;
  void fill(std::uint64_t number, unsigned field, std::uint64_t stamp);  // content_
  std::size_t offset_of(unsigned field) const { return field * (kHeaderBytes + field_bytes_); }

  std::vector<std::string> fields_;  // what stands before the bytes of each field
  std::size_t field_bytes_;
  std::uint64_t seed_;
  std::vector<std::uint64_t> content_;
};

}  // namespace cambium::bench
