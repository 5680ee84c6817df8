// SPDX-License-Identifier: MIT OR Apache-2.0
// IoBackend: the one seam between the loop and the world: files, time, waiting.
//
// Three implementations: UringBackend, ThreadsBackend and SimBackend. Everything above sees one behaviour.
//
// Invariants
//   1. submit() never completes a request inline; completions run from reap().
//   2. A request that was cancelled completes all the same, with -ECANCELED or with its result.
//   3. wake() may be called from any thread, everything else from the owning thread only.
//
// Units      nanoseconds, bytes.
// Errors     -errno in the request; opening returns a Result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <cambium/rt/core.h>
#include <cambium/rt/io.h>
#include <cambium/rt/result.h>

namespace cambium::rt {

struct FileSpec {
  std::string path;
  bool create = false;  // O_CREAT | O_EXCL
  bool read_only = false;
  bool direct = true;
};

// What the backend found out about an opened and locked file.
struct OpenedFile {
  std::int32_t file = -1;  // the handle that IoRequest::file carries
  std::uint64_t size_bytes = 0;
  unsigned alignment = 1;  // of memory, offset and length
  bool direct = false;
  bool resizable = true;
};

class IoBackend {
 public:
  virtual ~IoBackend() = default;

  virtual void submit(IoRequest& request) noexcept = 0;
  virtual void cancel(IoRequest& request) noexcept = 0;
  // Hands over what was submitted and runs the completions that are there. Returns how many ran.
  virtual std::size_t reap() noexcept = 0;
  // Cheap and without a system call: reap() would probably find something. The loop spins on it before it blocks.
  virtual bool ready() const noexcept { return false; }
  // Hands over what was submitted and blocks until a completion, a wake() or the deadline (-1: none); may return
  // early. Runs no completion.
  virtual void wait(std::int64_t deadline_ns) noexcept = 0;
  virtual void wake() noexcept = 0;
  virtual std::int64_t now_ns() const noexcept = 0;
  virtual int fd() const noexcept = 0;                 // readable when reap() has something to do; -1 under simulation
  virtual std::size_t in_flight() const noexcept = 0;  // requests submitted and not yet completed

  // Opens and locks. Errors: not_found, exists, busy (the lock is held), unsupported, io. Does not wait.
  virtual Result<OpenedFile> open_file(const FileSpec& spec) = 0;
  virtual void close_file(std::int32_t file) noexcept = 0;

  // Registers memory (at most 1 GiB) with the ring: its buffer index, or -1 when that was refused: then requests
  // use the memory unregistered, and note() says so.
  virtual std::int32_t register_buffer(char* data, std::size_t bytes) noexcept = 0;
  virtual void unregister_buffer(std::int32_t index) noexcept = 0;

  virtual Backend kind() const noexcept = 0;
  virtual std::string_view note() const noexcept = 0;  // features that were refused, and why
  virtual void add_stats(CoreStats& stats) const noexcept = 0;
};

// Factories; each fails with Errc::resource or unsupported and the reason.
Result<std::unique_ptr<IoBackend>> make_uring_backend(const CoreOptions& options);
Result<std::unique_ptr<IoBackend>> make_threads_backend(const CoreOptions& options);

}  // namespace cambium::rt
