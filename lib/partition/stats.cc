// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/stats.h>

#include "partition/partition_state.h"

namespace cambium {

namespace {

constexpr StatType kCounter = StatType::counter;
constexpr StatType kGauge = StatType::gauge;

constexpr StatDescription kDescriptions[] = {
    {"gets", kCounter, "operations", "point reads", &Stats::gets},
    {"get_misses", kCounter, "operations", "point reads that waited for a page", &Stats::get_misses},
    {"puts", kCounter, "operations", "writes", &Stats::puts},
    {"deletes", kCounter, "operations", "deletions", &Stats::deletes},
    {"scans", kCounter, "operations", "scans opened", &Stats::scans},
    {"write_stalls", kCounter, "operations", "writes that waited for buffer space", &Stats::write_stalls},
    {"buffer_range_skips", kCounter, "lookups", "buffer lookups that the key-range filter answered",
     &Stats::buffer_range_skips},
    {"buffer_bytes", kGauge, "bytes", "in write buffers, active and frozen", &Stats::buffer_bytes},
    {"buffer_entries", kGauge, "entries", "in write buffers, all versions", &Stats::buffer_entries},
    {"flushes", kCounter, "buffers", "write buffers merged into tables", &Stats::flushes},
    {"commits", kCounter, "commits", "superblocks made durable", &Stats::commits},
    {"generation", kGauge, "generation", "number of the newest commit", &Stats::generation},
    {"node_pages_written", kCounter, "pages", "tree nodes written", &Stats::node_pages_written},
    {"overflow_pages_written", kCounter, "pages", "pages of long values written", &Stats::overflow_pages_written},
    {"flush_writes", kCounter, "writes", "device writes that took those pages", &Stats::flush_writes},
    {"flush_ns", kCounter, "ns", "time spent in flushes", &Stats::flush_ns},
    {"flush_sync_ns", kCounter, "ns", "of it, waiting for the device to sync", &Stats::flush_sync_ns},
    {"cache_pages", kGauge, "pages", "frames of the page cache", &Stats::cache_pages},
    {"cache_pages_pinned", kGauge, "pages", "frames that cannot be evicted now", &Stats::cache_pages_pinned},
    {"page_reads", kCounter, "pages", "pages read into the cache", &Stats::page_reads},
    {"page_evictions", kCounter, "pages", "pages evicted from the cache", &Stats::page_evictions},
    {"prefetches", kCounter, "pages", "pages read ahead", &Stats::prefetches},
    {"prefetch_hits", kCounter, "pages", "of these, pages that were then used", &Stats::prefetch_hits},
    {"key_index_hits", kCounter, "operations", "point reads that needed no branch of the tree", &Stats::key_index_hits},
    {"row_cache_bytes", kGauge, "bytes", "of idle write buffers, lent to rows of level stores",
     &Stats::row_cache_bytes},
    {"row_cache_hits", kCounter, "operations", "point reads that found their row there", &Stats::row_cache_hits},
    {"overflow_reads", kCounter, "values", "long values read from their extents", &Stats::overflow_reads},
    {"file_pages", kGauge, "pages", "length of the file", &Stats::file_pages},
    {"used_pages", kGauge, "pages", "in use by the newest version", &Stats::used_pages},
    {"held_pages", kGauge, "pages", "freed, still visible to a snapshot, a reader or the fallback superblock",
     &Stats::held_pages},
    {"free_pages", kGauge, "pages", "ready to be reused", &Stats::free_pages},
    {"entries", kGauge, "entries", "in the tables; buffered writes are not counted", &Stats::entries},
    {"snapshots", kGauge, "snapshots", "held now", &Stats::snapshots},
    {"wal_groups", kCounter, "writes", "groups of records written to the log", &Stats::wal_groups},
    {"wal_bytes", kCounter, "bytes", "written to the log, headers and padding included", &Stats::wal_bytes},
    {"wal_syncs", kCounter, "requests", "syncs of the device for the log alone", &Stats::wal_syncs},
    {"wal_waits", kCounter, "operations", "waits for durability that suspended", &Stats::wal_waits},
    {"wal_bytes_used", kGauge, "bytes", "of the log, that open() would read after a crash", &Stats::wal_bytes_used},
    {"wal_segments", kGauge, "segments", "of the log, used or free", &Stats::wal_segments},
    {"recovery_ns_predicted", kGauge, "ns", "how long open() would read the log, at 200 MB/s",
     &Stats::recovery_ns_predicted},
    {"recovery_ns", kGauge, "ns", "how long the last open() took to recover from the log", &Stats::recovery_ns},
    {"recovery_records", kGauge, "records", "recovered from the log by the last open()", &Stats::recovery_records},
    {"filter_checks", kCounter, "sstables", "whose filter a lookup asked", &Stats::filter_checks},
    {"filter_negatives", kCounter, "sstables", "that need not be read, as their filter said", &Stats::filter_negatives},
    {"filter_false_positives", kCounter, "sstables", "that were read and did not have the key",
     &Stats::filter_false_positives},
    {"learned_lookups", kCounter, "sstables", "that a lookup asked through their learned index",
     &Stats::learned_lookups},
    {"learned_fallbacks", kCounter, "sstables", "of these, whose branches had to decide", &Stats::learned_fallbacks},
    {"compactions", kCounter, "merges", "of sstables that were finished", &Stats::compactions},
    {"compaction_slices", kCounter, "slices", "of such merges that were built", &Stats::compaction_slices},
    {"compaction_pages_written", kCounter, "pages", "written by compactions", &Stats::compaction_pages_written},
    {"compaction_entries", kCounter, "entries", "read by compactions", &Stats::compaction_entries},
    {"compaction_ns", kCounter, "ns", "spent in compactions", &Stats::compaction_ns},
    {"scrub_pages", kCounter, "pages", "read and verified in the background", &Stats::scrub_pages},
    {"scrub_damaged", kCounter, "places", "found damaged by it, in each round anew", &Stats::scrub_damaged},
    {"scrub_rounds", kCounter, "rounds", "passes over everything", &Stats::scrub_rounds},
    {"device_reads", kCounter, "requests", "reads given to the device", &Stats::device_reads},
    {"device_reads_fixed", kCounter, "requests", "of these, through a registered buffer", &Stats::device_reads_fixed},
    {"device_writes", kCounter, "requests", "writes given to the device", &Stats::device_writes},
    {"device_writes_fixed", kCounter, "requests", "of these, through a registered buffer", &Stats::device_writes_fixed},
    {"device_syncs", kCounter, "requests", "syncs given to the device", &Stats::device_syncs},
    {"device_bytes_read", kCounter, "bytes", "read from the device", &Stats::device_bytes_read},
    {"device_bytes_written", kCounter, "bytes", "written to the device", &Stats::device_bytes_written},
    {"loop_stalls", kCounter, "tasks", "tasks that held the loop for more than 0.5 ms", &Stats::loop_stalls},
};
static_assert(sizeof(Stats) == std::size(kDescriptions) * sizeof(std::uint64_t), "every field is described");

}  // namespace

std::span<const StatDescription> describe_stats() noexcept { return kDescriptions; }

Stats PartitionState::stats() const {
  Stats s;
  const TableCounts of_tables = tables.counts();
  s.gets = of_tables.gets;
  s.get_misses = counts.get_misses;
  s.puts = of_tables.puts;
  s.deletes = of_tables.deletes;
  s.scans = of_tables.scans;
  s.write_stalls = counts.write_stalls;
  s.overflow_reads = counts.overflow_reads;
  s.key_index_hits = key_index->hits();
  s.row_cache_bytes = row_cache->bytes_lent();
  s.row_cache_hits = row_cache->stats().hits;
  s.buffer_range_skips = buffers->range_skips();
  s.buffer_bytes = buffers->bytes_used();
  s.buffer_entries = buffers->entries();
  s.flushes = flusher->stats().flushes;
  s.flush_ns = flusher->stats().ns;
  s.commits = committer->stats().commits;
  s.flush_sync_ns = committer->stats().sync_ns;
  s.generation = raw(committer->newest());
  s.node_pages_written = publisher->stats().pages;
  s.overflow_pages_written = publisher->stats().overflow_pages;
  s.flush_writes = publisher->stats().writes;
  s.cache_pages = cache->frames();
  s.cache_pages_pinned = cache->pinned();
  s.page_reads = cache->stats().reads;
  s.page_evictions = cache->stats().evictions;
  s.prefetches = cache->stats().prefetches;
  s.prefetch_hits = cache->stats().prefetch_hits;
  s.file_pages = space->file_pages();
  s.used_pages = space->used_pages();
  s.held_pages = space->held_pages();
  s.free_pages = space->free_pages();
  for (const auto& [name, table] : tables.by_name()) s.entries += table->entries();
  s.snapshots = snapshots.count();
  if (log->writer() != nullptr) {
    const WalStats& wal = log->writer()->stats();
    s.wal_groups = wal.groups;
    s.wal_bytes = wal.device_bytes;
    s.wal_syncs = wal.syncs;
    s.wal_waits = wal.waits;
    s.wal_bytes_used = log->writer()->bytes_used();
  } else if (options.read_only) {
    s.wal_bytes_used = recovery_bytes;
  }
  s.recovery_ns_predicted = s.wal_bytes_used * 1'000'000'000 / kReplayBytesPerSecond;
  s.wal_segments = log->segment_count();
  s.recovery_ns = recovery_ns;
  s.recovery_records = recovery_records;
  s.filter_checks = levels->stats().filter_checks;
  s.filter_negatives = levels->stats().filter_negatives;
  s.filter_false_positives = levels->stats().filter_false_positives;
  s.learned_lookups = levels->stats().learned_lookups;
  s.learned_fallbacks = levels->stats().learned_fallbacks;
  if (keeper) {
    s.compactions = keeper->stats().compactions;
    s.compaction_slices = keeper->stats().slices;
    s.compaction_pages_written = keeper->stats().pages_written;
    s.compaction_entries = keeper->stats().entries;
    s.compaction_ns = keeper->stats().ns;
  }
  if (scrubber) {
    s.scrub_pages = scrubber->stats().pages;
    s.scrub_damaged = scrubber->stats().damaged;
    s.scrub_rounds = scrubber->stats().rounds;
  }
  const CoreStats loop = core.stats();
  s.device_reads = loop.reads;
  s.device_reads_fixed = loop.reads_fixed;
  s.device_writes = loop.writes;
  s.device_writes_fixed = loop.writes_fixed;
  s.device_syncs = loop.syncs;
  s.device_bytes_read = loop.bytes_read;
  s.device_bytes_written = loop.bytes_written;
  s.loop_stalls = loop.stalls;
  return s;
}

}  // namespace cambium
