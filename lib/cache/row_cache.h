// SPDX-License-Identifier: MIT OR Apache-2.0
// RowCache: single rows that were read from sstables, in memory that its owner does not need for a while.
//
// A page is a poor unit for popular rows that lie scattered: 4 KiB are kept for the sake of a hundred bytes. While
// write buffers stand idle, their memory keeps the rows instead that reads had to wait for.
//
// A row is known by where it was read from and by its key. Sstables never change, so a row is never out of date; those
// of an sstable that is gone are not asked for any more, and make way. What is kept is decided as by a clock (Corbato,
// 1968), a segment at a time: the oldest one loses all rows that were not found since it was filled.
//
// Invariants
//   1. A slot of the index means a row only as long as the segment has the number that it had when the row was written.
//   2. What is found was compared with its source and its whole key.
//
// Units      bytes.
// Errors     none: what does not fit, or finds no memory, is not kept.
// Lifetime   bytes found are good until the next insert() or withdraw(); memory lent until it is withdrawn.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <cambium/rt/bytes.h>

#include "base/huge_array.h"
#include "base/wide.h"
#include "format/node_page.h"

namespace cambium {

class RowCache {
 public:
  // Numbers for sources: never the same twice.
  using Source = std::uint64_t;
  // Whoever may have memory to lend: asked whenever rows would have to make way for a new one.
  struct Lender {
    void (*ask)(void* context) noexcept = nullptr;
    void* context = nullptr;
  };
  struct Found {
    bool here = false;
    format::EntryKind kind{};
    Bytes value;
  };
  struct Stats {
    std::uint64_t hits = 0;
    std::uint64_t inserts = 0;
  };

  // `index_bytes`: 8 for each row.
  explicit RowCache(std::size_t index_bytes)
      : index_(rt::HugeArray<std::uint64_t>::zeroed(std::max(index_bytes / kLineBytes, std::size_t{1}) * kLineSlots)),
        by_serial_(kSerials) {}

  void set_lender(Lender lender) noexcept { lender_ = lender; }
  // Requires: 16-byte aligned.
  void lend(char* memory, std::size_t bytes);
  // What was lent of these bytes, if anything; the rows in it are forgotten.
  void withdraw(const char* memory, std::size_t bytes) noexcept;

  Source next_source() noexcept { return ++last_source_; }
  // `hash`: rt::hash64() of the key, which whoever asks a filter has at hand.
  Found find(Source source, std::uint64_t hash, Bytes key) noexcept;
  // Requires: the row is not there. Its bytes are copied.
  void insert(Source source, std::uint64_t hash, Bytes key, format::EntryKind kind, Bytes value);

  std::size_t segments() const noexcept { return segments_.size(); }
  bool empty() const noexcept { return stats_.inserts == 0; }
  std::uint64_t bytes_lent() const noexcept { return bytes_lent_; }
  const Stats& stats() const noexcept { return stats_; }

 private:
  struct Row;
  struct Segment {
    char* data;
    std::uint32_t bytes;
    std::uint32_t used = 0;
    std::uint32_t serial = 0;  // 0: never filled
  };
  static constexpr std::size_t kLineBytes = 64;
  static constexpr std::size_t kLineSlots = kLineBytes / sizeof(std::uint64_t);
  static constexpr std::size_t kSegmentBytesMin = std::size_t{64} << 10;
  static constexpr std::size_t kSegmentsPerLoan = 256;
  static constexpr std::size_t kSerials = 4096;  // more than there are segments
  static constexpr std::size_t kRoomTries = 4;

  std::uint64_t* line_of(std::uint64_t hash) noexcept;
  Row* row_of(std::uint64_t slot) const noexcept;  // nullptr: its segment has moved on
  bool make_room(std::size_t bytes);
  void number(Segment& segment) noexcept;
  void recycle(Segment& segment) noexcept;
  void forget(Segment& segment) noexcept;
  void place(std::uint64_t hash, const Segment& segment, std::size_t offset) noexcept;

  Lender lender_;
  rt::HugeArray<std::uint64_t> index_;
  std::vector<std::unique_ptr<Segment>> segments_;
  std::deque<Segment*> order_;       // as they are filled, the one being filled last
  std::vector<Segment*> by_serial_;  // at its number, modulo kSerials
  std::uint32_t last_serial_ = 0;
  Source last_source_ = 0;
  std::uint64_t bytes_lent_ = 0;
  Stats stats_;
};

}  // namespace cambium
