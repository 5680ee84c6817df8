// SPDX-License-Identifier: MIT OR Apache-2.0
//
// FileBlockDevice: a file or raw device behind a core's backend, with the retries that BlockDevice promises.
#include <algorithm>
#include <cerrno>
#include <utility>

#include <cambium/rt/block_device.h>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "rt/io_backend.h"

namespace cambium {
namespace {

constexpr std::uint32_t kAttemptsMax = 100;       // EINTR, EAGAIN, and transfers that got nowhere
constexpr std::uint32_t kBytesMax = 1u << 30;     // of one transfer
constexpr std::int64_t kLockPauseNs = 1'000'000;  // between two tries for the lock, at first
constexpr std::int64_t kLockPauseMaxNs = 20'000'000;

class FileDevice final : public BlockDevice {
 public:
  FileDevice(Core& core, std::string name, const rt::OpenedFile& file, bool read_only)
      : core_(core), name_(std::move(name)), file_(file), read_only_(read_only) {}
  FileDevice(const FileDevice&) = delete;
  FileDevice& operator=(const FileDevice&) = delete;
  ~FileDevice() override { close(); }

  std::uint64_t size_bytes() const noexcept override { return file_.size_bytes; }
  unsigned alignment() const noexcept override { return file_.alignment; }
  bool direct() const noexcept override { return file_.direct; }
  bool resizable() const noexcept override { return file_.resizable && !read_only_; }
  const std::string& name() const noexcept override { return name_; }
  Core& core() const noexcept override { return core_; }

  void submit(DeviceRequest& request) noexcept override;
  void close() noexcept override;

 private:
  void send(DeviceRequest& request) noexcept;
  static void completed(rt::IoRequest& io) noexcept;
  void transferred(DeviceRequest& request) noexcept;
  void finish(DeviceRequest& request, std::int32_t error) noexcept;

  Core& core_;
  std::string name_;
  rt::OpenedFile file_;
  bool read_only_;
  std::uint64_t in_flight_ = 0;
};

bool is_transfer(const rt::IoRequest& io) noexcept {
  return io.kind == rt::IoKind::read || io.kind == rt::IoKind::write;
}

void FileDevice::submit(DeviceRequest& request) noexcept {
  rt::IoRequest& io = request.io;
  CAMBIUM_ASSERT_MSG(file_.file >= 0, "I/O on a closed device");
  CAMBIUM_ASSERT_MSG(!read_only_ || io.kind == rt::IoKind::read || io.kind == rt::IoKind::sync,
                     "a device that was opened read-only is written");
  CAMBIUM_ASSERT(!is_transfer(io) || (io.bytes != 0 && io.bytes <= kBytesMax && io.data != nullptr));
  CAMBIUM_ASSERT_MSG(!is_transfer(io) || (io.offset % file_.alignment == 0 && io.bytes % file_.alignment == 0 &&
                                          reinterpret_cast<std::uintptr_t>(io.data) % file_.alignment == 0),
                     "a transfer is not aligned as alignment() asks");
  CAMBIUM_ASSERT_MSG(io.kind != rt::IoKind::resize || file_.resizable, "a block device is resized");
  io.file = file_.file;
  io.complete = &FileDevice::completed;
  request.device = this;
  request.error = 0;
  request.moved = 0;
  request.attempts = 0;
  request.ended = false;
  ++in_flight_;
  send(request);
}

void FileDevice::send(DeviceRequest& request) noexcept { core_.backend().submit(request.io); }

void FileDevice::completed(rt::IoRequest& io) noexcept {
  // io is the first member of its request.
  auto& request = reinterpret_cast<DeviceRequest&>(io);
  auto& device = static_cast<FileDevice&>(*request.device);
  if (io.result == -EINTR || io.result == -EAGAIN) {
    if (++request.attempts > kAttemptsMax) return device.finish(request, io.result);
    return device.send(request);
  }
  const bool ignored = (CAMBIUM_PLANTED(sync_error_ignored) && io.kind == rt::IoKind::sync) ||
                       (CAMBIUM_PLANTED(write_error_ignored) && io.kind == rt::IoKind::write);
  if (io.result < 0) return device.finish(request, ignored ? 0 : io.result);
  if (is_transfer(io)) return device.transferred(request);
  if (io.kind == rt::IoKind::resize) device.file_.size_bytes = io.offset;
  device.finish(request, 0);
}

// `io` describes what is still to be moved; finish() restores what the caller asked for.
void FileDevice::transferred(DeviceRequest& request) noexcept {
  rt::IoRequest& io = request.io;
  auto bytes = static_cast<std::uint32_t>(io.result);
  CAMBIUM_ASSERT(bytes <= io.bytes);
  if (bytes == 0) {
    request.ended = true;
    return finish(request, -EIO);
  }
  // Direct I/O can only go on at an aligned place: the odd bytes are moved again.
  if (bytes != io.bytes) bytes -= bytes % file_.alignment;
  if (bytes == 0 && ++request.attempts > kAttemptsMax) {
    request.ended = true;
    return finish(request, -EIO);
  }
  request.moved += bytes;
  io.offset += bytes;
  io.data += bytes;
  io.bytes -= bytes;
  const bool ends_here = (CAMBIUM_PLANTED(short_write_accepted) && io.kind == rt::IoKind::write) ||
                         (CAMBIUM_PLANTED(short_read_accepted) && io.kind == rt::IoKind::read);
  if (io.bytes != 0 && !ends_here) return send(request);
  if (io.kind == rt::IoKind::write) file_.size_bytes = std::max(file_.size_bytes, io.offset);
  finish(request, 0);
}

void FileDevice::finish(DeviceRequest& request, std::int32_t error) noexcept {
  rt::IoRequest& io = request.io;
  io.offset -= is_transfer(io) ? request.moved : 0;
  io.bytes += request.moved;
  if (io.data != nullptr) io.data -= request.moved;
  request.error = error;
  --in_flight_;
  request.done(request);
}

void FileDevice::close() noexcept {
  CAMBIUM_ASSERT_MSG(in_flight_ == 0, "a device is closed while transfers are in flight");
  if (file_.file < 0) return;
  core_.backend().close_file(file_.file);
  file_.file = -1;
}

}  // namespace

Op<std::unique_ptr<BlockDevice>> FileBlockDevice::open(Core& core, std::string path, FileOptions options) {
  const rt::FileSpec spec{
      .path = path, .create = options.create, .read_only = options.read_only, .direct = options.direct};
  const std::int64_t give_up_ns = core.now_ns() + static_cast<std::int64_t>(options.lock_wait_ms) * 1'000'000;
  std::int64_t pause_ns = kLockPauseNs;
  for (;;) {
    Result<rt::OpenedFile> file = core.backend().open_file(spec);
    if (file) co_return std::unique_ptr<BlockDevice>(new FileDevice(core, path, *file, options.read_only));
    // A killed process holds its lock until its in-flight writes have drained: give it the time.
    const std::int64_t left_ns = give_up_ns - core.now_ns();
    if (file.code() != Errc::busy || left_ns <= 0) co_return file.error();
    co_await core.sleep_ns(std::min(pause_ns, left_ns));
    pause_ns = std::min(pause_ns * 2, kLockPauseMaxNs);
  }
}

}  // namespace cambium
