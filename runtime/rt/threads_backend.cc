// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/threads_backend.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"
#include "base/text.h"
#include "rt/posix_file.h"

namespace cambium::rt {
namespace {

std::int32_t outcome(ssize_t result) noexcept { return result < 0 ? -errno : static_cast<std::int32_t>(result); }

std::int32_t perform(const IoRequest& request, int fd) noexcept {
  const auto offset = static_cast<off_t>(request.offset);
  switch (request.kind) {
    case IoKind::read:
      return outcome(::pread(fd, request.data, request.bytes, offset));
    case IoKind::write: {
      if (!request.durable) return outcome(::pwrite(fd, request.data, request.bytes, offset));
      const iovec piece = {.iov_base = request.data, .iov_len = request.bytes};
      return outcome(::pwritev2(fd, &piece, 1, offset, RWF_DSYNC));
    }
    case IoKind::sync:
      return outcome(::fdatasync(fd));
    case IoKind::resize:
      return resize_posix_file(fd, request.offset);
    case IoKind::punch:
      return outcome(
          ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, static_cast<off_t>(request.bytes_long)));
  }
  CAMBIUM_UNREACHABLE();
}

}  // namespace

Result<std::unique_ptr<ThreadsBackend>> ThreadsBackend::create(const CoreOptions&) {
  std::unique_ptr<ThreadsBackend> backend(new ThreadsBackend);
  backend->event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (backend->event_fd_ < 0) {
    return Error(Errc::resource, str("cannot make an eventfd: ", errno_text(errno)), "raise ulimit -n");
  }
  return backend;
}

ThreadsBackend::~ThreadsBackend() {
  CAMBIUM_ASSERT_MSG(in_flight_ == 0, "a thread pool is destroyed while requests are in flight");
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_there_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (const int fd : files_) {
    if (fd >= 0) close_posix_file(fd);
  }
  if (event_fd_ >= 0) ::close(event_fd_);
}

std::int64_t ThreadsBackend::now_ns() const noexcept { return static_cast<std::int64_t>(rt::now_ns()); }

// ---------------------------------------------------------------------------------------------- requests

int ThreadsBackend::descriptor(std::int32_t file) const noexcept {
  CAMBIUM_ASSERT(file >= 0 && static_cast<std::size_t>(file) < files_.size());
  const int fd = files_[static_cast<std::size_t>(file)];
  CAMBIUM_ASSERT_MSG(fd >= 0, "I/O on a closed file");
  return fd;
}

void ThreadsBackend::submit(IoRequest& request) noexcept {
  CAMBIUM_ASSERT(request.complete != nullptr);
  request.result = descriptor(request.file);  // files_ belongs to this thread: the worker is told here
  ++in_flight_;
  counters_.submitted(request, false);
  {
    const std::lock_guard lock(mutex_);
    queued_.push_back(request);
  }
  work_there_.notify_one();
}

void ThreadsBackend::cancel(IoRequest& request) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!queued_.remove(request)) return;
    request.result = -ECANCELED;
    finished_.push_back(request);
  }
  signal();
}

Status ThreadsBackend::start_threads() {
  // Signals are for the threads of the program.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status;
  try {
    while (threads_.size() < kThreads) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& e) {
    // Fewer do as well, if slower.
    if (threads_.empty()) {
      status = Error(Errc::resource, str("cannot start a thread for I/O: ", errno_text(e.code().value())),
                     "raise ulimit -u");
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

void ThreadsBackend::work() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    IoRequest* const request = queued_.pop_front();
    if (request == nullptr) {
      if (stopping_) return;
      work_there_.wait(lock);
      continue;
    }
    lock.unlock();
    request->result = perform(*request, request->result);
    lock.lock();
    finished_.push_back(*request);  // from here on it is the loop's
    signal();
  }
}

std::size_t ThreadsBackend::reap() noexcept {
  if (!signalled_.load(std::memory_order_relaxed)) return 0;
  std::uint64_t ignored = 0;
  static_cast<void>(!::read(event_fd_, &ignored, sizeof ignored));  // EAGAIN: signal() has not written yet
  // Cleared before the list is taken: what finishes later signals anew.
  signalled_.exchange(false, std::memory_order_acq_rel);
  RequestList finished;
  {
    const std::lock_guard lock(mutex_);
    finished = finished_.take();
  }
  std::size_t ran = 0;
  while (IoRequest* const request = finished.pop_front()) {
    --in_flight_;
    counters_.completed(*request);
    request->complete(*request);
    ++ran;
  }
  return ran;
}

// ---------------------------------------------------------------------------------------------- waiting

void ThreadsBackend::signal() noexcept {
  if (signalled_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  while (::write(event_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void ThreadsBackend::wake() noexcept { signal(); }

void ThreadsBackend::wait(std::int64_t deadline_ns) noexcept {
  if (signalled_.load(std::memory_order_acquire)) return;
  timespec timeout = {};
  if (deadline_ns >= 0) {
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) return;
    timeout = {.tv_sec = left_ns / 1'000'000'000, .tv_nsec = left_ns % 1'000'000'000};
  }
  pollfd event = {.fd = event_fd_, .events = POLLIN, .revents = 0};
  static_cast<void>(::ppoll(&event, 1, deadline_ns >= 0 ? &timeout : nullptr, nullptr));  // EINTR: returns early
}

// ---------------------------------------------------------------------------------------------- files

Result<OpenedFile> ThreadsBackend::open_file(const FileSpec& spec) {
  if (threads_.empty()) {
    if (Status started = start_threads(); !started) return started.error();
  }
  Result<PosixFile> opened = open_posix_file(spec);
  if (!opened) return opened.error();
  std::size_t index = 0;
  while (index < files_.size() && files_[index] >= 0) ++index;
  if (index == files_.size()) files_.push_back(-1);
  files_[index] = opened->fd;
  OpenedFile info = opened->info;
  info.file = static_cast<std::int32_t>(index);
  return info;
}

void ThreadsBackend::close_file(std::int32_t file) noexcept {
  close_posix_file(descriptor(file));
  files_[static_cast<std::size_t>(file)] = -1;
}

Result<std::unique_ptr<IoBackend>> make_threads_backend(const CoreOptions& options) {
  Result<std::unique_ptr<ThreadsBackend>> backend = ThreadsBackend::create(options);
  if (!backend) return backend.error();
  return std::unique_ptr<IoBackend>(std::move(*backend));
}

}  // namespace cambium::rt
