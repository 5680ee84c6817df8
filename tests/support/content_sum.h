// SPDX-License-Identifier: MIT OR Apache-2.0
// ContentSum: what a table holds, as one number that does not depend on the order of its entries.
//
// The sum of a 64-bit hash of every (key, value): a put or a delete changes it in O(1), so the content of every version
// of a workload costs 16 bytes, and a recovered file is compared with thousands of versions by one scan.
#pragma once

#include <cstdint>

#include <cambium/partition.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/check.h>
#include <cambium/rt/task.h>

#include "base/hash.h"

namespace cambium::test {

inline std::uint64_t entry_hash(Bytes key, Bytes value) noexcept {
  return rt::hash64(value.data(), value.size(), rt::hash64(key.data(), key.size(), 1));
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

// Reads everything, and sees to it that the keys ascend.
inline Task<Result<ContentSum>> content_of(Partition& db) {
  ContentSum sum;
  std::string last;
  Scan scan = db.scan();
  for (;;) {
    auto page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) {
      if (sum.entries != 0 && !(Bytes(last) < entry.key)) {
        co_return Error(Errc::corruption, "a scan showed keys out of order");
      }
      last = entry.key.view();
      sum.add(entry_hash(entry.key, entry.value));
    }
  }
  co_return sum;
}

}  // namespace cambium::test
