// SPDX-License-Identifier: MIT OR Apache-2.0
// Keys whose values change during a run, so that a stale answer is found as surely as a wrong one.
//
// A value begins with its tag (index of the key, version) and goes on with bytes drawn from key and version; an answer
// is checked against what had been written when it was asked for, and what has been written since. One 32-bit word
// per key is kept outside the engines, on every side alike.
//
// Invariants
//   1. A key is written by one client at a time, and by the same one throughout a run.
//   2. A put that had ended before a get began is seen by it, or a newer one.
//
// Threads    VersionTable by all clients at once; VersionedData by one: every client has a copy.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/workload.h"

namespace cambium::bench {

// The newest version of every key, and whether its put is still under way.
class VersionTable {
 public:
  explicit VersionTable(std::uint64_t key_count) : words_(key_count) {}

  void reset() { words_.assign(words_.size(), 0); }
  // Of the one client that writes this key.
  std::uint32_t begin_put(std::uint64_t index) {
    const std::uint32_t version = word(index).load(std::memory_order_relaxed) / 2 + 1;
    word(index).store(version * 2 + 1, std::memory_order_release);
    return version;
  }
  void end_put(std::uint64_t index, std::uint32_t version) {
    word(index).store(version * 2, std::memory_order_release);
  }
  // What a get that begins now may find at the least.
  std::uint32_t floor(std::uint64_t index) {
    const std::uint32_t seen = word(index).load(std::memory_order_acquire);
    return seen / 2 - seen % 2;
  }
  std::uint32_t newest(std::uint64_t index) { return word(index).load(std::memory_order_acquire) / 2; }

 private:
  std::atomic_ref<std::uint32_t> word(std::uint64_t index) { return std::atomic_ref<std::uint32_t>(words_[index]); }

  std::vector<std::uint32_t> words_;  // version * 2, + 1 while it is being put
};

class VersionedData {
 public:
  static constexpr std::size_t kTagBytes = 8;
  static constexpr std::uint32_t kVersionMax = (1u << 24) - 1;

  VersionedData(const Workload& workload, VersionTable& versions);  // requires: values of 16 bytes or more

  std::uint64_t key_count() const { return workload_.key_count(); }
  std::uint64_t entry_bytes() const { return kKeyBytes + workload_.value_bytes(); }
  Key key(std::uint64_t index) const { return workload_.key(index); }
  VersionTable& versions() { return *versions_; }

  // Valid until the next call of value() or check().
  std::string_view value(std::uint64_t index, const Key& key, std::uint32_t version);

  // Ends the program unless `value` is one that `index` had between `floor` and now.
  void check(std::uint64_t index, const Key& key, std::string_view value, std::uint32_t floor);
  // The index in a value's tag; ends the program unless it is that of the key, and every byte is right.
  std::uint64_t check_entry(std::string_view key, std::string_view value, std::uint32_t& version);

  static std::uint64_t index_of(std::string_view value);  // as its tag says, unchecked
  // What a full scan's digest must be when nothing is being written.
  Digest expected_digest();

 private:
  Workload workload_;
  VersionTable* versions_;
  std::string buffer_;
};

}  // namespace cambium::bench
