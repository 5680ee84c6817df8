// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/sim_backend.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/sanitizer.h"
#include "base/text.h"

namespace cambium::rt {

namespace {

constexpr bool transfers(IoKind kind) noexcept { return kind == IoKind::read || kind == IoKind::write; }

bool misaligned(const IoRequest& request, unsigned alignment) noexcept {
  return request.offset % alignment != 0 || request.bytes % alignment != 0 ||
         reinterpret_cast<std::uintptr_t>(request.data) % alignment != 0;
}

}  // namespace

SimBackend::SimBackend(SimDiskState& disk, const SimOptions& options)
    : disk_(disk), options_(options), random_(options.seed) {
  CAMBIUM_ASSERT(options.queue_depth > 0 && options.alignment > 0);
  ++disk_.backends;
}

SimBackend::~SimBackend() {
  CAMBIUM_ASSERT_MSG(in_flight() == 0, "nothing in flight is ever destroyed");
  for (std::size_t i = 0; i < handles_.size(); ++i) close_file(static_cast<std::int32_t>(i));
  --disk_.backends;
}

// --- Submission ---

void SimBackend::submit(IoRequest& request) noexcept {
  Slot slot{.request = &request, .fault = disk_.strike(request), .barrier = disk_.barrier()};
  counters_.submitted(request, request.buffer_index >= 0);
  // Whoever looks at a buffer before its read completes, or after it failed, shall not find the old bytes.
  if (request.kind == IoKind::read && options_.scribble_reads) scribble(request.data, request.bytes);
  if (poisons(request)) asan_poison(request.data, request.bytes);
  backlog_.push_back(std::move(slot));
  fill_device();
}

void SimBackend::fill_device() noexcept {
  while (!backlog_.empty() && device_.size() < options_.queue_depth) {
    Slot slot = std::move(backlog_.front());
    backlog_.pop_front();
    std::uint64_t ticks = options_.eager ? 0 : options_.latency_ticks[random_.below(options_.latency_ticks.size())];
    if (slot.fault && slot.fault->action == FaultAction::delay) ticks += slot.fault->argument;
    slot.due_ns = slot.cancelled ? now_ns_ : now_ns_ + static_cast<std::int64_t>(ticks) * kSimTickNs;
    device_.push_back(std::move(slot));
  }
}

void SimBackend::cancel(IoRequest& request) noexcept {
  const auto is_it = [&request](const Slot& slot) { return slot.request == &request; };
  // What waits is cancelled; what the device has may complete all the same.
  const auto waiting = std::find_if(backlog_.begin(), backlog_.end(), is_it);
  if (waiting != backlog_.end()) {
    waiting->cancelled = true;
    return;
  }
  const auto at_device = std::find_if(device_.begin(), device_.end(), is_it);
  if (at_device == device_.end() || random_.below(2) == 0) return;
  at_device->cancelled = true;
  at_device->due_ns = now_ns_;
}

// --- Completion ---

std::size_t SimBackend::count_due() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(device_.begin(), device_.end(), [this](const Slot& slot) { return due(slot); }));
}

// The index of one of the `count` slots that are due.
std::size_t SimBackend::choose_due(std::size_t count) noexcept {
  std::size_t skip = options_.eager ? 0 : static_cast<std::size_t>(random_.below(count));
  for (std::size_t i = 0; i < device_.size(); ++i) {
    if (due(device_[i]) && skip-- == 0) return i;
  }
  CAMBIUM_UNREACHABLE();
}

std::size_t SimBackend::reap() noexcept {
  now_ns_ += kSimTickNs;
  fill_device();
  scribble_some();
  const std::size_t count = count_due();
  if (count == 0) return 0;
  const std::size_t budget = options_.eager ? count : 1 + static_cast<std::size_t>(random_.below(count));
  for (std::size_t i = 0; i < budget; ++i) {
    // Completions submit and cancel, so what is due is counted anew; it cannot run out, since due ones stay due.
    complete(choose_due(i == 0 ? count : count_due()));
  }
  return budget;
}

void SimBackend::complete(std::size_t index) noexcept {
  const Slot slot = std::move(device_[index]);
  device_.erase(device_.begin() + static_cast<std::ptrdiff_t>(index));
  fill_device();
  IoRequest& request = *slot.request;
  if (poisons(request)) asan_unpoison(request.data, request.bytes);
  if (!disk_.power_cut) {
    const std::uint64_t before = disk_.barrier();
    const std::uint64_t pending_before = disk_.pending_units();
    request.result = perform(slot);
    const std::uint64_t content =
        request.kind == IoKind::write ? hash64(request.data, request.bytes) : std::uint64_t{0};
    disk_.trace(now_ns_, file_of(request), request, content);
    disk_.step(request, disk_.barrier() != before || disk_.pending_units() != pending_before || request.durable);
  }
  // Also when the step hook cut the power: in effect, perhaps, but never acknowledged.
  if (disk_.power_cut) request.result = -EIO;
  counters_.completed(request);
  request.complete(request);
}

void SimBackend::wait(std::int64_t deadline_ns) noexcept {
  if (woken_.exchange(false, std::memory_order_acquire) || count_due() != 0) return;
  if (deadline_ns >= 0 && deadline_ns <= now_ns_) return;
  CAMBIUM_ASSERT_MSG(!device_.empty() || deadline_ns >= 0, "nothing in flight and no timer: a wait without end");
  std::int64_t next_ns = deadline_ns;
  for (const Slot& slot : device_) {
    if (next_ns < 0 || slot.due_ns < next_ns) next_ns = slot.due_ns;
  }
  now_ns_ = next_ns;
}

// --- What a request does ---

std::int32_t SimBackend::perform(const Slot& slot) noexcept {
  const IoRequest& request = *slot.request;
  if (slot.cancelled) return -ECANCELED;
  const std::int32_t refused = refuse(request);
  if (refused != 0) return refused;
  SimFile& file = *file_of(request);
  std::uint64_t offset = request.offset;
  if (slot.fault) {
    const SimFault& fault = *slot.fault;
    if (fault.action == FaultAction::fail) return fail(slot, file);
    if (fault.action == FaultAction::misdirect) offset = fault.argument;
    if (fault.action == FaultAction::drop && request.kind != IoKind::read) {
      return request.kind == IoKind::write ? static_cast<std::int32_t>(request.bytes) : 0;
    }
  }
  if (random_.chance(options_.retry_chance)) return random_.below(2) == 0 ? -EINTR : -EAGAIN;
  switch (request.kind) {
    case IoKind::read:
      return read(file, slot, offset);
    case IoKind::write:
      return write(file, slot, offset);
    case IoKind::resize:
      return resize(file, request);
    case IoKind::punch:
      disk_.punch(file, offset, request.bytes_long);
      return 0;
    case IoKind::sync:
      disk_.sync(file, slot.barrier);
      return 0;
  }
  CAMBIUM_UNREACHABLE();
}

// What a kernel would refuse before it touches the device.
std::int32_t SimBackend::refuse(const IoRequest& request) const noexcept {
  if (file_of(request) == nullptr) return -EBADF;
  const Handle& handle = handles_[static_cast<std::size_t>(request.file)];
  if (handle.read_only && request.kind != IoKind::read && request.kind != IoKind::sync) return -EBADF;
  if (!transfers(request.kind)) return 0;
  if (handle.direct && misaligned(request, options_.alignment)) return -EINVAL;
  if (request.buffer_index < 0) return 0;
  const auto index = static_cast<std::size_t>(request.buffer_index);
  if (index >= buffers_.size() || buffers_[index].data == nullptr) return -EFAULT;
  const Buffer& buffer = buffers_[index];
  const bool inside = request.data >= buffer.data && request.data + request.bytes <= buffer.data + buffer.bytes;
  return inside ? 0 : -EFAULT;
}

// What did not happen for an errno that asks for a retry may have happened in part for any other.
std::int32_t SimBackend::fail(const Slot& slot, SimFile& file) noexcept {
  const IoRequest& request = *slot.request;
  const int error = slot.fault->error;
  CAMBIUM_ASSERT(error > 0);
  if (error == EINTR || error == EAGAIN || error == ECANCELED || error == ENOMEM) return -error;
  if (request.kind == IoKind::sync) disk_.fail_sync(file, slot.barrier, random_);
  const bool lands = request.kind == IoKind::write && error != ENOSPC && random_.below(2) == 0;
  if (lands && request.offset + request.bytes <= file.current.size_bytes()) {
    const std::uint64_t sectors = random_.below(request.bytes / kSimSectorBytes + 1);
    disk_.write(file, request.offset, request.data, static_cast<std::size_t>(sectors * kSimSectorBytes), false);
  }
  return -error;
}

std::uint32_t SimBackend::transfer_bytes(const Slot& slot) noexcept {
  const IoRequest& request = *slot.request;
  if (slot.fault && slot.fault->action == FaultAction::shorten) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(request.bytes, slot.fault->argument));
  }
  const bool direct = handles_[static_cast<std::size_t>(request.file)].direct;
  const std::uint32_t unit = direct ? options_.alignment : 1;
  const bool shortens = random_.chance(options_.short_chance);
  if (!shortens || request.bytes / unit < 2) return request.bytes;
  return static_cast<std::uint32_t>(random_.between(1, request.bytes / unit - 1)) * unit;
}

std::int32_t SimBackend::read(SimFile& file, const Slot& slot, std::uint64_t offset) noexcept {
  const std::uint64_t size = file.current.size_bytes();
  const std::uint64_t bytes = std::min<std::uint64_t>(transfer_bytes(slot), size - std::min(size, offset));
  file.current.read(offset, slot.request->data, static_cast<std::size_t>(bytes));
  return static_cast<std::int32_t>(bytes);
}

std::int32_t SimBackend::write(SimFile& file, const Slot& slot, std::uint64_t offset) noexcept {
  const IoRequest& request = *slot.request;
  const std::uint32_t bytes = transfer_bytes(slot);
  if (!disk_.has_room_for(file, offset, bytes)) return -ENOSPC;
  disk_.write(file, offset, request.data, bytes, request.durable);
  return static_cast<std::int32_t>(bytes);
}

std::int32_t SimBackend::resize(SimFile& file, const IoRequest& request) noexcept {
  const std::uint64_t size = file.current.size_bytes();
  if (request.offset > size && !disk_.has_room_for(file, size, request.offset - size)) return -ENOSPC;
  disk_.resize(file, request.offset);
  return 0;
}

// --- Files, buffers, the rest ---

SimFile* SimBackend::file_of(const IoRequest& request) const noexcept {
  const auto index = static_cast<std::size_t>(request.file);
  return request.file >= 0 && index < handles_.size() ? handles_[index].file : nullptr;
}

Result<OpenedFile> SimBackend::open_file(const FileSpec& spec) {
  if (disk_.power_cut) return Error(Errc::io, str("opening ", spec.path, " failed: the simulated power is cut"));
  SimFile* file = disk_.find(spec.path);
  if (spec.create && file != nullptr) return Error(Errc::exists, str(spec.path, " exists already"));
  if (!spec.create && file == nullptr) return Error(Errc::not_found, str(spec.path, " does not exist"));
  if (file == nullptr) file = &disk_.create(spec.path);
  if (file->locked || (!spec.read_only && file->readers != 0)) {
    return Error(Errc::busy, str(spec.path, " is locked by another opener"));
  }
  file->locked = !spec.read_only;
  file->readers += spec.read_only ? 1 : 0;
  handles_.push_back({file, spec.read_only, spec.direct});
  return OpenedFile{.file = static_cast<std::int32_t>(handles_.size() - 1),
                    .size_bytes = file->current.size_bytes(),
                    .alignment = spec.direct ? options_.alignment : 1,
                    .direct = spec.direct,
                    .resizable = true};
}

void SimBackend::close_file(std::int32_t file) noexcept {
  Handle& handle = handles_[static_cast<std::size_t>(file)];
  if (handle.file == nullptr) return;
  if (handle.read_only) {
    --handle.file->readers;
  } else {
    handle.file->locked = false;
  }
  handle.file = nullptr;
}

std::int32_t SimBackend::register_buffer(char* data, std::size_t bytes) noexcept {
  if (options_.refuse_registration) return -1;
  buffers_.push_back({data, bytes});
  return static_cast<std::int32_t>(buffers_.size() - 1);
}

void SimBackend::unregister_buffer(std::int32_t index) noexcept { buffers_[static_cast<std::size_t>(index)] = {}; }

std::string_view SimBackend::note() const noexcept {
  return options_.refuse_registration ? "registered buffers: refused by the simulation" : "";
}

bool SimBackend::poisons(const IoRequest& request) const noexcept {
  return (request.kind == IoKind::read && options_.poison_reads) ||
         (request.kind == IoKind::write && options_.poison_writes);
}

// Garbage, other every time. One block over and over: reads of a log are long, and its tests many.
void SimBackend::scribble(char* data, std::size_t bytes) noexcept {
  char garbage[kSimSectorBytes];
  random_.bytes(garbage, sizeof garbage);
  for (std::size_t at = 0; at < bytes; at += sizeof garbage) {
    std::memcpy(data + at, garbage, std::min(bytes - at, sizeof garbage));
  }
}

// The device may fill a read buffer in any order and more than once: some bytes of some read change at every reap.
void SimBackend::scribble_some() noexcept {
  if (!options_.scribble_reads || options_.eager || device_.empty()) return;
  const IoRequest& request = *device_[static_cast<std::size_t>(random_.below(device_.size()))].request;
  if (request.kind != IoKind::read || request.bytes == 0) return;
  const std::uint64_t begin = random_.below(request.bytes);
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(request.bytes - begin, 64));
  if (options_.poison_reads) asan_unpoison(request.data, request.bytes);
  random_.bytes(request.data + begin, bytes);
  if (options_.poison_reads) asan_poison(request.data, request.bytes);
}

}  // namespace cambium::rt
