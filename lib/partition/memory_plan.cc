// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/memory_plan.h"

#include <algorithm>
#include <bit>

#include "base/text.h"
#include "flush/buffer_set.h"
#include "flush/partition_log.h"
#include "format/superblock.h"
#include "tree/key_index.h"

namespace cambium {

std::uint64_t MemoryPlan::arena_bytes() const noexcept {
  return cache_frames * kPageBytes + wal_group_bytes * wal_groups + staging_bytes * staging_buffers +
         compaction_bytes() + stream_piece_bytes * stream_pieces + space_pages * kPageBytes +
         format::kSuperblockPages * kPageBytes;
}

namespace {

// Segments of 4 MiB; less where the log or the memory is small, more where the list of a superblock would be too short.
Status plan_log(const Options& options, MemoryPlan& plan) {
  constexpr std::uint64_t kSegmentBytesMin = 64 * KiB;
  constexpr std::uint64_t kLeast = PartitionLog::kSegmentsMin * kSegmentBytesMin;
  constexpr std::uint64_t kBuffersInLog =
      4;  // three that are written or flushed, and what of the log is about to be reused
  std::uint64_t bytes = options.wal_bytes_max;
  if (bytes == 0) bytes = std::clamp(kBuffersInLog * plan.buffer_bytes, 64 * MiB, 1 * GiB);
  if (bytes < kLeast) {
    return Error(Errc::invalid_argument,
                 rt::str("wal_bytes_max is ", options.wal_bytes_max, ", the least is ", kLeast));
  }
  if (options.recovery_ms_max != 0) {
    bytes = std::min(bytes, std::max(options.recovery_ms_max * (kReplayBytesPerSecond / 1000), kLeast));
  }
  std::uint64_t segment = std::clamp(std::bit_floor(std::min(bytes / 4, options.memory_bytes / 16)), kSegmentBytesMin,
                                     std::uint64_t{4} * MiB);
  constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{format::kWalSegmentPagesMax} * kPageBytes;
  while (bytes / segment > format::kWalSegmentsMax && segment < kSegmentBytesMax) segment *= 2;
  plan.wal_segment_bytes = segment;
  plan.wal_segments_max = std::min<std::uint64_t>(bytes / segment, format::kWalSegmentsMax);
  if (options.wal == WalMode::none || options.read_only) return {};
  plan.wal_groups = options.memory_bytes < 8 * MiB ? WalStaging::kCountMin : 4;
  plan.wal_group_bytes = std::clamp(std::bit_floor(options.memory_bytes / 256), 8 * KiB, 256 * KiB);
  return {};
}

}  // namespace

Result<MemoryPlan> MemoryPlan::of(const Options& options) {
  const std::uint64_t memory = options.memory_bytes;
  if (memory < kMemoryBytesMin) {
    return Error(Errc::invalid_argument, rt::str("memory_bytes is ", memory, ", the least is ", kMemoryBytesMin));
  }
  MemoryPlan plan{};
  plan.buffer_bytes =
      options.write_buffer_bytes != 0 ? options.write_buffer_bytes : std::clamp(memory / 8, 64 * KiB, 256 * MiB);
  if (plan.buffer_bytes > WriteBuffer::kCapacityBytesMax) {
    return Error(Errc::invalid_argument, rt::str("write_buffer_bytes is ", plan.buffer_bytes, ", the most is ",
                                                 std::uint64_t{WriteBuffer::kCapacityBytesMax}));
  }
  plan.buffer_bytes = std::max<std::uint64_t>(plan.buffer_bytes, WriteBuffer::kCapacityBytesMin);
  plan.staging_buffers = memory < 8 * MiB ? 4 : (memory < 64 * MiB ? 6 : 8);
  plan.compaction_buffers[0] = memory < 64 * MiB ? 2 : 4;
  plan.staging_bytes = std::clamp(std::bit_floor(memory / 64), 16 * KiB, 256 * KiB);
  plan.stream_piece_bytes = std::clamp(std::bit_floor(memory / 1024), 8 * KiB, 128 * KiB);
  plan.stream_pieces = memory < 2 * MiB ? 0 : (memory < 16 * MiB ? 12 : 64);
  plan.space_pages = memory < 8 * MiB ? 4 : 16;
  plan.key_index_bytes = std::max<std::uint64_t>(memory / 32, KeyIndex::kBytesMin);

  const Status log = plan_log(options, plan);
  if (!log) return log.error();

  const std::uint64_t buffers = BufferSet::kBuffersMax * plan.buffer_bytes + plan.buffer_bytes / 4;
  const std::uint64_t fixed = buffers + plan.wal_group_bytes * plan.wal_groups +
                              plan.staging_bytes * plan.staging_buffers + plan.compaction_bytes() +
                              (plan.space_pages + 4) * kPageBytes + plan.key_index_bytes;
  std::uint64_t left = memory > fixed ? memory - fixed : 0;
  // What long scans read through, a second merge and the index of rows make way for sizes that were asked for.
  const std::uint64_t spare = left > options.cache_bytes ? left - options.cache_bytes : 0;
  plan.stream_pieces = std::min(plan.stream_pieces, spare / 2 / plan.stream_piece_bytes);
  plan.row_index_bytes = std::min(memory / 48, spare / 4);
  // In less memory one merge takes all pieces of the streams.
  if (memory >= 16 * MiB && spare / 8 >= 2 * plan.staging_bytes) plan.compaction_buffers[1] = 2;
  left -= plan.stream_pieces * plan.stream_piece_bytes + plan.row_index_bytes +
          plan.compaction_buffers[1] * plan.staging_bytes;
  const std::uint64_t cache = options.cache_bytes != 0 ? options.cache_bytes : left - left / 32;
  if (cache > left || fixed < plan.buffer_bytes) {  // the latter: absurd sizes wrap round
    return Error(Errc::invalid_argument,
                 rt::str("memory_bytes = ", memory, " cannot hold write buffers of ", plan.buffer_bytes,
                         " and a cache of ", cache, " bytes"),
                 "raise memory_bytes or lower write_buffer_bytes or cache_bytes");
  }
  plan.cache_frames = std::min<std::uint64_t>(cache / kPageBytes, kFilePagesMax);
  if (plan.cache_frames < 8) {
    return Error(
        Errc::invalid_argument,
        rt::str("memory_bytes = ", memory, " leaves ", plan.cache_frames, " pages of cache; at least 8 are needed"),
        "raise memory_bytes or lower write_buffer_bytes");
  }
  return plan;
}

}  // namespace cambium
