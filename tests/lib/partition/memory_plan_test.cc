// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/memory_plan.h"

#include <catch2/catch.hpp>

#include <string>

#include <cambium/limits.h>

#include "flush/buffer_set.h"

namespace cambium {
namespace {

// Write buffers with what sorting one takes, the arena, and the cache's own tables.
std::uint64_t total_bytes(const MemoryPlan& plan) {
  return BufferSet::kBuffersMax * plan.buffer_bytes + plan.buffer_bytes / 8 + plan.arena_bytes() +
         plan.cache_frames * kPageBytes / 64;
}

TEST_CASE("memory plan: the parts add up to no more than the budget, and waste little of it, at any size") {
  for (std::uint64_t memory = kMemoryBytesMin; memory <= 64 * GiB; memory += memory / 7 + 13) {
    CAPTURE(memory);
    const MemoryPlan plan = MemoryPlan::of({.memory_bytes = memory}).value();
    CHECK(total_bytes(plan) <= memory);
    CHECK(total_bytes(plan) >= memory * 7 / 8);
    CHECK(plan.cache_frames >= 8);
    CHECK(plan.staging_bytes % kPageBytes == 0);
    CHECK(plan.buffer_bytes >= WriteBuffer::kCapacityBytesMin);
  }
}

TEST_CASE("memory plan: sizes that are given are kept, and stay within the budget") {
  const MemoryPlan plan =
      MemoryPlan::of({.memory_bytes = 64 * MiB, .write_buffer_bytes = 2 * MiB, .cache_bytes = 8 * MiB}).value();
  CHECK(plan.buffer_bytes == 2 * MiB);
  CHECK(plan.cache_frames == 8 * MiB / kPageBytes);
  CHECK(total_bytes(plan) <= 64 * MiB);
}

TEST_CASE("memory plan: too little memory is refused with the figures") {
  const Result<MemoryPlan> plan = MemoryPlan::of({.memory_bytes = kMemoryBytesMin - 1});
  REQUIRE(plan.code() == Errc::invalid_argument);
  const std::string message(plan.error().message());
  CHECK(message.find(std::to_string(kMemoryBytesMin - 1)) != std::string::npos);
  CHECK(message.find(std::to_string(kMemoryBytesMin)) != std::string::npos);
  CHECK(MemoryPlan::of({.memory_bytes = 0}).code() == Errc::invalid_argument);
  CHECK(MemoryPlan::of({.memory_bytes = kMemoryBytesMin}));
}

TEST_CASE("memory plan: write buffers that leave no cache are refused with the figures and a way out") {
  const Result<MemoryPlan> plan = MemoryPlan::of({.memory_bytes = 4 * MiB, .write_buffer_bytes = 2 * MiB});
  REQUIRE(plan.code() == Errc::invalid_argument);
  CHECK(std::string(plan.error().message()).find(std::to_string(4 * MiB)) != std::string::npos);
  CHECK(std::string(plan.error().hint()).find("write_buffer_bytes") != std::string::npos);
}

TEST_CASE("memory plan: write buffers longer than a write buffer can be are refused with both figures") {
  const std::uint64_t most = WriteBuffer::kCapacityBytesMax;
  CHECK(MemoryPlan::of({.memory_bytes = 8 * most, .write_buffer_bytes = most}));
  for (const std::uint64_t bytes : {most + 1, ~std::uint64_t{0}}) {
    const Result<MemoryPlan> plan = MemoryPlan::of({.memory_bytes = 8 * most, .write_buffer_bytes = bytes});
    REQUIRE(plan.code() == Errc::invalid_argument);
    CHECK(std::string(plan.error().message()).find(std::to_string(bytes)) != std::string::npos);
    CHECK(std::string(plan.error().message()).find(std::to_string(most)) != std::string::npos);
  }
}

TEST_CASE("memory plan: given sizes that do not fit the budget together are refused") {
  const Options options =
      GENERATE(Options{.memory_bytes = 1 * MiB, .cache_bytes = 1 * GiB},
               Options{.memory_bytes = 1 * MiB, .write_buffer_bytes = 1 * GiB, .cache_bytes = 64 * KiB},
               Options{.memory_bytes = 8 * MiB, .cache_bytes = 8 * MiB});
  const Result<MemoryPlan> plan = MemoryPlan::of(options);
  REQUIRE(plan.code() == Errc::invalid_argument);
  CHECK(std::string(plan.error().message()).find(std::to_string(options.memory_bytes)) != std::string::npos);
  CHECK(std::string(plan.error().message()).find(std::to_string(options.cache_bytes)) != std::string::npos);
}

TEST_CASE("memory plan: a log has segments that fit it, and as many as a superblock can name", "[S09]") {
  constexpr std::uint64_t kWal[] = {128 * KiB, 256 * KiB, 1 * MiB, 64 * MiB, 1 * GiB, 16 * GiB};
  for (const std::uint64_t wal_bytes : kWal) {
    for (const std::uint64_t memory_bytes : {1 * MiB, 16 * MiB, 1 * GiB}) {
      CAPTURE(wal_bytes, memory_bytes);
      const MemoryPlan plan =
          MemoryPlan::of({.wal = WalMode::sync, .memory_bytes = memory_bytes, .wal_bytes_max = wal_bytes}).value();
      CHECK(plan.wal_segment_bytes >= 64 * KiB);
      CHECK(plan.wal_segment_bytes <= 64 * MiB);
      CHECK(plan.wal_segments_max >= 2);
      CHECK(plan.wal_segments_max <= 96);
      CHECK(plan.wal_segment_bytes * plan.wal_segments_max <= wal_bytes);
      CHECK(plan.wal_group_bytes * plan.wal_groups <= memory_bytes / 32);
    }
  }
  const Options usual{.wal = WalMode::sync};
  CHECK(MemoryPlan::of(usual).value().wal_segment_bytes == 4 * MiB);
  CHECK(MemoryPlan::of(usual).value().wal_segments_max == 32);  // four write buffers
  CHECK(MemoryPlan::of({.wal = WalMode::sync, .memory_bytes = 16 * MiB}).value().wal_bytes() == 64 * MiB);
  CHECK(MemoryPlan::of({}).value().wal_groups == 0);
  CHECK(MemoryPlan::of({.wal_bytes_max = 100 * KiB}).code() == Errc::invalid_argument);
}

TEST_CASE("memory plan: a bound on the time of recovery lowers the cap of the log", "[S09]") {
  const MemoryPlan plan = MemoryPlan::of({.wal = WalMode::sync, .recovery_ms_max = 100}).value();
  CHECK(plan.wal_segment_bytes * plan.wal_segments_max <= 20'000'000);
  const MemoryPlan least = MemoryPlan::of({.wal = WalMode::sync, .recovery_ms_max = 1}).value();
  CHECK(least.wal_segment_bytes * least.wal_segments_max >= 128 * KiB);
}

}  // namespace
}  // namespace cambium
