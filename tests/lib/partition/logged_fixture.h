// SPDX-License-Identifier: MIT OR Apache-2.0
// A partition with a log, on a simulated disk, and what is needed to find and damage that log in the file.
#pragma once

#include <catch2/catch.hpp>

#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "format/superblock.h"
#include "format/wal_group.h"
#include "lib/partition/partition_fixture.h"

namespace cambium::test {

inline constexpr const char* kLoggedFile = "data.cambium";
inline constexpr std::int64_t kSecondNs = 1'000'000'000;

inline std::string logged_key(int i) { return "key " + std::to_string(100'000 + i); }
inline Task<void> sleep_for(Core& core, std::int64_t ns) { co_await core.sleep_ns(ns); }

class Logged {
 public:
  explicit Logged(WalMode mode = WalMode::sync, std::uint64_t seed = 1)
      : core(disk.make_core({.seed = seed, .eager = true})) {
    options.path = kLoggedFile;
    options.memory_bytes = 2 * MiB;
    options.wal = mode;
    options.wal_bytes_max = 256 * KiB;
    open();
  }
  ~Logged() {
    if (db) core->run(close_partition(*db)).value();
    db.reset();
    while (!core->idle()) core->run(sleep_for(*core, kSecondNs));
  }
  void open() { db.emplace(core->run(open_partition(*core, options)).value()); }
  void put(int i, std::size_t bytes = 300) {
    core->run(apply_put(*db, logged_key(i), std::string(bytes, 'v'))).value();
  }
  // As a killed process leaves it, not a closed one: the log is not clean.
  void kill() {
    db.reset();
    core->drain();
  }
  std::string bytes() const { return disk.peek(kLoggedFile, 0, static_cast<std::size_t>(disk.file_size(kLoggedFile))); }
  format::Superblock superblock() const {
    const std::string file = bytes();
    format::Superblock newest{};
    for (std::uint64_t page = 0; page < format::kSuperblockPages; ++page) {
      format::Superblock copy;
      std::memcpy(static_cast<void*>(&copy), file.data() + page * kPageBytes, sizeof copy);
      if (copy.page.generation >= newest.page.generation) newest = copy;
    }
    return newest;
  }
  // File offset of the group that brings this write.
  std::uint64_t group_of(std::uint64_t sequence) const {
    const format::Superblock record = superblock();
    const std::string file = bytes();
    for (std::uint32_t s = 0; s < record.wal_segment_count; ++s) {
      for (std::uint32_t page = 1; page < record.wal_segment_pages; ++page) {
        const std::uint64_t offset = (record.wal_segments[s] + std::uint64_t{page}) * kPageBytes;
        format::WalGroupHeader header;
        std::memcpy(static_cast<void*>(&header), file.data() + offset, sizeof header);
        const bool brings =
            header.log_id == record.wal_log_id && header.first_sequence <= sequence && header.last_sequence >= sequence;
        if (brings && header.first_sequence != 0) return offset;
      }
    }
    FAIL("write " << sequence << " is in no group");
    return 0;
  }

  // Damages the group that brings this write; again: mends it.
  void flip_write(std::uint64_t sequence) { disk.flip_bit(kLoggedFile, group_of(sequence) + 80, 4); }

  SimDisk disk;
  std::unique_ptr<Core> core;
  Options options;
  std::optional<Partition> db;
};

}  // namespace cambium::test
