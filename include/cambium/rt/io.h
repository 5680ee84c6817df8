// SPDX-License-Identifier: MIT OR Apache-2.0
// IoRequest: one I/O on its way through a backend. Its address is what the kernel carries as user data.
//
// Invariants
//   1. Request and buffer belong to the backend from submit() until complete() is called, exactly once.
//   2. complete() runs on the core's loop, and may submit again.
//
// Units      bytes; offset, bytes and data are aligned to the device's alignment for direct I/O.
// Errors     result is the number of bytes moved, or -errno.
#pragma once

#include <cstdint>

namespace cambium::rt {

enum class IoKind : std::uint8_t {
  read,
  write,
  sync,    // fdatasync: covers exactly the writes completed before it was submitted
  resize,  // the file becomes `offset` bytes long; growing allocates the space (ENOSPC now, not later)
  punch,   // `bytes_long` bytes at `offset` are given back to the file system; they read as zeros
};

struct IoRequest {
  IoKind kind = IoKind::read;
  bool durable = false;            // write: complete only when on stable storage (RWF_DSYNC)
  bool gather = false;             // nobody waits for it yet: goes with what the turn brings, neighbours as one
  std::int32_t file = -1;          // the backend's handle
  std::int32_t buffer_index = -1;  // registered buffer that `data` lies in, or -1
  std::int32_t result = 0;
  std::uint32_t bytes = 0;  // at most 1 GiB
  std::uint64_t offset = 0;
  std::uint64_t bytes_long = 0;  // punch only
  char* data = nullptr;
  void (*complete)(IoRequest&) noexcept = nullptr;
  IoRequest* next = nullptr;  // the backend's own queues
};

}  // namespace cambium::rt
