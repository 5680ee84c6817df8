// SPDX-License-Identifier: MIT OR Apache-2.0
// BlockDevice: a run of bytes that one core reads and writes: a file, a raw device, or a simulated disk.
//
// Transfers complete at full length or fail: short transfers are continued, EINTR and EAGAIN are retried a bounded
// number of times, and 0 bytes where data was expected is an error.
//
// Invariants
//   1. A sync covers exactly the writes that completed before it was submitted.
//   2. The buffer of a transfer belongs to the device until its completion.
//
// Units      bytes, aligned to alignment().
// Errors     Errc::io, no_space, with offset, length and errno in the text.
// Suspends   every awaitable.
// Lifetime   closed before its core; nothing in flight when it is destroyed (asserted).
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>

#include <cambium/rt/contract.h>
#include <cambium/rt/core.h>
#include <cambium/rt/export.h>
#include <cambium/rt/io.h>
#include <cambium/rt/op.h>
#include <cambium/rt/result.h>

namespace cambium {

class BlockDevice;

// One transfer with its retries. Embed it, fill `io`, and submit it; `done` sees 0 or a negative errno, and `io` as
// it was filled.
struct DeviceRequest {
  rt::IoRequest io;
  void (*done)(DeviceRequest&) noexcept = nullptr;
  BlockDevice* device = nullptr;  // set by submit()
  std::int32_t error = 0;         // 0, or -errno, when done() is called
  std::uint32_t moved = 0;        // bytes so far, over all attempts
  std::uint32_t attempts = 0;     // EINTR, EAGAIN and transfers without progress so far
  bool ended = false;             // the error is the end of the device, not a failure of it
};

class CAMBIUM_EXPORT BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  virtual std::uint64_t size_bytes() const noexcept = 0;
  virtual unsigned alignment() const noexcept = 0;  // of memory, offset and length
  virtual bool direct() const noexcept = 0;         // bypasses the page cache
  virtual bool resizable() const noexcept = 0;      // files are; block devices are not
  virtual const std::string& name() const noexcept = 0;
  virtual Core& core() const noexcept = 0;

  virtual void submit(DeviceRequest& request) noexcept = 0;
  virtual void close() noexcept = 0;  // Requires: nothing in flight

  class Awaiter;
  inline Awaiter read(std::uint64_t offset, char* data, std::uint32_t bytes, std::int32_t buffer_index = -1) noexcept;
  inline Awaiter write(std::uint64_t offset, const char* data, std::uint32_t bytes,
                       std::int32_t buffer_index = -1) noexcept;
  inline Awaiter sync() noexcept;
  inline Awaiter resize(std::uint64_t bytes) noexcept;  // size_bytes() is the new size when it succeeds
  inline Awaiter punch(std::uint64_t offset, std::uint64_t bytes) noexcept;

  // The Status for a finished request: "write of 4096 bytes at offset 8192 of data.cambium failed: No space left".
  Status status_of(const DeviceRequest& request) const;
};

class BlockDevice::Awaiter {
 public:
  Awaiter(BlockDevice& device, const rt::IoRequest& io) noexcept : device_(device) { request_.io = io; }
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;
  ~Awaiter() {
    if (in_flight_) rt::contract_failed("a frame is destroyed while its transfer is in flight");
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> caller) noexcept {
    resumption_.suspend(device_.core(), caller);
    request_.done = [](DeviceRequest& request) noexcept {
      // request_ is the first member: the request's address is the awaiter's.
      auto& self = reinterpret_cast<Awaiter&>(request);
      self.in_flight_ = false;
      self.resumption_.schedule();
    };
    in_flight_ = true;
    device_.submit(request_);
  }
  Status await_resume() {
    resumption_.resumed();
    return request_.error == 0 ? Status() : device_.status_of(request_);
  }

 private:
  DeviceRequest request_;
  BlockDevice& device_;
  rt::Resumption resumption_;
  bool in_flight_ = false;
};

inline BlockDevice::Awaiter BlockDevice::read(std::uint64_t offset, char* data, std::uint32_t bytes,
                                              std::int32_t buffer_index) noexcept {
  return Awaiter(
      *this, {.kind = rt::IoKind::read, .buffer_index = buffer_index, .bytes = bytes, .offset = offset, .data = data});
}
inline BlockDevice::Awaiter BlockDevice::write(std::uint64_t offset, const char* data, std::uint32_t bytes,
                                               std::int32_t buffer_index) noexcept {
  return Awaiter(*this, {.kind = rt::IoKind::write,
                         .buffer_index = buffer_index,
                         .bytes = bytes,
                         .offset = offset,
                         .data = const_cast<char*>(data)});
}
inline BlockDevice::Awaiter BlockDevice::sync() noexcept { return Awaiter(*this, {.kind = rt::IoKind::sync}); }
inline BlockDevice::Awaiter BlockDevice::resize(std::uint64_t bytes) noexcept {
  return Awaiter(*this, {.kind = rt::IoKind::resize, .offset = bytes});
}
inline BlockDevice::Awaiter BlockDevice::punch(std::uint64_t offset, std::uint64_t bytes) noexcept {
  return Awaiter(*this, {.kind = rt::IoKind::punch, .offset = offset, .bytes_long = bytes});
}

struct FileOptions {
  bool create = false;           // make the file; Errc::exists when it is there
  bool read_only = false;        // opens with a shared lock, never writes
  bool direct = true;            // O_DIRECT where the file system has it, buffered otherwise
  unsigned lock_wait_ms = 1000;  // how long another holder's lock is waited for before Errc::busy
};

class CAMBIUM_EXPORT FileBlockDevice {
 public:
  // Opens and locks (flock) a regular file or block device on this core.
  // Errors: not_found, exists, busy (names the holder where the system tells), unsupported (not a file), io.
  static Op<std::unique_ptr<BlockDevice>> open(Core& core, std::string path, FileOptions options = {});
};

}  // namespace cambium
