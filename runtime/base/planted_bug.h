// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Planted bugs: mistakes that storage engines really make, built in on purpose, to see whether the tests notice.
//
// Only a build configured with -Dplanted_bugs=true has them, and it cannot be installed. There, the environment
// variable CAMBIUM_PLANTED_BUG names the one that is active; without it everything is right. In every other build
// CAMBIUM_PLANTED(name) is the constant false and leaves no code behind. tests/planted/run plants them one by one.
//
// A new bug is one row here, and CAMBIUM_PLANTED(name) in the file that the row names. The third column says which
// tests should kill it, the quickest first: commit, space, log, levelcuts (power cuts in workloads of each), levels,
// model, errors, reads, crowd, lost, damage; see HUNTERS in tests/planted/run. They are tried in that order, the others
// after them.
//
// Errors     a name that is not in the table aborts the process: a run that plants nothing proves nothing.
#pragma once

#include <cstdint>

// clang-format off: a table reads as a table
//  BUG(name, where, hunters, story)
#define CAMBIUM_PLANTED_BUG_TABLE(BUG) \
  /* the commit protocol */ \
  BUG(superblock_before_data, "lib/flush/committer.cc", "commit", "the superblock is written without a sync of what it refers to") \
  BUG(second_sync_missing, "lib/flush/committer.cc", "commit", "a commit is acknowledged before its superblock is durable") \
  BUG(sync_before_completion, "lib/cache/page_writer.cc", "commit", "the sync is submitted while page writes are in flight") \
  BUG(newest_slot_overwritten, "lib/flush/committer.cc", "commit", "the superblock goes over the newest version, not the older one") \
  BUG(generation_stands_still, "lib/flush/committer.cc", "commit model", "a commit has the generation of the one before it") \
  BUG(older_superblock_chosen, "lib/space/superblock_store.cc", "commit", "open takes the older of two superblocks") \
  BUG(superblock_copy_missing, "lib/space/superblock_store.cc", "damage commit", "only the first copy of a superblock is written") \
  BUG(sync_failure_forgotten, "lib/flush/committer.cc", "errors", "a failed sync is told once, then writing goes on") \
  BUG(sync_retried, "lib/flush/committer.cc", "errors", "a failed sync is tried again, and the second answer believed") \
  /* the device */ \
  BUG(sync_error_ignored, "runtime/rt/file_block_device.cc", "errors", "the errno of a sync is not looked at") \
  BUG(write_error_ignored, "runtime/rt/file_block_device.cc", "errors", "the errno of a write is not looked at") \
  BUG(short_write_accepted, "runtime/rt/file_block_device.cc", "errors model", "the rest of a short write is not sent") \
  BUG(short_read_accepted, "runtime/rt/file_block_device.cc", "errors model", "the rest of a short read is not asked for") \
  /* space */ \
  BUG(page_freed_under_snapshot, "lib/space/generations.cc", "model", "a freed page comes free though an older snapshot sees it") \
  BUG(page_reused_in_commit, "lib/space/space_map.cc", "commit model", "a page freed by a commit is written again by the same commit") \
  BUG(fallback_released_at_once, "lib/space/space_map.cc", "commit", "pages of the commit before are free at once, not one commit later") \
  BUG(bitmap_not_written, "lib/space/space_map.cc", "commit model", "a bitmap that changed is not written") \
  BUG(bitmap_slot_reused, "lib/space/space_map.cc", "commit", "a bitmap is written over the one that the newest version uses") \
  BUG(abort_keeps_frees, "lib/space/space_map.cc", "errors", "what a failed commit freed stays free") \
  BUG(abort_keeps_allocations, "lib/space/space_map.cc", "errors", "what a failed commit allocated stays in use") \
  BUG(growth_not_made, "lib/space/space_map.cc", "space model", "new pages are handed out before the file is longer") \
  BUG(file_cut_too_early, "lib/partition/compact.cc", "space", "the file is cut before the superblocks say so") \
  BUG(file_cut_under_fallback, "lib/partition/compact.cc", "space", "the file is cut when only the newest superblock says so") \
  /* pages and the cache */ \
  BUG(page_checksum_unverified, "lib/cache/page_reader.cc", "damage", "a page's checksum is read, not computed") \
  BUG(pointer_checksum_unverified, "lib/cache/page_reader.cc", "lost damage", "a page is not compared with its parent's checksum") \
  BUG(value_checksum_unverified, "lib/cache/overflow_value.cc", "damage", "the checksum of a long value is not compared") \
  BUG(pinned_frame_evicted, "lib/cache/page_cache.cc", "model", "a pinned page is evicted") \
  BUG(stale_frame_kept, "lib/cache/page_writer.cc", "model", "the cache keeps the old page when its id is written again") \
  /* tables and buffers */ \
  BUG(tombstone_dropped, "lib/flush/flusher.cc", "model commit", "put and delete in one buffer cancel out, the table's older value returns") \
  BUG(older_buffer_asked_first, "lib/partition/read_path.cc", "reads model", "of two frozen buffers the older one answers") \
  BUG(snapshot_buffer_let_go, "lib/flush/snapshot_state.h", "model", "a snapshot's buffer goes with the first part that is flushed") \
  BUG(snapshot_moved_too_far, "lib/flush/snapshot_state.h", "model", "a commit moves older snapshots to its version too") \
  BUG(fence_entry_skipped, "lib/tree/tree_cursor.cc", "reads model", "a scan skips the entry at a branch boundary") \
  BUG(compaction_keeps_old_root, "lib/partition/compact.cc", "space model", "compaction moves pages, the catalog keeps the old root") \
  BUG(long_value_not_freed, "lib/tree/tree_merge.cc", "model commit", "the extents of an overwritten long value stay in use") \
  BUG(long_value_freed_twice, "lib/tree/tree_merge.cc", "model commit", "the extents of a long value are freed twice") \
  BUG(batch_divided, "lib/partition/write_path.cc", "commit", "a batch is divided between two write buffers") \
  BUG(flush_acknowledged_early, "lib/partition/write_path.cc", "commit", "flush() returns before its buffer is committed") \
  /* level stores */ \
  BUG(runs_oldest_first, "lib/levels/level_version.cc", "levels", "of the runs of a level the oldest answers first") \
  BUG(level_tombstone_dropped, "lib/levels/compaction_picker.cc", "levels", "a merge above the bottom drops tombstones, older values return") \
  BUG(level_tombstone_not_written, "lib/levels/level_edit.cc", "levels", "a flush leaves deletes out") \
  BUG(tombstone_taken_for_value, "lib/levels/level_store.cc", "levels", "a get takes a tombstone for a value") \
  BUG(row_of_another_sstable, "lib/levels/level_store.cc", "levels", "cached rows are known by their keys, not by the sstable they were read from") \
  BUG(flushed_buffer_shadows, "lib/flush/buffer_set.cc", "levels", "a flushed buffer answers though a newer one was flushed after it") \
  BUG(trim_not_written, "lib/levels/sstable.cc", "levels levelcuts", "the manifest does not say that an sstable was trimmed") \
  BUG(trimmed_sstable_freed, "lib/levels/level_edit.cc", "levels", "the pages of an sstable that is only trimmed or moved are freed") \
  BUG(filter_of_another_sstable, "lib/levels/level_store.cc", "levels", "the filter that is asked belongs to another sstable") \
  BUG(sstable_number_reused, "lib/levels/level_store.cc", "levels", "after opening, the numbers of sstables begin anew") \
  BUG(manifest_row_not_written, "lib/levels/level_edit.cc", "levels", "what a merge wrote is in memory, and not in the manifest") \
  BUG(hidden_value_not_freed, "lib/levels/level_cursor.cc", "levels", "the extents of a long value that a merge drops stay in use") \
  BUG(hidden_value_freed_twice, "lib/levels/level_cursor.cc", "levels", "the extents of a long value that a merge drops are freed twice") \
  BUG(overtaken_slice_published, "lib/levels/compaction.cc", "levels", "a slice is published though its sstables were moved meanwhile") \
  BUG(slice_published_unwritten, "lib/levels/compaction.cc", "levelcuts", "a slice is published while its pages are being written") \
  BUG(reserved_pages_not_adopted, "lib/partition/level_keeper.cc", "levels", "the pages of a published slice stay free in the space map") \
  /* the log */ \
  BUG(wal_acknowledged_early, "lib/partition/write_path.cc", "log", "a write is acknowledged before its group of the log is durable") \
  BUG(wal_replay_ignores_sequence, "lib/partition/recovery.cc", "log", "a replay does not know what the tables hold") \
  BUG(wal_tail_not_erased, "lib/partition/recovery.cc", "log", "what lies beyond a torn tail stays there") \
  BUG(wal_start_advanced_early, "lib/flush/partition_log.cc", "log", "segments that the fallback superblock begins in are reused") \
  BUG(wal_segment_reused_early, "lib/flush/partition_log.cc", "log", "segments are reused before the superblock that gave them up is durable") \
  BUG(wal_clean_mark_kept, "lib/flush/partition_log.cc", "log model", "the superblock still says that the log need not be read when it is written")
// clang-format on

namespace cambium::rt {

#define CAMBIUM_BUG_NAME(name, where, hunters, story) name,
enum class PlantedBug : std::uint8_t { CAMBIUM_PLANTED_BUG_TABLE(CAMBIUM_BUG_NAME) none };
#undef CAMBIUM_BUG_NAME

#if defined(CAMBIUM_PLANTED_BUGS) && CAMBIUM_PLANTED_BUGS == 1
// Is this bug the active one?
bool is_planted(PlantedBug bug) noexcept;
#else
constexpr bool is_planted(PlantedBug) noexcept { return false; }
#endif

}  // namespace cambium::rt

#define CAMBIUM_PLANTED(name) (::cambium::rt::is_planted(::cambium::rt::PlantedBug::name))
