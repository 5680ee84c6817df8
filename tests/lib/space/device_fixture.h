// SPDX-License-Identifier: MIT OR Apache-2.0
// A simulated disk with one open file, and the memory that I/O needs, for the tests of space, cache and tree.
#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>

#include <cambium/limits.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/core.h>
#include <cambium/rt/sim.h>
#include <cambium/rt/task.h>

#include "base/assert.h"
#include "rt/buffer_arena.h"

namespace cambium::test {

inline constexpr const char* kFile = "data";
inline constexpr std::uint64_t kFileId = 0x5EED0F11E;

inline Task<Result<std::unique_ptr<BlockDevice>>> open_device(Core& core, bool create) {
  Result<std::unique_ptr<BlockDevice>> opened = co_await FileBlockDevice::open(core, kFile, {.create = create});
  co_return opened;
}
inline Task<Status> resize_device(BlockDevice& device, std::uint64_t bytes) {
  Status status = co_await device.resize(bytes);
  co_return status;
}

class DeviceFixture {
 public:
  explicit DeviceFixture(std::uint64_t pages, const SimOptions& options = {.seed = 1, .eager = true},
                         std::size_t memory_pages = 4096)
      : core_(disk_.make_core(options)) {
    device_ = core_->run(open_device(*core_, true)).value();
    core_->run(resize_device(*device_, pages * kPageBytes)).value();
    arena_ = std::make_unique<rt::BufferArena>(rt::BufferArena::create(*core_, memory_pages * kPageBytes).value());
  }
  DeviceFixture(const DeviceFixture&) = delete;
  DeviceFixture& operator=(const DeviceFixture&) = delete;
  ~DeviceFixture() {
    arena_.reset();
    device_->close();
    device_.reset();
  }

  SimDisk& disk() noexcept { return disk_; }
  Core& core() noexcept { return *core_; }
  BlockDevice& device() noexcept { return *device_; }
  rt::BufferArena& arena() noexcept { return *arena_; }

  // Some pages of the arena, never given back.
  char* memory(std::size_t pages) {
    char* result = arena_->data() + taken_;
    taken_ += pages * kPageBytes;
    CAMBIUM_ASSERT(taken_ <= arena_->size());
    return result;
  }
  template <class T>
  T run(Task<T> task) {
    return core_->run(std::move(task));
  }
  // Lets everything that can happen happen.
  void settle() { core_->drain(); }

 private:
  SimDisk disk_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<BlockDevice> device_;
  std::unique_ptr<rt::BufferArena> arena_;
  std::size_t taken_ = 0;
};

}  // namespace cambium::test
