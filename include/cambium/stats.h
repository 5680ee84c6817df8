// SPDX-License-Identifier: MIT OR Apache-2.0
// Stats: what a partition has done and holds; one table of descriptions drives text, JSON and documentation.
//
// Units      as each name says; counters since open unless described as a gauge.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <cambium/rt/export.h>

namespace cambium {

struct Stats {
  // operations
  std::uint64_t gets = 0;
  std::uint64_t get_misses = 0;  // gets that had to wait for a page
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t scans = 0;
  std::uint64_t write_stalls = 0;  // writes that waited for buffer space
  // write buffers
  std::uint64_t buffer_range_skips = 0;  // lookups that the key-range filter answered
  std::uint64_t buffer_bytes = 0;
  std::uint64_t buffer_entries = 0;
  // flushes and commits
  std::uint64_t flushes = 0;
  std::uint64_t commits = 0;
  std::uint64_t generation = 0;
  std::uint64_t node_pages_written = 0;
  std::uint64_t overflow_pages_written = 0;
  std::uint64_t flush_writes = 0;   // device writes that took those pages
  std::uint64_t flush_ns = 0;       // time spent in flushes
  std::uint64_t flush_sync_ns = 0;  // of it, waiting for the device to sync
  // cache
  std::uint64_t cache_pages = 0;
  std::uint64_t cache_pages_pinned = 0;
  std::uint64_t page_reads = 0;
  std::uint64_t page_evictions = 0;
  std::uint64_t prefetches = 0;
  std::uint64_t prefetch_hits = 0;
  std::uint64_t key_index_hits = 0;   // gets that needed no branch of the tree
  std::uint64_t row_cache_bytes = 0;  // lent to rows of level stores by idle write buffers
  std::uint64_t row_cache_hits = 0;   // gets that found their row there
  std::uint64_t overflow_reads = 0;   // values read from extents
  // space, in pages of 4 KiB
  std::uint64_t file_pages = 0;
  std::uint64_t used_pages = 0;
  std::uint64_t held_pages = 0;  // freed, but still visible to a snapshot or reader
  std::uint64_t free_pages = 0;
  std::uint64_t entries = 0;  // in the tables; what is still in buffers is not counted
  std::uint64_t snapshots = 0;
  // write-ahead log
  std::uint64_t wal_groups = 0;             // writes of it
  std::uint64_t wal_bytes = 0;              // written to it, headers and padding included
  std::uint64_t wal_syncs = 0;              // of the device, for it alone
  std::uint64_t wal_waits = 0;              // waits for durability that suspended
  std::uint64_t wal_bytes_used = 0;         // what a crash now would have open() read
  std::uint64_t wal_segments = 0;           // in the file, used or free
  std::uint64_t recovery_ns_predicted = 0;  // how long open() would read, at 200 MB/s
  std::uint64_t recovery_ns = 0;            // how long this open() did
  std::uint64_t recovery_records = 0;       // that it found: a batch is one
  // level stores
  std::uint64_t filter_checks = 0;             // sstables whose filter a lookup asked
  std::uint64_t filter_negatives = 0;          // of these, reads of the sstable that were avoided
  std::uint64_t filter_false_positives = 0;    // sstables that were read and did not have the key
  std::uint64_t learned_lookups = 0;           // of sstables, through their learned index
  std::uint64_t learned_fallbacks = 0;         // of these, that went on through the branches
  std::uint64_t compactions = 0;               // merges that were finished
  std::uint64_t compaction_slices = 0;         // parts of merges that were built
  std::uint64_t compaction_pages_written = 0;  // by them
  std::uint64_t compaction_entries = 0;        // that they read
  std::uint64_t compaction_ns = 0;             // time spent in them
  // background scrub
  std::uint64_t scrub_pages = 0;    // read and verified
  std::uint64_t scrub_damaged = 0;  // damaged places found; one that stays is counted in every round
  std::uint64_t scrub_rounds = 0;   // passes over everything
  // device and loop
  std::uint64_t device_reads = 0;
  std::uint64_t device_reads_fixed = 0;  // through a registered buffer
  std::uint64_t device_writes = 0;
  std::uint64_t device_writes_fixed = 0;
  std::uint64_t device_syncs = 0;
  std::uint64_t device_bytes_read = 0;
  std::uint64_t device_bytes_written = 0;
  std::uint64_t loop_stalls = 0;  // tasks that held the loop for more than 0.5 ms
};

enum class StatType : std::uint8_t { counter, gauge };

struct StatDescription {
  std::string_view name;
  StatType type;
  std::string_view unit;
  std::string_view help;
  std::uint64_t Stats::* field;
};

// Every field of Stats, in order.
CAMBIUM_EXPORT std::span<const StatDescription> describe_stats() noexcept;

}  // namespace cambium
