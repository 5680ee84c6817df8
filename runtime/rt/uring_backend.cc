// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The ring at work: submission, completion, waiting. How it is set up: ring_setup.cc.
#include "rt/uring_backend.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "base/clock.h"
#include "rt/posix_file.h"

namespace cambium::rt {
namespace {

template <class T>
std::uint64_t tagged(const T* pointer, std::uint64_t tag) noexcept {
  return reinterpret_cast<std::uintptr_t>(pointer) | tag;
}

void mark(io_uring_sqe& sqe, std::uint64_t user_data) noexcept { sqe.user_data = user_data; }

// Or -errno.
std::int64_t file_size(int fd) noexcept {
  struct stat status = {};
  return ::fstat(fd, &status) == 0 ? static_cast<std::int64_t>(status.st_size) : -errno;
}

}  // namespace

std::int64_t UringBackend::now_ns() const noexcept { return static_cast<std::int64_t>(rt::now_ns()); }

// ---------------------------------------------------------------------------------------------- in

void UringBackend::submit(IoRequest& request) noexcept {
  CAMBIUM_ASSERT(request.complete != nullptr);
  CAMBIUM_ASSERT(request.file >= 0 && static_cast<std::size_t>(request.file) < files_.size());
  CAMBIUM_ASSERT_MSG(files_[static_cast<std::size_t>(request.file)].fd >= 0, "I/O on a closed file");
  ++in_flight_;
  counters_.submitted(request, request.buffer_index >= 0);
  if (!surplus_.empty() || !prepare(request)) surplus_.push_back(request);
  const std::size_t batch = request.gather ? kSubmitBatchMax : std::min(in_kernel_ / 8, kSubmitBatchMax);
  if (io_uring_sq_ready(&ring_) >= std::max<std::size_t>(batch, 1)) hand_over();
}

// The device is fed while the turn goes on: one submission at its end would let it run dry.
void UringBackend::hand_over() noexcept {
  ++counters_.system_calls;
  check_entered(io_uring_submit(&ring_));
}

// What a small read brought lies in memory: it comes closer while the completion before it is worked on.
void UringBackend::warm(const IoRequest& request) noexcept {
  constexpr std::uint32_t kBytesMax = 4096;
  if (request.kind != IoKind::read || request.bytes > kBytesMax) return;
  for (std::uint32_t at = 0; at < request.bytes; at += 64)
    __builtin_prefetch(static_cast<const char*>(request.data) + at);
}

// Null when the submission queue is full and the kernel takes nothing off it now.
io_uring_sqe* UringBackend::next_sqe() noexcept {
  if (io_uring_sqe* const sqe = io_uring_get_sqe(&ring_); sqe != nullptr) return sqe;
  enter(0, -1);
  return io_uring_get_sqe(&ring_);
}

void UringBackend::feed() noexcept {
  while (IoRequest* const request = surplus_.pop_front()) {
    if (prepare(*request)) continue;
    surplus_.push_front(*request);
    return;
  }
}

// False when there is no room for it now.
bool UringBackend::prepare(IoRequest& request) noexcept {
  if (request.kind == IoKind::resize && resized_at_once(request)) return true;
  if (in_kernel_ >= completions_max_) return false;
  io_uring_sqe* const sqe = next_sqe();
  if (sqe == nullptr) return false;
  const File& file = files_[static_cast<std::size_t>(request.file)];
  const int fd = file.registered ? request.file : file.fd;
  switch (request.kind) {
    case IoKind::read:
    case IoKind::write:
      prepare_transfer(request, *sqe);
      break;
    case IoKind::sync:
      io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
      break;
    case IoKind::resize:
      prepare_resize(request, *sqe);
      break;
    case IoKind::punch:
      io_uring_prep_fallocate(sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(request.offset),
                              static_cast<off_t>(request.bytes_long));
      break;
  }
  sqe->fd = fd;
  if (file.registered) sqe->flags |= IOSQE_FIXED_FILE;
  mark(*sqe, tagged(&request, kRequest));
  ++in_kernel_;
  return true;
}

void UringBackend::prepare_transfer(IoRequest& request, io_uring_sqe& sqe) noexcept {
  const bool fixed = request.buffer_index >= 0;
  if (request.kind == IoKind::read) {
    io_uring_prep_rw(fixed ? IORING_OP_READ_FIXED : IORING_OP_READ, &sqe, -1, request.data, request.bytes,
                     request.offset);
  } else {
    io_uring_prep_rw(fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE, &sqe, -1, request.data, request.bytes,
                     request.offset);
    if (request.durable) sqe.rw_flags = RWF_DSYNC;
  }
  if (fixed) sqe.buf_index = static_cast<std::uint16_t>(request.buffer_index);
}

// What needs no ring, or what this ring cannot do: the request is then on the finished list. Asked again when it had
// to wait for room; the size may have changed meanwhile.
bool UringBackend::resized_at_once(IoRequest& request) noexcept {
  const int fd = files_[static_cast<std::size_t>(request.file)].fd;
  const std::int64_t size = file_size(fd);
  const auto wanted = static_cast<std::int64_t>(request.offset);
  if (size >= 0 && (wanted > size || (wanted < size && has_ftruncate_))) return false;
  finish(request,
         size < 0 ? static_cast<std::int32_t>(size) : (wanted == size ? 0 : resize_posix_file(fd, request.offset)));
  return true;
}

void UringBackend::prepare_resize(IoRequest& request, io_uring_sqe& sqe) noexcept {
  const int fd = files_[static_cast<std::size_t>(request.file)].fd;
  const auto size = static_cast<std::uint64_t>(file_size(fd));
  if (request.offset > size) {
    io_uring_prep_fallocate(&sqe, fd, 0, static_cast<off_t>(size), static_cast<off_t>(request.offset - size));
  } else {
    io_uring_prep_rw(kOpFtruncate, &sqe, fd, nullptr, 0, request.offset);
  }
}

void UringBackend::finish(IoRequest& request, std::int32_t result) noexcept {
  request.result = result;
  finished_.push_back(request);
}

void UringBackend::cancel(IoRequest& request) noexcept {
  if (surplus_.remove(request)) {
    finish(request, -ECANCELED);
    return;
  }
  // Best effort, as every cancel: where there is no room for it, the request completes with its result.
  if (in_kernel_ >= completions_max_) return;
  io_uring_sqe* const sqe = next_sqe();
  if (sqe == nullptr) return;
  io_uring_prep_cancel64(sqe, tagged(&request, kRequest), 0);
  mark(*sqe, kIgnored);
  ++in_kernel_;
}

// ---------------------------------------------------------------------------------------------- out

bool UringBackend::ready() const noexcept {
  if (!finished_.empty()) return true;
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 || io_uring_cq_ready(&ring_) != 0;
}

std::size_t UringBackend::reap() noexcept {
  feed();
  // Deferred work of the kernel (DEFER_TASKRUN) is only done inside a system call; the ring says when there is some.
  // A kernel that cannot say so is asked every time.
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  const bool fetch = (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 || !taskrun_flag_;
  if (fetch || io_uring_sq_ready(&ring_) != 0) enter(0, -1);
  collect();
  if (!event_read_armed_) arm_event_read();

  std::size_t ran = 0;
  RequestList finished = finished_.take();
  while (IoRequest* const request = finished.pop_front()) {
    if (finished.front() != nullptr) warm(*finished.front());
    --in_flight_;
    counters_.completed(*request);
    request->complete(*request);
    ++ran;
  }
  return ran;
}

void UringBackend::wait(std::int64_t deadline_ns) noexcept {
  feed();
  if (!finished_.empty() || io_uring_cq_ready(&ring_) != 0) return;
  if (!event_read_armed_) arm_event_read();
  enter(1, deadline_ns);
}

// One system call: hands over what is prepared, fetches completions, and waits for `wait_for` of them.
void UringBackend::enter(unsigned wait_for, std::int64_t deadline_ns) noexcept {
  ++counters_.system_calls;
  int outcome = 0;
  if (wait_for == 0) {
    outcome = io_uring_submit_and_get_events(&ring_);
  } else if (deadline_ns < 0) {
    outcome = io_uring_submit_and_wait(&ring_, wait_for);
  } else {
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) {
      outcome = io_uring_submit_and_get_events(&ring_);
    } else {
      __kernel_timespec timeout = {.tv_sec = left_ns / 1'000'000'000, .tv_nsec = left_ns % 1'000'000'000};
      io_uring_cqe* first = nullptr;
      outcome = io_uring_submit_and_wait_timeout(&ring_, &first, wait_for, &timeout, nullptr);
    }
  }
  check_entered(outcome);
}

// EAGAIN and EBUSY: the kernel is out of resources until completions are taken: whoever called reaps next, and what
// was not taken stays prepared. EINTR and ETIME: the caller looks at its clock. All else is our mistake.
void UringBackend::check_entered(int outcome) noexcept {
  CAMBIUM_ASSERT_MSG(outcome >= 0 || outcome == -EAGAIN || outcome == -EBUSY || outcome == -EINTR || outcome == -ETIME,
                     "io_uring_enter refuses the ring");
}

void UringBackend::collect() noexcept {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* completion = nullptr;
  io_uring_for_each_cqe(&ring_, head, completion) {
    dispatch(*completion);
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
}

void UringBackend::dispatch(const io_uring_cqe& completion) noexcept {
  const std::uint64_t tag = completion.user_data & kTagMask;
  if (tag == kRingMessage) return;  // another ring's: it was awake in time; not one of our submissions
  CAMBIUM_ASSERT(in_kernel_ != 0);
  --in_kernel_;
  switch (tag) {
    case kRequest: {
      auto& request = *reinterpret_cast<IoRequest*>(static_cast<std::uintptr_t>(completion.user_data));
      std::int32_t result = completion.res;
      if (request.kind == IoKind::resize && result == -EOPNOTSUPP) {
        // A file system without fallocate: the size is right, space is found when it is written.
        result = resize_posix_file(files_[static_cast<std::size_t>(request.file)].fd, request.offset);
      }
      finish(request, result);
      break;
    }
    case kEventRead:
      event_read_armed_ = false;
      // A wake() from here on writes again; the messages it announces are looked at after this.
      wake_pending_.store(false, std::memory_order_seq_cst);
      break;
    case kRingMessageSent:
      // The other ring must wake, whatever becomes of the message.
      if (completion.res < 0) {
        reinterpret_cast<UringBackend*>(static_cast<std::uintptr_t>(completion.user_data & ~std::uint64_t{kTagMask}))
            ->wake();
      }
      break;
    default:
      break;
  }
}

// ---------------------------------------------------------------------------------------------- wake-ups

void UringBackend::arm_event_read() noexcept {
  io_uring_sqe* const sqe = next_sqe();
  if (sqe == nullptr) return;  // the next reap() tries again
  io_uring_prep_rw(IORING_OP_READ, sqe, event_fd_, &event_count_, sizeof event_count_, 0);
  mark(*sqe, kEventRead);
  ++in_kernel_;
  event_read_armed_ = true;
}

void UringBackend::wake() noexcept {
  if (wake_pending_.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  while (::write(event_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void UringBackend::wake_from(UringBackend& sender) noexcept {
  io_uring_sqe* const sqe = sender.in_kernel_ < sender.completions_max_ ? sender.next_sqe() : nullptr;
  if (sqe == nullptr) {
    wake();
    return;
  }
  io_uring_prep_msg_ring(sqe, ring_.ring_fd, 0, kRingMessage, 0);
  mark(*sqe, tagged(this, kRingMessageSent));
  ++sender.in_kernel_;
}

void UringBackend::settle() noexcept {
  CAMBIUM_ASSERT(in_flight_ == 0);
  const auto armed = [this]() noexcept { return std::size_t{event_read_armed_ ? 1u : 0u}; };
  while (in_kernel_ > armed()) {
    enter(1, -1);
    collect();
  }
}

}  // namespace cambium::rt
