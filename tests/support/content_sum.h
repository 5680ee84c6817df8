// SPDX-License-Identifier: MIT OR Apache-2.0
// ContentSum: what the tables hold, as one number that does not depend on the order of their entries.
//
// The sum of a 64-bit hash of every (table, key, value): a put or a delete changes it in O(1), so the content of every
// version of a workload costs 16 bytes, and a recovered file is compared with thousands of versions by one scan.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <cambium/partition.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/check.h>
#include <cambium/rt/task.h>

#include "base/hash.h"

namespace cambium::test {

inline std::uint64_t entry_hash(Bytes key, Bytes value) noexcept {
  return rt::hash64(value.data(), value.size(), rt::hash64(key.data(), key.size(), 1));
}

// The same of an entry of a table with this name.
inline std::uint64_t in_table(std::string_view name, std::uint64_t entry) noexcept {
  return name == "default" ? entry : rt::hash64(name.data(), name.size(), entry);
}

struct ContentSum {
  std::uint64_t hash = 0;
  std::uint64_t entries = 0;

  void add(std::uint64_t entry) noexcept {
    hash += entry;
    ++entries;
  }
  void remove(std::uint64_t entry) noexcept {
    hash -= entry;
    --entries;
  }
  friend bool operator==(const ContentSum&, const ContentSum&) = default;
};

// Reads everything of a table, and sees to it that the keys ascend.
inline Task<Status> add_table(Partition& db, const Table& table, ContentSum& sum) {
  std::string last;
  bool first = true;
  Scan scan = db.scan(table);
  for (;;) {
    auto page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) {
      if (!first && !(Bytes(last) < entry.key)) {
        co_return Error(Errc::corruption, "a scan showed keys out of order");
      }
      first = false;
      last = entry.key.view();
      sum.add(in_table(table.name(), entry_hash(entry.key, entry.value)));
    }
  }
  co_return Status();
}

inline Task<Result<ContentSum>> content_of(Partition& db) {
  ContentSum sum;
  for (const TableInfo& info : db.tables()) {
    co_await check(add_table(db, info.table, sum));
  }
  co_return sum;
}

}  // namespace cambium::test
